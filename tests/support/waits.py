"""Whether the machine is too busy for sound: a program that waits for a processor loses audio.

Linux counts for each thread how long it was ready to run but did not (``/proc/…/schedstat``). On an
idle machine that is some tens of microseconds at a time. If a thread that carries sound waited for
most of a block, what is lost is not the program's fault, and the measurement has to be repeated.
The same holds if somebody stopped that thread, or if another virtual machine had the processor:
then the thread seems to run, and only ``/proc/stat`` tells (``steal``), in hundredths of a second.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from traceback import extract_tb
from types import TracebackType
from typing import Any, Self, TypeVar, cast

Test = TypeVar("Test", bound=Callable[..., Any])
_PROC = Path("/proc")
_EVERY = 0.03
LONG = 0.005
"""Seconds of waiting, half a block, that cost audio."""
PATIENCE = 90.0
"""Seconds for which a measurement that was spoiled is repeated: on a busy machine, several in a row
may be."""
ATTEMPTS = 10
"""More would let a test pass that mostly fails, whatever the machine does."""
_MOST = 240.0
"""Time limit of a test that may be repeated, seconds."""
_SLEEPERS = "ThreadPool"
"""How the names of the threads in Chromium's pool begin: they carry no sound, and newer kernels
report a wait as long as they slept, a minute."""

once_more: list[str] = []
"""What was repeated, and why; printed when all tests are over."""
stopped_on_purpose: set[int] = set()
"""Processes that a test itself has stopped, which is not the machine's fault."""


RUNS_ALONE = 20.0
"""Seconds a real-time thread may run without ever waiting; what spins is killed then, as nothing
else would run meanwhile."""


def run_ahead(pid: int, *, first: bool = False) -> None:
    """Let the threads of a process, and those they start, run before all that is not real-time, as
    a sound server does; leave it as it is where this user may not. ``first``: also before others
    that run ahead in this way, or a cycle of the server waits for what one of them computes.

    Not from its start: a program that imports for seconds without a wait would pass for one that
    spins.
    """
    if sys.platform == "linux":
        import resource  # noqa: PLC0415 -- not on every system

        try:
            resource.prlimit(pid, resource.RLIMIT_RTTIME, (round(RUNS_ALONE * 1e6),) * 2)
            priority = os.sched_param(30 if first else 20)
            for thread in Path(f"/proc/{pid}/task").iterdir():
                os.sched_setscheduler(int(thread.name), os.SCHED_RR, priority)
        except OSError:
            return  # not allowed, or it has ended


@contextlib.contextmanager
def ahead() -> Iterator[None]:
    """Let the threads that this process has now run before all that is not real-time, but not what
    they start; where this user may not, as usual."""
    if sys.platform != "linux":
        yield
        return
    threads = [int(each.name) for each in Path("/proc/self/task").iterdir()]
    real_time = os.SCHED_RR | os.SCHED_RESET_ON_FORK
    try:
        _schedule(threads, real_time, 10)
        yield
    finally:
        _schedule(threads, os.SCHED_OTHER | os.SCHED_RESET_ON_FORK, 0)


def _schedule(threads: Iterable[int], policy: int, priority: int) -> None:
    for thread in threads:
        with contextlib.suppress(OSError):  # not allowed, or it has ended
            os.sched_setscheduler(thread, policy, os.sched_param(priority))


class Waits:
    """A context manager that watches this process and all it has started.

    Attributes:
        longest: the most that a thread has waited within a moment of 30 ms or so, seconds.
        whose: the name of that thread's process.
    """

    def __init__(self) -> None:
        self.longest = 0.0
        self.whose = ""
        self._seen: dict[Path, int] = {}
        self._stolen: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="waits", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()

    def __str__(self) -> str:
        return f"{self.whose} waited {self.longest * 1000:.0f} ms for a processor"

    @property
    def too_long(self) -> bool:
        return self.longest >= LONG

    def _watch(self) -> None:
        is_over = False
        while not is_over:
            began, had_run = time.monotonic(), time.process_time()
            is_over = self._over.wait(_EVERY)  # and one more look at what came last
            stood = time.monotonic() - began - (time.process_time() - had_run)
            if stood - _EVERY >= LONG:  # whoever stopped all of it stopped the watch, too
                self._waited(stood - _EVERY, "this process")
            self._look_at_processors()
            for thread in _threads(_PROC / "self"):
                self._look(thread)

    def _look(self, thread: Path) -> None:
        try:
            waited = int((thread / "schedstat").read_text().split()[1])
            if (late := (waited - self._seen.get(thread, waited)) / 1e9) > self.longest:
                name = (thread / "comm").read_text().strip()
                if not name.startswith(_SLEEPERS):
                    self._waited(late, name)
            is_process = thread.name == thread.parts[-3]
            if is_process and int(thread.name) not in stopped_on_purpose and _is_stopped(thread):
                self._waited(_EVERY, (thread / "comm").read_text().strip())
        except (OSError, IndexError):
            return  # it has ended, or this kernel does not tell
        self._seen[thread] = waited

    def _look_at_processors(self) -> None:
        """See what other virtual machines have had of this one's processors meanwhile."""
        with contextlib.suppress(OSError, IndexError):  # this kernel does not tell
            lines = (_PROC / "stat").read_text().split("\n")
            stolen = [int(line.split()[8]) for line in lines[1:] if line.startswith("cpu")]
            if len(stolen) == len(self._stolen):
                most = max(now - then for now, then in zip(stolen, self._stolen, strict=True))
                self._waited(most / os.sysconf("SC_CLK_TCK"), "this machine")
            self._stolen = stolen

    def _waited(self, seconds: float, whose: str) -> None:
        if seconds > self.longest:
            self.longest, self.whose = seconds, whose


def _is_stopped(process: Path) -> bool:
    """Whether somebody has stopped a process; ``process``: any of its threads."""
    return (process / "stat").read_text().rpartition(")")[2].split()[0] == "T"


def _threads(process: Path) -> Iterator[Path]:
    """The threads of a process and of all its descendants."""
    try:
        for thread in (process / "task").iterdir():
            yield thread
            for child in (thread / "children").read_text().split():
                yield from _threads(_PROC / child)
    except OSError:
        return  # it has ended


def unless_it_had_to_wait(test: Test) -> Test:
    """Repeat a test that failed while the machine let the sound wait, for ``PATIENCE`` seconds and
    ``ATTEMPTS`` times at most."""
    import pytest  # noqa: PLC0415 -- what measures without tests needs none

    @contextlib.contextmanager
    def attempt(number: int, deadline: float) -> Iterator[None]:
        waits = Waits()
        try:
            with waits:
                yield
        except Exception as error:  # also what it did not find, or waited for in vain
            if number == ATTEMPTS or time.monotonic() > deadline or not waits.too_long:
                error.add_note(f"attempt {number}: {waits}")
                raise
            once_more.append(f"{test.__name__}: {waits}; {_told(error, test)}")
            raise _OnceMore from None

    @functools.wraps(test)
    async def held(*args: Any, **kwargs: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        for number in range(1, ATTEMPTS + 1):
            with contextlib.suppress(_OnceMore), attempt(number, deadline):
                await test(*args, **kwargs)
                return

    @functools.wraps(test)
    def held_at_once(*args: Any, **kwargs: Any) -> None:
        deadline = time.monotonic() + PATIENCE
        for number in range(1, ATTEMPTS + 1):
            with contextlib.suppress(_OnceMore), attempt(number, deadline):
                test(*args, **kwargs)
                return

    chosen = held if inspect.iscoroutinefunction(test) else held_at_once
    return cast(Test, pytest.mark.timeout(_MOST)(chosen))


def _told(error: Exception, test: Callable[..., Any]) -> str:
    """An error in one line, with the line of the test's file that it came from."""
    file = test.__code__.co_filename
    lines = [each.lineno for each in extract_tb(error.__traceback__) if each.filename == file]
    return f"line {lines[-1]}: {(str(error) or repr(error)).splitlines()[0]}"


class _OnceMore(Exception):
    """A test is to be repeated."""
