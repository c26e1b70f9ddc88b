"""The PortAudio library: who is using it, and when its list of devices can be refreshed.

PortAudio lists devices once, when it is initialised; devices plugged in later show up only after it
is terminated and initialised again, which ends every stream. So whoever uses it says so here, and a
refresh happens only when nobody does.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import sys
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from types import ModuleType
from typing import Any, TypeVar

from retell_voice.errors import DeviceError

_T = TypeVar("_T")

_FILES = "or use files: --input-file and --output-file, in Python WavMicrophone and WavSpeaker"
NO_SOUND_HINT = (
    "is a sound server (PipeWire, PulseAudio) running? `retell-voice devices` lists the devices; "
    if sys.platform == "linux"
    else "plug one in, or allow its use in the system's privacy settings; "
) + _FILES

_HANGS = (
    "the sound server may be stopped: `systemctl --user restart pipewire pipewire-pulse`; "
    if sys.platform == "linux"
    else ""
)
OPEN_SECONDS = 10.0
"""How long PortAudio may take to start, and a stream to open."""
_CLOSE_SECONDS = 1.0
_AT_WORK = ("retell-voice load", "retell-voice open", "retell-voice close")
"""Names of threads that PortAudio works on for us."""
_TURN_SECONDS = 0.5
_module: ModuleType | None = None
_lock = threading.Lock()
_changing = threading.Lock()  # held while a stream is opened or closed
_holds: weakref.WeakKeyDictionary[Any, threading.Lock] = weakref.WeakKeyDictionary()
_users = 0
_left_open = False


def portaudio() -> ModuleType:
    """Return the module ``sounddevice``, PortAudio initialised.

    PortAudio lists devices once, here; ``refresh`` does so again.

    Raises:
        DeviceError: PortAudio is not installed, does not start, or hangs while it does.
    """
    # Who comes while it hangs waits as long: Python lets nobody else import it meanwhile.
    return _module or within(OPEN_SECONDS, _load)


@contextmanager
def loading() -> Iterator[None]:
    """Load PortAudio meanwhile, on a thread of its own, for whoever asks for it in the end.

    Sees it through before it ends: a process that exits while the sound system starts may crash.
    """

    def load() -> None:
        with suppress(DeviceError):  # as whoever asks for it is told, too
            _load()

    thread = threading.Thread(target=load, name=_AT_WORK[0], daemon=True)
    thread.start()
    try:
        yield
    finally:
        thread.join(_CLOSE_SECONDS)
        if thread.is_alive():
            global _left_open  # noqa: PLW0603 - as in ``enter``
            _left_open = True


class NoAnswer(DeviceError):
    """The sound system hangs."""


def within(
    seconds: float, work: Callable[[], _T], undo: Callable[[_T], None] = lambda _: None
) -> _T:
    """Do work that may hang on a thread of its own, and return what it returns or raises.

    Args:
        seconds: how long it may take.
        work: it.
        undo: is given what comes of it when it is too late.

    Raises:
        NoAnswer: it hangs.
    """
    done: list[_T] = []
    failed: list[BaseException] = []
    given_up = threading.Event()

    def do() -> None:
        try:
            result = work()
        except BaseException as error:
            failed.append(error)
            return
        done.append(result)
        if given_up.is_set():
            undo(result)

    thread = threading.Thread(target=do, name=_AT_WORK[1], daemon=True)
    thread.start()
    thread.join(seconds)
    if failed:
        raise failed[0]
    if not done:
        given_up.set()
        if not done:
            raise NoAnswer(f"the sound system has not answered for {seconds:g} s", _HANGS + _FILES)
    return done[0]


def start(stream: Any, seconds: float | None = None) -> None:
    """Start a stream, within ``OPEN_SECONDS`` unless told; see ``within``, also for errors."""
    within(OPEN_SECONDS if seconds is None else seconds, partial(_held, stream, stream.start))


def abort(stream: Any) -> None:
    """Stop a stream at once, within ``OPEN_SECONDS``; see ``within``, also for errors."""
    within(OPEN_SECONDS, partial(_held, stream, partial(stream.abort, ignore_errors=False)))


def _held(stream: Any, work: Callable[[], None]) -> None:
    with _hold(stream):
        work()


def _hold(stream: Any) -> threading.Lock:
    """Return the lock of a stream: PortAudio ends the process where one thread closes what another
    one is just starting, as it may be for a second after its server has died."""
    with _lock:
        return _holds.setdefault(stream, threading.Lock())


def _load() -> ModuleType:
    global _module  # noqa: PLW0603 - as the module is one for the process
    try:
        import sounddevice  # noqa: PLC0415 - it opens the sound system
    except OSError as error:
        if sys.platform == "linux":
            hint = "install it: sudo apt install libportaudio2 (Fedora, Arch: portaudio)"
        else:
            hint = "reinstall the package sounddevice, which includes it"
        raise DeviceError("the PortAudio library was not found", f"{hint}; {_FILES}") from error
    except Exception as error:  # its error type is not available if the import fails
        raise DeviceError(f"PortAudio does not start: {error}", NO_SOUND_HINT) from error
    if sys.platform != "win32":  # there it knows what else a name may be
        _read_any_name(sounddevice)
    _module = sounddevice
    return sounddevice  # type: ignore[no-any-return]  # it has no types


def _read_any_name(module: Any) -> None:
    """Have it read names of devices that are not UTF-8: one would spoil the whole list."""
    if read := getattr(module, "_ffi_string", None):
        module._ffi_string = lambda text: read(text).decode("utf-8", "replace").encode()


def enter() -> None:
    """Note that PortAudio is in use; waits for a refresh in progress."""
    global _users  # noqa: PLW0603 - PortAudio is one for the process, too
    with _lock:
        _users += 1


def leave() -> None:
    """Note that it no longer is, once for each ``enter``. A stream that could not be closed is
    never left: a refresh would hang on it."""
    global _users  # noqa: PLW0603 - as in ``enter``
    with _lock:
        _users -= 1


def has_users() -> bool:
    """Return whether PortAudio is in use, even if only by a stream that hangs."""
    return _users > 0


@contextmanager
def in_use() -> Iterator[None]:
    """Keep the list of devices unchanged, so that their indices stay valid."""
    enter()
    try:
        yield
    finally:
        leave()


@contextmanager
def in_turn() -> Iterator[None]:
    """Open or close a stream meanwhile, no other one at the same time: PortAudio keeps its streams
    in a list that nothing protects. Whoever hangs is not waited for any longer than half a second.
    """
    alone = _changing.acquire(timeout=_TURN_SECONDS)
    try:
        yield
    finally:
        if alone:
            _changing.release()


def refresh() -> bool:
    """Refresh the list of devices, about 30 ms; return False if it is in use in this process,
    perhaps by another call. Streams that others opened with ``sounddevice`` are unknown here and
    would end.
    """
    with _lock:
        if _users:
            return False
        sd = portaudio()
        with suppress(sd.PortAudioError):  # it failed to start again the last time
            sd._terminate()
        sd._initialize()
        return True


def close(stream: Any, closed: Callable[[], None] = lambda: None) -> None:
    """Close a stream, waiting at most a second.

    PortAudio may hang if the device or server has died; the stream is then left to its thread.
    ``closed`` is called once it is closed.
    """

    def _close() -> None:
        try:
            with _hold(stream):
                stream.abort(ignore_errors=True)
                with in_turn():
                    stream.close(ignore_errors=True)
        except Exception:  # noqa: S110 - the stream is given up either way
            pass
        leave()
        closed()

    thread = threading.Thread(target=_close, name=_AT_WORK[2], daemon=True)
    thread.start()
    thread.join(_CLOSE_SECONDS)
    if thread.is_alive():
        leave_open_at_exit()


def leave_open_at_exit() -> None:
    """Keep a hanging PortAudio from blocking the interpreter's exit, too, or crashing it."""
    global _left_open  # noqa: PLW0603 - as in ``enter``
    _left_open = True
    _end_after_python()
    if at_exit := getattr(portaudio(), "_exit_handler", None):
        atexit.unregister(at_exit)


@functools.cache
def _end_after_python() -> None:
    """Have the process end, with its own status, once Python has ended in order.

    All that Python does at its end, ``atexit`` included, is done by then. Of what C calls at its
    end, what was registered later is done, too; what was registered earlier tears down ALSA and its
    plug-ins, and is left out. So are buffers of C's own files: Python's are its own.
    """
    c = ctypes.CDLL(None) if sys.platform == "linux" else None
    if c is not None and hasattr(c, "on_exit"):  # of glibc; others have nothing like it
        c.on_exit(c._exit, None)  # it calls _exit(status, None)


def is_left_open() -> bool:
    """Return whether threads run on in PortAudio that nothing can end: its own, or ours, as where
    the program is interrupted while a device opens. Python would take PortAudio from under them.

    A program of ours then ends by ``os._exit``. Whoever uses this as a library ends as usual, see
    ``leave_open_at_exit``; without glibc, that now and then crashes as C tears down ALSA.
    """
    return _left_open or any(each.name in _AT_WORK for each in threading.enumerate())
