"""Chooses a method of echo control, with a reason, and creates it.

``auto``: none for a headset, or if the sound server already cancels; WebRTC's if installed; else
none, with a hint.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum

from retell_voice.echo import system
from retell_voice.echo.guard import Guarded
from retell_voice.echo.half_duplex import HalfDuplex
from retell_voice.echo.ports import EchoControl
from retell_voice.echo.system import EchoCancelled, SoundDevice
from retell_voice.echo.webrtc import new_webrtc
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install


class Method(StrEnum):
    """Methods of echo control; the values of ``--echo``."""

    AUTO = "auto"
    WEBRTC = "webrtc"
    """WebRTC's canceller."""
    HALF_DUPLEX = "half-duplex"
    """The microphone is turned down while the agent is heard."""
    SYSTEM = "system"
    """The sound server's canceller."""
    OFF = "off"


@dataclass(frozen=True, slots=True)
class Choice:
    """A decision.

    Attributes:
        method: anything but ``AUTO``.
        why: half a sentence for people.
        hint: what would be better, one line; may be empty.
        devices: ``SYSTEM``: what to use instead of the requested devices, else None.
    """

    method: Method
    why: str
    hint: str = ""
    devices: EchoCancelled | None = None


_HEADSETS = {"headset", "headphone", "headphones", "handset"}
"""Form factors. Not ``hands-free``: a car, or a speakerphone."""
_HEADSET_NAME = re.compile(
    r"head\s?(set|phone)|ear\s?(phone|bud|pod)|air\s?pods|\bbuds|kopfhörer|casque|auricular",
    re.IGNORECASE,
)


def is_headset(speaker: SoundDevice) -> bool:
    """Return whether a speaker is worn on the ears, so that no microphone hears it."""
    if speaker.form_factor:
        return speaker.form_factor.lower() in _HEADSETS or "headphone" in speaker.port.lower()
    words = (speaker.name, speaker.description, speaker.port)
    return any(map(_HEADSET_NAME.search, words))


def choose(
    setting: Method,
    *,
    microphone: SoundDevice | None,
    speaker: SoundDevice | None,
    microphones: Collection[SoundDevice] = (),
    speakers: Collection[SoundDevice] = (),
    installed: Collection[str] = (),
    has_server: bool = True,
) -> Choice:
    """Choose a method, without opening or importing anything.

    Args:
        setting: the requested method.
        microphone, speaker: those in use; None for a file, or none at all.
        microphones, speakers: all those of the sound server.
        installed: see ``webrtc.installed``.
        has_server: whether a sound server has told of its devices.

    Raises:
        ConfigError: the requested method is not available.
    """
    if setting is Method.AUTO:
        return _automatic(microphone, speaker, installed)
    asked = f"you asked for {setting}"
    if setting is Method.WEBRTC and not installed:
        raise ConfigError(
            "echo cancellation needs the package pywebrtc-audio", how_to_install("echo")
        )
    if setting is Method.SYSTEM:
        pair = system.find(microphones, speakers)
        if pair is None and microphone is None:
            raise ConfigError(
                "the microphone is a file, which has no echo for the sound server to cancel",
                "leave out --echo system",
            )
        if pair is None and not has_server:
            raise ConfigError(
                "these devices belong to no sound server that could cancel the echo",
                "--echo system needs PipeWire or PulseAudio, and its device pulse; "
                "--echo webrtc needs neither",
            )
        if pair is None:
            raise ConfigError("the sound server has no echo-cancelled microphone", system.HINT)
        return Choice(setting, asked, devices=pair)
    return Choice(setting, asked)


def _automatic(
    microphone: SoundDevice | None, speaker: SoundDevice | None, installed: Collection[str]
) -> Choice:
    if microphone is None or speaker is None:
        return Choice(Method.OFF, "no microphone hears a speaker")
    if is_headset(speaker):
        return Choice(Method.OFF, f"{_called(speaker)} is a headset")
    if system.cancels_echo(microphone):
        return Choice(Method.SYSTEM, f"{_called(microphone)} cancels the echo")
    if installed:
        return Choice(Method.WEBRTC, f"{_called(speaker)} is not a headset")
    return Choice(
        Method.OFF, "no canceller is installed", f"with open speakers: {how_to_install('echo')}"
    )


def _called(device: SoundDevice) -> str:
    return device.description or device.name


def open_control(
    method: Method, rate: int, *, noise_suppression: bool = False, gain: bool = False
) -> EchoControl | None:
    """Return the echo control, for one thread; None if there is nothing to do.

    Args:
        method: as chosen, not ``AUTO``.
        rate: samples a second of the near end, 8000–48000.
        noise_suppression, gain: WebRTC's noise suppression and automatic gain, with any method.

    Raises:
        ConfigError: a required package is not installed or does not work.
        ValueError: the rate is out of range, or the method not chosen yet.
    """
    if method is Method.AUTO:
        raise ValueError("auto is not a method: choose one first")
    if method is Method.WEBRTC:
        return Guarded(new_webrtc(rate, noise_suppression=noise_suppression, gain=gain), rate)
    first = None
    if noise_suppression or gain:
        first = new_webrtc(rate, echo=False, noise_suppression=noise_suppression, gain=gain)
    return HalfDuplex(rate, first) if method is Method.HALF_DUPLEX else first
