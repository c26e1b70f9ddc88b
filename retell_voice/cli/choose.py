"""The devices a call could switch to. All of it may take a while: not for the event loop."""

from __future__ import annotations

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.controls import Choice, Side
from retell_voice.devices.portaudio.devices import PortAudioMicrophone, PortAudioSpeaker
from retell_voice.devices.portaudio.library import in_use
from retell_voice.devices.portaudio.lookup import Direction, all_devices
from retell_voice.devices.ports import Microphone, Speaker

_SIDES: tuple[tuple[Side, Direction], ...] = (("near_end", "input"), ("far_end", "output"))


def choices(microphone: Microphone, speaker: Speaker) -> tuple[Choice, ...]:
    """Return all microphones, then all speakers; those given are in use.

    The list is the one PortAudio made when the program started: it makes a new one only when no
    device is open. No device is opened for this, since that could be audible.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
    """
    used = {
        (side, device.name, device.host_api)
        for side, device in (("near_end", microphone), ("far_end", speaker))
        if isinstance(device, PortAudioMicrophone | PortAudioSpeaker)
    }
    with in_use():
        return tuple(
            Choice(side, device.name, device.host_api, (side, device.name, device.host_api) in used)
            for side, direction in _SIDES
            for device in all_devices(direction)
        )


def find_microphone(choice: Choice, audio: AudioFormat) -> Microphone:
    """Return a chosen microphone, not yet open.

    Raises:
        DeviceError: it is no longer there.
    """
    return PortAudioMicrophone(audio, choice.name, host_api=choice.host_api)


def find_speaker(choice: Choice, audio: AudioFormat) -> Speaker:
    """Return a chosen speaker, not yet open.

    Raises:
        DeviceError: it is no longer there.
    """
    return PortAudioSpeaker(audio, choice.name, host_api=choice.host_api)
