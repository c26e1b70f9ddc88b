"""scripts/test: what counts as a failure, when parts run beside each other, and in which class."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from test_parts import run
from test_parts.run import Part, failed, is_busy, leaving_none, threads

FOR_EVER = "import threading; threading.Event().wait()"
WITH_A_CHILD = """
import subprocess, sys
with subprocess.Popen([sys.executable, "-c", "input()"]) as child:
    print(child.pid, flush=True)
"""


@pytest.mark.parametrize(
    ("codes", "found"),
    [
        ({"mypy": 0, "sound tests": 0, "other tests": 0}, []),
        ({"mypy": 1, "sound tests": 0, "other tests": 4}, ["mypy", "other tests"]),
        ({"mypy": 0, "sound tests": 5, "other tests": 0}, []),
        ({"mypy": 0, "sound tests": 5, "other tests": 5}, ["no test was found"]),
    ],
)
def test_what_has_failed(codes: dict[str, int], found: list[str]) -> None:
    assert failed(codes) == found


@pytest.mark.parametrize(
    ("passed", "busy"),
    [
        ((10, 0, 5, 85, 0, 0, 0, 0), False),
        ((10, 10, 10, 70, 0, 0, 0, 0), True),
        ((0, 0, 0, 20, 80, 0, 0, 0), False),  # waiting for a disk
    ],
)
def test_a_busy_machine_is_noticed(
    monkeypatch: pytest.MonkeyPatch, passed: tuple[int, ...], busy: bool
) -> None:
    times = iter([[1000] * 8, [1000 + each for each in passed]])
    monkeypatch.setattr(run, "LOOK", 0.0)
    monkeypatch.setattr(run, "processor_time", lambda: next(times))
    assert is_busy() == busy


def test_a_system_that_does_not_say_counts_as_busy(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> list[int]:
        raise FileNotFoundError("/proc/stat")

    monkeypatch.setattr(run, "processor_time", missing)
    assert is_busy()


@pytest.fixture
def part() -> Iterator[Part]:
    """One that goes on for ever."""
    with tempfile.TemporaryFile() as output:
        part = Part("a part", ["timeit", "-n1", "-r1", "-s", FOR_EVER], output)
        yield part
        assert part.process is not None
        part.process.kill()
        part.wait()


def classes(part: Part) -> set[int]:
    assert part.process is not None
    return {os.sched_getscheduler(each) for each in threads(part.process.pid)}


def nice(part: Part) -> int | None:
    """The nice value of its session; None if this Linux knows none."""
    assert part.process is not None
    with contextlib.suppress(OSError):
        if words := Path(f"/proc/{part.process.pid}/autogroup").read_text().split():
            return int(words[-1])
    return None


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's scheduling classes")
def test_what_gives_way_does_so_to_other_sessions_too(part: Part) -> None:
    part.start(gives_way=True)
    assert part.process is not None
    assert os.getsid(part.process.pid) == part.process.pid
    assert classes(part) == {os.SCHED_IDLE}
    assert nice(part) in (19, None)
    part.stop_giving_way()
    assert nice(part) in (0, None)
    if os.getuid() == 0:
        assert classes(part) == {os.SCHED_OTHER}


@pytest.mark.skipif(sys.platform != "linux", reason="only there does anything give way")
@pytest.mark.parametrize(
    ("error", "gives_way"), [(SystemExit, False), (SystemExit, True), (KeyboardInterrupt, True)]
)
def test_no_part_is_left_if_running_them_fails(
    part: Part, error: type[BaseException], gives_way: bool
) -> None:
    never_started = Part("another", [])
    with pytest.raises(error), leaving_none([part, never_started]):
        part.start(gives_way=gives_way)
        raise error
    assert part.process is not None
    assert part.process.returncode in (1, -signal.SIGINT)  # Python told of it, or had not begun


@pytest.mark.skipif(sys.platform != "linux", reason="Linux's /proc")
def test_the_threads_of_children_are_found() -> None:
    command = [sys.executable, "-c", WITH_A_CHILD]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            child = int(process.stdout.readline())
            assert set(threads(process.pid)) == {process.pid, child}
        finally:
            process.communicate(b"\n")
    assert list(threads(process.pid)) == []
