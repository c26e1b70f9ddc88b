"""Run everything that must hold, for scripts/test, which has made the environment: ``run.py
yes|no ARGUMENT…``, where the first tells whether the sound tests can run, the rest is for pytest.

Tests that share nothing run in parallel, two more than there are processors, as many of them wait
for time to pass. The sound tests share a card and a clock, and lose audio where they have to
wait. They run one after the other, before the rest; or beside it where there are processors to
spare, Linux can keep the rest out of their way (its scheduling class for idle processors) and
nobody else is busy, as such a class may starve. What they print beside the rest comes when all is
over. The slowest of all tests come last.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

REPO = Path(__file__).absolute().parents[2]
NOTHING_FOUND = 5  # pytest's exit code where no test was selected
SLOWEST = 20
ENOUGH_PROCESSORS = 4
"""For sound tests beside others."""
LOOK = 0.5
"""Seconds in which to see whether others keep the processors busy."""
BUSY = 0.2
"""The share of the processors' time that is a busy machine."""


@dataclass
class Part:
    """One run of pytest.

    Attributes:
        name: what it is called in messages.
        options: for pytest.
        to: where its output goes; None: to ours.
    """

    name: str
    options: Sequence[str]
    to: IO[bytes] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, durations: Path) -> None:
        command = [sys.executable, "-m", "pytest", f"--durations-to={durations}", *self.options]
        self.process = subprocess.Popen(
            command,
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=self.to,
            stderr=None if self.to is None else subprocess.STDOUT,
        )

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait()

    def give_way(self, gives_way: bool = True) -> None:
        """Let it run only where a processor is idle, with all it has started; or as others again.
        On Linux."""
        assert self.process is not None
        for thread in list(threads(self.process.pid)):
            with contextlib.suppress(OSError):  # it has ended
                policy = os.sched_getscheduler(thread)
                if policy in (os.SCHED_OTHER, os.SCHED_IDLE):  # not those that run ahead
                    policy = os.SCHED_IDLE if gives_way else os.SCHED_OTHER
                    os.sched_setscheduler(thread, policy, os.sched_param(0))


def threads(process: int) -> Iterator[int]:
    """The threads of a process and of all its descendants, as Linux tells them."""
    with contextlib.suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            yield int(thread.name)
            for child in (thread / "children").read_text().split():
                yield from threads(int(child))


def is_busy() -> bool:
    """Whether others keep the processors busy, or nobody can tell."""
    try:
        before = processor_time()
        time.sleep(LOOK)
        after = processor_time()
    except OSError:
        return True
    passed = [late - early for early, late in zip(before, after, strict=True)]
    return sum(passed[:3]) > BUSY * sum(passed)


def processor_time() -> list[int]:
    """Of all processors: user, nice, system, idle, and what else Linux counts, in ticks."""
    return [int(word) for word in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]


def say(line: str = "") -> None:
    print(line, flush=True)


def processors() -> int:
    """Return how many this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on every system
        return os.cpu_count() or 1


def estimate(count: int) -> str:
    """How long all of it takes on an idle machine with so many processors, in words."""
    minutes = {1: "twelve", 2: "eight"}.get(count, "four")
    return f"about {minutes} minutes where {count} processor{'s are' if count > 1 else ' is'} idle"


def slowest(files: Iterable[Path]) -> list[str]:
    """The slowest of the tests whose durations are in these files."""
    rows = [line.split(" ", 1) for path in files for line in path.read_text("utf-8").splitlines()]
    rows.sort(key=lambda row: -float(row[0]))
    return [f"{float(seconds):6.2f} s  {test}" for seconds, test in rows[:SLOWEST]]


def failed(codes: dict[str, int]) -> list[str]:
    """The parts that did not pass; that one found no test is a failure only if none did."""
    if all(code == NOTHING_FOUND for code in codes.values()):
        return list(codes)
    return [name for name, code in codes.items() if code not in (0, NOTHING_FOUND)]


def check() -> list[str]:
    """Run what looks at the source only; return the commands that failed.

    Meanwhile all tests are collected once: that writes down their assertions as pytest compiles
    them, which each of the processes that run tests would do again.
    """
    collecting = subprocess.Popen(
        [sys.executable, "-m", "pytest", "--collect-only", "-q"],
        cwd=REPO,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    found = []
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        say(f"== {' '.join(command)}")
        if subprocess.run([sys.executable, "-m", *command], cwd=REPO, check=False).returncode:
            found.append(" ".join(command))
    collecting.wait()  # what fails in it is told by the tests
    return found


def tests(arguments: Sequence[str], *, sound: bool) -> list[str]:
    """Run the tests; return the parts that failed."""
    spare = sys.platform == "linux" and processors() >= ENOUGH_PROCESSORS
    beside = sound and spare and not is_busy()
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as heard:
        rest = Part(
            "pytest",
            ["--sound=none", "-n", str(processors() + 2), "--dist=loadgroup", *arguments],
        )
        on_card = Part("sound tests", ["--sound=only", *arguments], heard if beside else None)
        parts = [on_card, rest] if sound else [rest]
        files = [Path(folder, part.name) for part in parts]
        codes: dict[str, int] = {}
        try:
            for part, durations in zip(parts, files, strict=True):
                durations.touch()
                part.start(durations)
                if not beside:
                    codes[part.name] = part.wait()
            if beside:
                rest.give_way()
                codes[on_card.name] = on_card.wait()
                rest.give_way(False)
                codes[rest.name] = rest.wait()
        except KeyboardInterrupt:
            for part in parts:
                if part.process is not None:
                    part.wait()
            raise
        if beside and codes["sound tests"] != NOTHING_FOUND:
            say("== sound tests")
            heard.seek(0)
            sys.stdout.buffer.write(heard.read())
        say("== the slowest")
        for line in slowest(files):
            say(line)
        return failed(codes)


def main() -> int:
    has_card, *arguments = sys.argv[1:]
    began = time.monotonic()
    if not arguments:
        say(f"all tests take {estimate(processors())}")
    try:
        bad = check() + tests(arguments, sound=has_card == "yes")
    except KeyboardInterrupt:
        return 130
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    for name in bad:
        say(f"FAILED: {name}")
    say(f"{'failed' if bad else 'all passed'}; it took {minutes} min {seconds} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
