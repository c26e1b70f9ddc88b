"""Run everything that must hold, for scripts/test, which has made the environment: ``run.py
yes|no ARGUMENT…``. The first argument says whether the sound tests can run; the others are
pytest's. Exit code: 0 if all passed, 1 if anything failed, 130 after Ctrl-C.

The sound tests come first, as they lose audio if they have to wait for a processor: one after the
other on one card, and beside them, on another, those that measure little. They compute little, so
mypy and the patient tests, which depend on no clock, run at the same time, but only while a
processor has nothing else to do. That takes Linux, two processors, and a machine on which nothing
else is busy, or they starve; on any other, all parts run one after the other. tests/conftest.py
lists the files of each kind. The output of what runs beside others is printed once all are over.

The other tests run in parallel, in four more processes than there are processors, as many of them
wait for time to pass. Each file is run by one process, so that what its tests share is made once.
The longest files come first, so that none of them is still running when all others are done. At the
end, the slowest tests are listed.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

REPO = Path(__file__).absolute().parents[2]
MYPY = "mypy"
NOTHING_FOUND = 5  # pytest's exit code if no test was selected
SLOWEST = 20
_LEAST_WEIGHT = 19
"""The nice value of a session that gives way to all others."""
PATIENCE = 600
"""Seconds that a test may take in the idle class."""
LOOK = 0.5
"""Seconds for which to see whether something else keeps the processors busy."""
BUSY = 0.2
"""Share of the processors' time above which a machine is busy."""


@dataclass
class Part:
    """A Python module that checks something, run in a process of its own.

    Attributes:
        name: what it is called in messages.
        command: the module and its arguments.
        to: where its output goes; None: where ours goes.
    """

    name: str
    command: Sequence[str]
    to: IO[bytes] | None = None
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)
    gives_way: bool = field(default=False, repr=False)

    def start(self, *, gives_way: bool = False) -> None:
        """Start it.

        Args:
            gives_way: let it have only what others leave of the processors. Linux only.
        """
        if self.to is None:
            say(f"== {self.name}")
        self.gives_way = gives_way
        self.process = subprocess.Popen(
            [sys.executable, "-m", *self.command],
            cwd=REPO,
            stdin=subprocess.DEVNULL,
            stdout=self.to,
            stderr=None if self.to is None else subprocess.STDOUT,
            start_new_session=gives_way,
        )
        if gives_way:
            self._weigh(_LEAST_WEIGHT, os.SCHED_IDLE)

    def wait(self) -> int:
        assert self.process is not None
        return self.process.wait()

    def interrupt(self) -> None:
        """Interrupt it, and its session if that is its own."""
        assert self.process is not None
        with contextlib.suppress(ProcessLookupError):
            if self.gives_way:
                os.killpg(self.process.pid, signal.SIGINT)
            else:
                self.process.send_signal(signal.SIGINT)

    def stop_giving_way(self) -> None:
        """Give it its share of the processors again."""
        self._weigh(0, os.SCHED_OTHER)

    def _weigh(self, nice: int, policy: int) -> None:
        """Set the weight of its session, and the class of all that it has started.

        Linux shares the processors out among sessions first (autogroups): against the threads of
        another session, the idle class alone means nothing.
        """
        assert self.process is not None
        for _ in range(20):
            try:
                Path(f"/proc/{self.process.pid}/autogroup").write_text(str(nice))
            except BlockingIOError:  # one of these in 0.1 s, for all of a usual user's sessions
                time.sleep(0.05)
            except OSError:  # it has ended, or this Linux does not do so
                break
            else:
                break
        for thread in list(threads(self.process.pid)):
            # It has ended, or this user may not take it out of that class again: it stays there.
            with contextlib.suppress(OSError):
                os.sched_setscheduler(thread, policy, os.sched_param(0))

    def tell(self) -> None:
        """Print its output, if that went elsewhere."""
        if self.to is not None:
            say(f"== {self.name}")
            self.to.seek(0)
            sys.stdout.buffer.write(self.to.read())
            sys.stdout.flush()


def threads(process: int) -> Iterator[int]:
    """The threads of a process and of all its descendants, from Linux's /proc."""
    with contextlib.suppress(OSError):  # it has ended
        for thread in Path(f"/proc/{process}/task").iterdir():
            yield int(thread.name)
            for child in (thread / "children").read_text().split():
                yield from threads(int(child))


def is_busy() -> bool:
    """Whether something else keeps the processors busy; True if this system does not say."""
    try:
        before = processor_time()
        time.sleep(LOOK)
        after = processor_time()
    except OSError:
        return True
    passed = [late - early for early, late in zip(before, after, strict=True)]
    return sum(passed[:3]) > BUSY * sum(passed)


def processor_time() -> list[int]:
    """Of all processors, in ticks: user, nice, system, idle, and whatever else Linux counts."""
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
    """How long everything takes on an idle machine with that many processors, in words."""
    minutes = {1: "twelve", 2: "five"}.get(count, "four")
    return f"about {minutes} minutes if {count} processor{'s are' if count > 1 else ' is'} idle"


def slowest(files: Iterable[Path]) -> list[str]:
    """The slowest of the tests whose durations are in these files."""
    rows = [line.split(" ", 1) for path in files for line in path.read_text("utf-8").splitlines()]
    rows.sort(key=lambda row: -float(row[0]))
    return [f"{float(seconds):6.2f} s  {test}" for seconds, test in rows[:SLOWEST]]


def failed(codes: dict[str, int]) -> list[str]:
    """The parts that did not pass. Finding no test is a failure only if no part found any."""
    found = [name for name, code in codes.items() if code not in (0, NOTHING_FOUND)]
    of_tests = [code for name, code in codes.items() if name != MYPY]
    return found + ["no test was found"] * all(code == NOTHING_FOUND for code in of_tests)


def check() -> list[str]:
    """Run the quick checks of the source; return the commands that failed."""
    found = []
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."]):
        say(f"== {' '.join(command)}")
        if subprocess.run([sys.executable, "-m", *command], cwd=REPO, check=False).returncode:
            found.append(" ".join(command))
    return found


def compiling() -> list[Part]:
    """Return a part that collects all tests, if this has never been done here: pytest then caches
    them as compiled. Otherwise each of the processes that run tests would compile them again."""
    tag = sys.implementation.cache_tag  # this Python's: there may be caches of others
    if any((REPO / "tests").glob(f"*/__pycache__/*.{tag}-pytest-*.pyc")):
        return []
    return [Part("compiling the tests", ["pytest", "--collect-only", "-q", "--sound=none"])]


def run(arguments: Sequence[str], *, sound: bool) -> list[str]:
    """Run mypy and the tests; return the parts that failed."""
    with tempfile.TemporaryDirectory() as folder:

        def tests(name: str, *options: str) -> Part:
            durations = Path(folder, name)
            durations.touch()
            return Part(name, ["pytest", f"--durations-to={durations}", *options, *arguments])

        mypy = Part(MYPY, ["mypy"])
        if sound and sys.platform == "linux" and processors() > 1 and not is_busy():
            patience = ("--patient=only", f"--timeout={PATIENCE}")
            patient = tests("patient tests", "--sound=none", *patience, *parallel(processors()))
            others = ("--sound=none", "--patient=none", *parallel(processors() + 4))
            on_cards = [
                tests("sound tests", "--sound=only", "--beside=none"),
                tests("sound tests beside them", "--sound=only", "--beside=only"),
            ]
            codes = beside(on_cards, [mypy, patient], tests("other tests", *others))
        else:
            on_card = tests("sound tests", "--sound=only")
            rest = tests("other tests", "--sound=none", *parallel(processors() + 4))
            codes = in_a_row([mypy, on_card, rest] if sound else [mypy, rest])
        say("== the slowest")
        for line in slowest(Path(folder).iterdir()):
            say(line)
    return failed(codes)


def parallel(processes: int) -> Sequence[str]:
    """pytest's options for running tests in this many processes."""
    return ("-n", str(processes), "--dist=loadfile", "--no-loadscope-reorder")


@contextlib.contextmanager
def leaving_none(parts: Sequence[Part]) -> Iterator[None]:
    """If the block fails, interrupt the parts that run, and wait for them."""
    try:
        yield
    except BaseException as error:
        running = [part for part in parts if part.process is not None]
        for part in running:
            # Ctrl-C interrupts all of the terminal's session.
            if part.gives_way or not isinstance(error, KeyboardInterrupt):
                part.interrupt()
        for part in running:
            part.wait()
        raise


def in_a_row(parts: Sequence[Part]) -> dict[str, int]:
    """Run one after the other; return their exit codes."""
    codes = {}
    first = compiling()
    with open(os.devnull, "wb") as nowhere, leaving_none([*first, *parts]):
        for part in first:  # what fails in it fails in the tests, too
            say(f"== {part.name}")
            part.to = nowhere
            part.start()
            part.wait()
        for part in parts:
            part.start()
            codes[part.name] = part.wait()
    return codes


def beside(on_cards: Sequence[Part], patient: Sequence[Part], rest: Part) -> dict[str, int]:
    """Run what is patient beside what needs a card, then the rest; return the exit codes."""
    first, parts = compiling(), [*patient, *on_cards, rest]
    on_card, *on_others = on_cards
    with contextlib.ExitStack() as stack:
        for part in (*first, *patient, *on_others):
            part.to = stack.enter_context(tempfile.TemporaryFile())
        with leaving_none([*first, *parts]):
            for part in (*first, *patient):
                part.start(gives_way=True)
            for part in (*on_others, on_card):
                part.start()
            for part in on_cards:
                part.wait()
            for part in first:
                part.stop_giving_way()
                part.wait()
            rest.start()
            rest.wait()
            for part in patient:
                part.stop_giving_way()
            codes = {part.name: part.wait() for part in parts}
        for part in (*on_others, *patient):
            part.tell()
    return codes


def end_by(number: int, _frame: object) -> None:
    """Take a signal as a reason to end, as Ctrl-C is one."""
    sys.exit(128 + number)


def main() -> int:
    has_card, *arguments = sys.argv[1:]
    for name in ("SIGTERM", "SIGHUP"):
        if (number := getattr(signal, name, None)) and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, end_by)
    began = time.monotonic()
    if not arguments:
        say(f"all tests take {estimate(processors())}")
    try:
        bad = check() + run(arguments, sound=has_card == "yes")
    except KeyboardInterrupt:
        say("interrupted")
        return 130
    minutes, seconds = divmod(round(time.monotonic() - began), 60)
    for name in bad:
        say(f"FAILED: {name}")
    say(f"{'failed' if bad else 'all passed'}; it took {minutes} min {seconds} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
