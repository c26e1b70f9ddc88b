"""When PortAudio's list may be made anew, how it is loaded, used and left, and what it may hang in.

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
from retell_voice.errors import DeviceError


def test_the_list_is_made_anew_only_when_nobody_uses_it(refreshed):
    library.enter()
    with library.in_use():
        assert not library.refresh()
    assert not library.refresh()
    assert refreshed == []
    library.leave()
    assert library.refresh()
    assert refreshed == ["terminate", "initialize"]


def test_portaudio_that_did_not_start_again_is_started_the_next_time(refreshed, monkeypatch):
    def not_running():
        raise sounddevice.PortAudioError("PortAudio not initialized")

    monkeypatch.setattr(sounddevice, "_terminate", not_running)
    assert library.refresh()
    assert refreshed == ["initialize"]


def test_whoever_comes_during_a_refresh_waits_for_its_end(refreshed, monkeypatch):
    under_way, go_on = threading.Event(), threading.Event()

    def slow():
        under_way.set()
        go_on.wait(5)
        refreshed.append("initialize")

    monkeypatch.setattr(sounddevice, "_initialize", slow)
    refreshing = threading.Thread(target=library.refresh)
    refreshing.start()
    assert under_way.wait(5)
    entered = []

    def enter():
        library.enter()
        entered.append(list(refreshed))

    user = threading.Thread(target=enter)
    user.start()
    user.join(0.05)
    assert entered == []
    go_on.set()
    user.join(5)
    refreshing.join(5)
    assert entered == [["terminate", "initialize"]]
    library.leave()


def test_streams_are_opened_and_closed_one_at_a_time_unless_one_hangs(monkeypatch):
    """PortAudio's list of them has no lock."""
    inside, go_on, second = threading.Event(), threading.Event(), threading.Event()

    def hold():
        with library.in_turn():
            inside.set()
            go_on.wait(10)

    def close():
        with library.in_turn():
            second.set()

    first = threading.Thread(target=hold)
    first.start()
    assert inside.wait(5)
    closing = threading.Thread(target=close)
    closing.start()
    assert not second.wait(0.05)
    go_on.set()
    assert second.wait(5)
    for thread in (first, closing):
        thread.join(5)

    monkeypatch.setattr(library, "_TURN_SECONDS", 0.01)
    inside.clear()
    go_on.clear()
    first = threading.Thread(target=hold)
    first.start()
    assert inside.wait(5)
    with library.in_turn():
        pass
    go_on.set()
    first.join(5)
    with library.in_turn():
        assert library._changing.locked()


def test_portaudio_loads_while_something_else_does(monkeypatch):
    began, go_on = threading.Event(), threading.Event()

    def load():
        began.set()
        go_on.wait(5)
        raise DeviceError("there is none")

    monkeypatch.setattr(library, "_load", load)
    monkeypatch.setattr(library, "_left_open", False)
    with library.loading():
        assert began.wait(5)
        go_on.set()
    assert not library.is_left_open()
    assert not [each for each in threading.enumerate() if each.name == "retell-voice load"]


def test_portaudio_that_hangs_as_it_loads_is_left_to_the_end_of_the_process(monkeypatch):
    go_on = threading.Event()
    monkeypatch.setattr(library, "_load", lambda: go_on.wait(5))
    monkeypatch.setattr(library, "_CLOSE_SECONDS", 0.01)
    monkeypatch.setattr(library, "_left_open", False)
    with library.loading():
        pass
    assert library.is_left_open()
    go_on.set()


def test_a_thread_that_is_still_in_portaudio_is_left_to_the_end_of_the_process(monkeypatch):
    """Whoever asked for it is no longer there: the program was interrupted."""
    monkeypatch.setattr(library, "_left_open", False)
    entered, go_on = threading.Event(), threading.Event()

    def hang() -> None:
        entered.set()
        go_on.wait(20)

    asking = threading.Thread(target=library.within, args=(20.0, hang))
    asking.start()
    assert entered.wait(20)
    assert library.is_left_open()
    go_on.set()
    asking.join()
    assert not library.is_left_open()


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
