"""What must hold when PortAudio does not.

The streams themselves run on a sound server, in tests/sound, the callbacks in test_callbacks.
"""

import atexit
import ctypes
import signal
import subprocess
import sys
import threading

import pytest
import sounddevice

from retell_voice.devices.portaudio import library


def test_a_stream_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(library, "_CLOSE_SECONDS", 0.05)
    monkeypatch.setattr(library, "_end_after_python", lambda: None)
    monkeypatch.setattr(library, "_left_open", False)
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


@pytest.mark.skipif(sys.platform == "win32", reason="there it is in the code page of the system")
@pytest.mark.parametrize(
    ("name", "shown"), [(b"USB M\xfcller", "USB M\ufffdller"), ("Müller".encode(), "Müller")]
)
def test_the_name_of_a_device_may_be_no_utf8(
    monkeypatch: pytest.MonkeyPatch, name: bytes, shown: str
) -> None:
    monkeypatch.setattr(sounddevice, "_ffi_string", sounddevice._ffi_string)  # for afterwards
    library._read_any_name(sounddevice)
    kept = sounddevice._ffi.new("char[]", name)
    info = sounddevice._ffi.new("PaDeviceInfo *")
    info.structVersion, info.name, info.maxInputChannels = 2, kept, 1

    class Odd:
        def __getattr__(self, name: str) -> object:
            return getattr(real, name)

        def Pa_GetDeviceInfo(self, index: int) -> object:
            return info

    real = sounddevice._lib
    monkeypatch.setattr(sounddevice, "_lib", Odd())
    assert sounddevice.query_devices(0)["name"] == shown


LIBRARY_USER = """
import atexit, ctypes, sys
from retell_voice.devices.portaudio import library

class PortAudio:
    pass

c = ctypes.CDLL(None)
c.on_exit(c.abort, None)  # as ALSA's end, which crashes
atexit.register(print, "Python has ended in order")
library._module = PortAudio
if {left_open}:
    library.leave_open_at_exit()
sys.exit(7)
"""


@pytest.mark.skipif(
    sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "on_exit"),
    reason="only glibc can be told to end there",
)
@pytest.mark.parametrize(("left_open", "code"), [(True, 7), (False, -signal.SIGABRT)])
def test_a_library_user_ends_in_order_and_is_torn_down_by_nobody(
    left_open: bool, code: int
) -> None:
    command = [sys.executable, "-c", LIBRARY_USER.format(left_open=left_open)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (code, "Python has ended in order\n")


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
