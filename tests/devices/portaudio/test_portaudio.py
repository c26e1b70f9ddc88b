"""What must hold when PortAudio does not.

The streams themselves run on a sound server, in tests/sound, the callbacks in test_callbacks.
"""

import atexit
import threading

import pytest
import sounddevice

from retell_voice.devices.portaudio import devices as portaudio
from retell_voice.devices.portaudio import library
from retell_voice.devices.portaudio.lookup import Found
from retell_voice.errors import DeviceError


def test_a_stream_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(library, "_CLOSE_SECONDS", 0.05)
    forgotten: list[object] = []
    monkeypatch.setattr(atexit, "unregister", forgotten.append)
    hung, closed = threading.Event(), threading.Event()

    class Stream:
        def abort(self, ignore_errors):
            hung.wait(10)

        def close(self, ignore_errors):
            closed.set()

    library.enter()
    library.close(Stream())
    assert not closed.is_set()
    assert forgotten == [sounddevice._exit_handler]
    hung.set()
    assert closed.wait(5)
    forgotten.clear()
    library.enter()
    library.close(Stream())
    assert closed.is_set()
    assert forgotten == []


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
    error = portaudio._refused("microphone", device, 24000, sounddevice.PortAudioError(*arguments))
    with pytest.raises(DeviceError, match=f"^microphone 'Jabra' failed to open: {message}"):
        raise error
    assert hint in error.hint


def test_a_sound_system_that_hangs_is_given_up_and_what_comes_late_is_undone(monkeypatch):
    go, undone = threading.Event(), threading.Event()

    def hangs():
        go.wait(10)
        return "late"

    with pytest.raises(library.NoAnswer, match=r"has not answered for 0\.05 s") as caught:
        library.within(0.05, hangs, lambda _: undone.set())
    assert "--input-file" in caught.value.hint
    go.set()
    assert undone.wait(5)


def test_what_does_not_hang_returns_or_raises_as_it_is():
    assert library.within(5, lambda: 7) == 7
    with pytest.raises(ZeroDivisionError):
        library.within(5, lambda: 1 // 0)
