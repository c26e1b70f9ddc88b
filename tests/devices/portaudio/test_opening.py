"""Opening one stream of PortAudio; that of real devices is seen in tests/sound."""

import pytest
import sounddevice

from retell_voice.devices.portaudio.lookup import Found
from retell_voice.devices.portaudio.opening import refused
from retell_voice.errors import DeviceError


@pytest.mark.parametrize(
    ("arguments", "message", "hint"),
    [
        (("Error opening RawInputStream: Invalid sample rate", -9997), "Invalid sample", "24000"),
        (("Error opening RawInputStream: Device unavailable", -9985), "Device unav", "another"),
        (
            (
                "Error starting stream: Unanticipated host error",
                -9999,
                (0, -13, "Permission denied"),
            ),
            r"Unanticipated host error \(Permission denied\)",
            "no permission",
        ),
        (("Out of memory",), "Out of memory", "devices"),
        ((), "no reason given", "devices"),
    ],
)
def test_why_a_device_does_not_open(arguments, message, hint):
    device = Found(0, "Jabra", "ALSA", 1, 48000)
    error = refused("microphone", device, 24000, sounddevice.PortAudioError(*arguments))
    with pytest.raises(DeviceError, match=f"^microphone 'Jabra' failed to open: {message}"):
        raise error
    assert hint in error.hint
