"""Which method of echo control is used, and why."""

from typing import Any

import pytest

from retell_voice.echo.choice import Method, choose, is_headset, open_control
from retell_voice.echo.guard import Guarded
from retell_voice.echo.half_duplex import HalfDuplex
from retell_voice.echo.system import SoundDevice
from retell_voice.echo.webrtc import PyWebRtc
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

MICROPHONE = SoundDevice("Built-in Microphone")
SPEAKER = SoundDevice("Built-in Speakers", form_factor="internal", port="analog-output-speaker")
HEADSET = SoundDevice("bluez_output.1", "WH-1000XM4", form_factor="headset")
CANCELLED = SoundDevice("echo-cancel-source", "Echo-Cancel Source")


def chosen(setting: Method = Method.AUTO, **given: Any) -> tuple[Method, str]:
    asked: dict[str, Any] = {"microphone": MICROPHONE, "speaker": SPEAKER} | given
    choice = choose(setting, **asked)
    return choice.method, choice.why


@pytest.mark.parametrize(
    "speaker",
    [
        HEADSET,
        SoundDevice("x", form_factor="headphone"),
        SoundDevice("alsa", "Built-in Audio", "internal", "analog-output-headphones"),
        SoundDevice("Headphones (Realtek Audio)"),
        SoundDevice("Headset Earphone (Jabra)"),
        SoundDevice("Kim's AirPods Pro"),
        SoundDevice("Galaxy Buds2"),
        SoundDevice("External Headphones"),
    ],
    ids=str,
)
def test_a_headset_is_known_by_form_factor_port_and_name(speaker: SoundDevice) -> None:
    assert is_headset(speaker)
    assert chosen(speaker=speaker, installed=["pywebrtc-audio"])[0] is Method.OFF


@pytest.mark.parametrize(
    "speaker",
    [
        SPEAKER,
        SoundDevice("MacBook Pro Speakers"),
        SoundDevice("Jabra Speak 510", form_factor="hands-free"),
        SoundDevice("Headset jack adapter", form_factor="speaker"),
        SoundDevice("pulse"),
        SoundDevice("Audiophile Tearoom"),
    ],
    ids=str,
)
def test_open_speakers_are_not(speaker: SoundDevice) -> None:
    assert not is_headset(speaker)
    assert chosen(speaker=speaker, installed=["livekit"])[0] is Method.WEBRTC


def test_auto_says_why() -> None:
    assert chosen(installed=["livekit"]) == (Method.WEBRTC, "Built-in Speakers is not a headset")
    assert chosen(speaker=HEADSET) == (Method.OFF, "WH-1000XM4 is a headset")
    assert chosen(microphone=None) == (Method.OFF, "no microphone hears a speaker")
    assert chosen(speaker=None) == (Method.OFF, "no microphone hears a speaker")
    assert chosen(microphone=CANCELLED, installed=["livekit"]) == (
        Method.SYSTEM,
        "Echo-Cancel Source cancels the echo",
    )


def test_without_a_canceller_auto_is_off_with_a_hint() -> None:
    choice = choose(Method.AUTO, microphone=MICROPHONE, speaker=SPEAKER)
    assert (choice.method, choice.why) == (Method.OFF, "no canceller is installed")
    assert how_to_install("echo") in choice.hint
    assert not choose(Method.AUTO, microphone=MICROPHONE, speaker=HEADSET).hint


@pytest.mark.parametrize("setting", [Method.WEBRTC, Method.HALF_DUPLEX, Method.OFF])
def test_what_is_asked_for_is_used_with_a_headset_and_files_too(setting: Method) -> None:
    given = {"microphone": None, "speaker": HEADSET, "installed": ["livekit"]}
    assert chosen(setting, **given) == (setting, f"you asked for {setting.value}")


def test_what_is_asked_for_and_not_there_is_an_error() -> None:
    with pytest.raises(ConfigError, match="needs the package pywebrtc-audio") as caught:
        chosen(Method.WEBRTC)
    assert caught.value.hint == how_to_install("echo")
    with pytest.raises(ConfigError, match="no echo-cancelled microphone") as caught:
        chosen(Method.SYSTEM, microphones=[MICROPHONE], speakers=[SPEAKER])
    assert "module-echo-cancel" in caught.value.hint
    with pytest.raises(ConfigError, match="belong to no sound server") as caught:
        chosen(Method.SYSTEM, has_server=False)
    assert "pactl" not in caught.value.hint
    with pytest.raises(ConfigError, match="microphone is a file, which has no echo"):
        chosen(Method.SYSTEM, microphone=None, has_server=False)


def test_the_sound_servers_pair_is_handed_on() -> None:
    sink = SoundDevice("echo-cancel-sink")
    choice = choose(
        Method.SYSTEM,
        microphone=MICROPHONE,
        speaker=SPEAKER,
        microphones=[MICROPHONE, CANCELLED],
        speakers=[SPEAKER, sink],
    )
    assert choice.method is Method.SYSTEM
    assert choice.devices is not None
    assert (choice.devices.microphone, choice.devices.speaker) == (CANCELLED, sink)


def test_what_is_chosen_is_opened() -> None:
    assert isinstance(open_control(Method.WEBRTC, 24000), Guarded)
    assert isinstance(open_control(Method.HALF_DUPLEX, 24000), HalfDuplex)
    assert open_control(Method.OFF, 24000) is None
    assert open_control(Method.SYSTEM, 24000) is None
    with pytest.raises(ValueError, match="choose one first"):
        open_control(Method.AUTO, 24000)
    with pytest.raises(ValueError, match="outside 8000–48000"):
        open_control(Method.HALF_DUPLEX, 96000)


@pytest.mark.parametrize("method", [Method.OFF, Method.SYSTEM])
def test_noise_suppression_goes_with_any_method(method: Method) -> None:
    assert isinstance(open_control(method, 16000, noise_suppression=True), PyWebRtc)
    half = open_control(Method.HALF_DUPLEX, 16000, gain=True)
    assert half is not None
    assert half.name == "half-duplex, webrtc"
    cancelled = open_control(Method.WEBRTC, 16000, noise_suppression=True)
    assert cancelled is not None
    assert cancelled.delay == pytest.approx(0.014)
