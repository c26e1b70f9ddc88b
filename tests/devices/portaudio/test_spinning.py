"""A thread of C's that prints for ever is held, and nobody else is."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time
from types import SimpleNamespace

import pytest

from retell_voice.devices.portaudio import spinning
from retell_voice.devices.portaudio.spinning import Guard, running_time

SPINS = """
import ctypes, os, sys, threading, time
from types import SimpleNamespace
from retell_voice.devices.portaudio.spinning import guard

libc = ctypes.CDLL(None)
libc.fprintf.restype = ctypes.c_int
stderr = ctypes.c_void_p.in_dll(libc, "stderr")
lines = 0

def spin():
    global lines
    stream.thread = threading.get_native_id()
    while True:  # as PortAudio does, which reads where stderr is each time
        libc.fprintf(ctypes.c_void_p(stderr.value), b"Expression failed\\n")
        lines += 1

stream = SimpleNamespace(calls=9, thread=0, longest=0.0)
guard().watch(stream)
spinning = threading.Thread(target=spin, daemon=True)
spinning.start()
deadline = time.monotonic() + 20
was = -1
while (lines > was or not guard().held) and time.monotonic() < deadline:
    was = lines
    time.sleep(0.3)
print(guard().held, lines - was, flush=True)
libc.fprintf(ctypes.c_void_p(stderr.value), b"said by another\\n")
guard().forget(stream)
os._exit(0)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PortAudio's threads spin on Linux")
def test_a_thread_that_prints_for_ever_is_held_and_the_others_print_on() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SPINS], capture_output=True, timeout=60, check=True
    )
    held, more = done.stdout.split()
    # On a busy machine one that merely waited for a processor may be counted as held, too.
    assert int(held) >= 1
    assert more == b"0"
    assert done.stderr.splitlines()[-1] == b"said by another"


FLUSHES = """
import atexit, ctypes
atexit.register(ctypes.CDLL(None).fflush, None)  # as C does then, if it is new enough
from retell_voice.devices.portaudio.spinning import guard

guard()
"""


@pytest.mark.skipif(sys.platform != "linux", reason="PortAudio's threads spin on Linux")
def test_the_process_can_end_although_c_flushes_all_files_then() -> None:
    subprocess.run([sys.executable, "-c", FLUSHES], timeout=20, check=True)


class Trapdoor:
    """Counts."""

    def __init__(self) -> None:
        self.sprung = 0

    def spring(self, seconds: float) -> None:
        self.sprung += 1


@pytest.mark.parametrize(
    ("ran", "calls", "sprung"),
    [
        ([0.0, 0.02, 0.04, 0.06], [5, 5, 5, 5], 1),  # it runs and does nothing
        ([0.0, 0.02, 0.04, 0.06], [5, 6, 7, 8], 0),  # it works
        ([0.0, 0.0, 0.001, 0.002], [5, 5, 5, 5], 0),  # it waits
        ([0.0, None, None, None], [5, 5, 5, 5], 0),  # it has ended
    ],
)
def test_only_a_thread_that_runs_and_never_calls_back_is_held(
    monkeypatch: pytest.MonkeyPatch, ran: list[float | None], calls: list[int], sprung: int
) -> None:
    times = iter(ran + [ran[-1]] * 9)
    monkeypatch.setattr(spinning, "running_time", lambda _: next(times))
    monkeypatch.setattr(spinning._CLOCK, "begin", lambda *_: None)
    trap = Trapdoor()
    guard = Guard(trap)  # type: ignore[arg-type]  # as a trap
    stream = SimpleNamespace(calls=0, thread=1, longest=0.0)
    guard.watch(stream)
    for count in calls:
        stream.calls = count
        guard.look()
    assert bool(trap.sprung) == bool(sprung)
    guard.forget(stream)
    guard.look()


def test_a_thread_that_spins_in_something_else_is_left_alone_in_the_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = iter(range(100_000))
    monkeypatch.setattr(spinning, "running_time", lambda _: float(next(clock)))
    monkeypatch.setattr(spinning._CLOCK, "begin", lambda *_: None)
    monkeypatch.setattr(spinning, "_MOMENT", 0.0)
    trap = Trapdoor()
    guard = Guard(trap)  # type: ignore[arg-type]  # as a trap
    guard.watch(SimpleNamespace(calls=1, thread=1, longest=0.0))
    for _ in range(400):
        guard.look()
    assert 10 < trap.sprung < 100


@pytest.mark.skipif(sys.platform != "linux", reason="PortAudio's threads spin on Linux")
@pytest.mark.parametrize(
    ("stderr", "pace"),
    [(subprocess.PIPE, spinning._CALM), (subprocess.DEVNULL, spinning._UNSEEN_CALM)],
)
def test_it_looks_rarely_where_what_a_thread_prints_is_lost_anyhow(
    stderr: int, pace: float
) -> None:
    watch = (
        "from types import SimpleNamespace\n"
        "from retell_voice.devices.portaudio.spinning import guard\n"
        "guard().watch(SimpleNamespace(calls=0, thread=0))\n"
        "print(guard()._pace)"
    )
    done = subprocess.run(
        [sys.executable, "-c", watch], stdout=subprocess.PIPE, stderr=stderr, timeout=20, check=True
    )
    assert float(done.stdout) == pace


def test_it_looks_often_only_while_a_stream_does_not_call_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begun: list[float] = []
    ended: list[object] = []
    monkeypatch.setattr(spinning, "running_time", lambda _: 0.0)

    def begin(pace: float, *_: object) -> int:
        begun.append(pace)
        return len(begun)

    monkeypatch.setattr(spinning._CLOCK, "begin", begin)
    monkeypatch.setattr(spinning._CLOCK, "end", ended.append)
    guard = Guard(Trapdoor())  # type: ignore[arg-type]  # as a trap
    stream = SimpleNamespace(calls=0, thread=1, longest=0.0)
    guard.watch(stream)
    for calls in (1, 2, 2, 2, 3, 4):
        stream.calls = calls
        guard.look()
    guard.forget(stream)
    assert begun == [spinning._CALM, spinning._LOOK, spinning._CALM]
    assert ended == [1, 2, 3]


@pytest.mark.skipif(sys.platform != "linux", reason="others do not tell")
def test_how_long_a_thread_has_run() -> None:
    before = running_time(threading.get_native_id())
    deadline = time.monotonic() + 0.05
    while time.monotonic() < deadline:
        pass
    after = running_time(threading.get_native_id())
    assert before is not None
    assert after is not None
    assert after > before
    assert running_time(os.getpid() + 10**7) is None
