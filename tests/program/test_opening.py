import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavMicrophone, WavSpeaker
from retell_voice.echo.choice import Method
from retell_voice.emulator import CALLER, Emulator
from retell_voice.errors import ConfigError
from retell_voice.program import stdout
from retell_voice.program.opening import (
    audio_format,
    claim_stdout,
    find_devices,
    host_of,
    make_call,
    make_recorder,
)
from retell_voice.settings.schema import Sourced, table
from retell_voice.settings.tables.call import CallSettings, RegistrationSettings
from retell_voice.settings.tables.sound import JitterRange

AUDIO = AudioFormat(Encoding.MULAW, 8000)


def settings(**values: Any) -> CallSettings:
    return CallSettings(**{name: Sourced(value, "here") for name, value in values.items()})


def test_the_format_is_the_one_to_register_with() -> None:
    given = RegistrationSettings(encoding=Sourced("mulaw"), rate=Sourced(8000))
    assert audio_format(given) == AUDIO


def test_files_are_devices(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(CALLER.parent))
    given = settings(
        input_file=(os.path.join("~", CALLER.name),),
        output_file=str(tmp_path / "agent.wav"),
        input="no such microphone",
        output="no such speaker",
    )
    microphone, speaker = find_devices(given, AUDIO)
    assert isinstance(microphone, WavMicrophone)
    assert isinstance(speaker, WavSpeaker)
    assert (microphone.name, speaker.name, speaker.rate) == (CALLER.name, "agent.wav", 8000)
    with pytest.raises(ConfigError, match=r"missing\.wav"):
        find_devices(replace(given, input_file=Sourced(("missing.wav",))), AUDIO)


def test_standard_output_for_the_agents_voice(monkeypatch: pytest.MonkeyPatch) -> None:
    given = settings(output_file="-", input_file=(str(CALLER),))
    with pytest.raises(ConfigError, match="own lines are on standard output"):
        find_devices(given, AUDIO)
    monkeypatch.setattr(stdout, "is_terminal", lambda: True)
    with pytest.raises(ConfigError, match="here -: standard output is a terminal"):
        claim_stdout(given)
    claim_stdout(settings(output_file="agent.wav"))  # then it is not touched


def test_a_recorder_where_one_is_wanted(tmp_path: Path) -> None:
    assert make_recorder(settings()) is None
    assert make_recorder(settings(record=str(tmp_path / "calls"))) is not None
    assert (tmp_path / "calls").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="file"):
        make_recorder(settings(record=str(tmp_path / "file")))


async def test_a_call_is_held_as_the_settings_say(tmp_path: Path) -> None:
    given = settings(
        frame_ms=40,
        jitter_ms=JitterRange(0.1, 0.1),
        volume=50,
        record=str(tmp_path),
        echo="half-duplex",
    )
    recorder = make_recorder(given)
    async with Emulator() as emulator:
        registered = emulator.register(AUDIO)
        call = make_call(
            given,
            registered.call_id,
            url=emulator.url,
            audio=AUDIO,
            microphone=NullMicrophone(8000),
            speaker=NullSpeaker(8000),
            recorder=recorder,
        )
        async with call:
            assert call.volume == 0.5
            assert call.echo.name == "half-duplex"
            async for event in call:
                if event.at > 0.2:
                    break
    figures = call.statistics()
    assert figures.frames_sent
    assert figures.bytes_sent == figures.frames_sent * 8000 * 40 // 1000
    assert recorder is not None
    assert recorder.path is not None
    assert (recorder.path / "audio.wav").exists()


def test_every_way_of_echo_control_can_be_set() -> None:
    assert table(CallSettings)["echo"].choices == tuple(Method)
    assert table(CallSettings)["echo"].default == Method.AUTO


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("wss://host/path", "host"),
        ("ws://me:secret@host:81/path", "host:81"),
        ("ws://[::1]:8080/x", "[::1]:8080"),
    ],
)
def test_the_host_of_a_url(url: str, shown: str) -> None:
    assert host_of(Sourced(url)) == shown


@pytest.mark.parametrize("url", ["ws://", "ws://host:0/x", "ws://host:99999/", "ws://[::1/x"])
def test_no_host_of_a_url(url: str) -> None:
    with pytest.raises(ConfigError, match="--url: the URL cannot be used"):
        host_of(Sourced(url, "--url"))
