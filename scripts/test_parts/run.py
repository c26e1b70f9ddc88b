"""Run everything that must hold, for scripts/test, which has made the environment: ``run.py
yes|no ARGUMENT…``, where the first tells whether the sound tests can run, the rest is for pytest.

Tests that share nothing run side by side, one more than there are processors, as many of them wait
for time to pass. The sound tests share a card and a clock, and lose audio where they have to wait:
they run one after the other before the rest, or beside it where there are processors to spare; what
they print then comes when all is over. The slowest of all tests come last.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

REPO = Path(__file__).absolute().parents[2]
NOTHING_FOUND = 5  # pytest's exit code where no test was selected
SLOWEST = 20
ENOUGH_PROCESSORS = 4
"""For sound tests beside others."""
# Below the sound tests; not so low that beside other people's busy processes nothing gets done.
NICE = 5


@dataclass
class Part:
    """One run of pytest.

    Attributes:
        name: what it is called in messages.
        options: for pytest.
        to: where its output goes; None: to ours.
        niceness: how much it gives way to others.
    """

    name: str
    options: Sequence[str]
    to: IO[bytes] | None = None
    niceness: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    def start(self, durations: Path) -> None:
        command = [sys.executable, "-m", "pytest", f"--durations-to={durations}", *self.options]
        if self.niceness and os.name == "posix":
            command = ["nice", "-n", str(self.niceness), *command]
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
    minutes = {1: "ten", 2: "seven"}.get(count, "three")
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
    """Run what looks at the source only; return the commands that failed."""
    found = []
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        say(f"== {' '.join(command)}")
        if subprocess.run([sys.executable, "-m", *command], cwd=REPO, check=False).returncode:
            found.append(" ".join(command))
    return found


def tests(arguments: Sequence[str], *, sound: bool) -> list[str]:
    """Run the tests; return the parts that failed."""
    beside = sound and processors() >= ENOUGH_PROCESSORS
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as heard:
        rest = Part(
            "pytest",
            ["--sound=none", "-n", str(processors() + 1), "--dist=loadgroup", *arguments],
            niceness=NICE if beside else 0,
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
            codes |= {part.name: part.wait() for part in parts}
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
