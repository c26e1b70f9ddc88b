"""The sound server's own echo cancellation: whether it is there, and how to enable it. Pure.

PipeWire and PulseAudio present it as a pair of devices: a source (the microphone without the echo)
and a sink through which the agent must be played, or no echo is removed.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

HOW_TO = """\
On Linux with PipeWire or PulseAudio, until the next login:

    pactl load-module module-echo-cancel aec_method=webrtc

For good, with PipeWire: put this into ~/.config/pipewire/pipewire.conf.d/echo-cancel.conf and run
`systemctl --user restart pipewire`:

    context.modules = [
        { name = libpipewire-module-echo-cancel
          args = {
            library.name = aec/libspa-aec-webrtc
            source.props = { node.name = echo-cancel-source }
            sink.props = { node.name = echo-cancel-sink }
          } }
    ]

For good, with PulseAudio: add `load-module module-echo-cancel aec_method=webrtc` to
~/.config/pulse/default.pa and run `pulseaudio -k`.
"""
"""For people; ``find`` finds the result."""
HINT = "pactl load-module module-echo-cancel aec_method=webrtc"
"""The shortest way, in a line."""

_CANCELLED = re.compile(r"echo[\W_]*cancel|\baec\b|\baec_|_aec\b|no[\W_]*echo", re.IGNORECASE)
_MONITOR = re.compile(r"\.monitor$|^monitor of ", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SoundDevice:
    """A microphone or a speaker, as the system describes it.

    Attributes:
        name: by which it is opened.
        description: for people; empty if the name is enough.
        form_factor: according to the sound server: ``headset``, ``headphone``, ``speaker``,
            ``internal``; empty if unknown.
        port: the socket in use: ``analog-output-headphones``; empty if unknown.
    """

    name: str
    description: str = ""
    form_factor: str = ""
    port: str = ""


@dataclass(frozen=True, slots=True)
class EchoCancelled:
    """The sound server's pair; ``speaker`` is None if only the source was found."""

    microphone: SoundDevice
    speaker: SoundDevice | None


def cancels_echo(device: SoundDevice) -> bool:
    """Return whether a device is one end of the sound server's echo cancellation."""
    words = (device.name, device.description)
    return any(map(_CANCELLED.search, words)) and not any(map(_MONITOR.search, words))


def find(
    microphones: Iterable[SoundDevice], speakers: Iterable[SoundDevice]
) -> EchoCancelled | None:
    """Return the echo-cancelled pair among the devices, None if there is none."""
    microphone = next(filter(cancels_echo, microphones), None)
    if microphone is None:
        return None
    return EchoCancelled(microphone, next(filter(cancels_echo, speakers), None))
