"""What tells whether the machine let the sound wait; and what is done about it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import pytest
from support import waits
from support.waits import Waits, unless_it_had_to_wait

linux = pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells")


@linux
def test_a_machine_that_is_too_busy_is_noticed() -> None:
    burn = "import time\nend = time.monotonic() + 20\nwhile time.monotonic() < end: pass"
    one_too_many = 2 * (os.cpu_count() or 1) + 1
    with Waits() as watched:
        burning = [subprocess.Popen([sys.executable, "-c", burn]) for _ in range(one_too_many)]
        deadline = time.monotonic() + 20
        while not watched.too_long and time.monotonic() < deadline:
            time.sleep(0.05)  # a poll with a deadline
        for each in burning:
            each.kill()
            each.wait()
    assert watched.too_long
    assert "waited" in str(watched)


WATCHES_ITSELF = """
from support.waits import Waits
with Waits() as watched:
    print(flush=True)
    input()
print(watched.longest)
"""


@linux
def test_whoever_was_stopped_notices_that_afterwards() -> None:
    command = [sys.executable, "-c", WATCHES_ITSELF]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    pipe = subprocess.PIPE
    with subprocess.Popen(command, env=env, stdin=pipe, stdout=pipe, text=True) as watching:
        assert watching.stdout
        watching.stdout.readline()
        watching.send_signal(signal.SIGSTOP)
        time.sleep(0.2)
        watching.send_signal(signal.SIGCONT)
        longest, _ = watching.communicate("\n", timeout=20)
    assert float(longest) > 0.1


@linux
def test_a_process_that_is_stopped_is_noticed() -> None:
    other = subprocess.Popen(["sleep", "60"])
    place, watched = Path(f"/proc/{other.pid}/task/{other.pid}"), Waits()
    try:
        other.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + 20
        while not waits._is_stopped(place) and time.monotonic() < deadline:
            time.sleep(0.01)  # a poll with a deadline
        waits.stopped_on_purpose.add(other.pid)
        watched._look(place)
        assert watched.longest == 0, "the test itself has stopped it"
        waits.stopped_on_purpose.remove(other.pid)
        watched._look(place)
    finally:
        waits.stopped_on_purpose.discard(other.pid)
        other.kill()
        other.wait()
    assert (watched.whose, watched.longest) == ("sleep", 0.03)


@linux
def test_processors_that_another_machine_has_had_are_noticed(tmp_path: Path, monkeypatch) -> None:
    """What a virtual machine is told about the one it runs on."""
    monkeypatch.setattr(waits, "_PROC", tmp_path)
    watched = Waits()
    for stolen in (700, 702):
        (tmp_path / "stat").write_text(
            f"cpu  9 9 9 9 9 9 9 {stolen + 80} 0 0\n"
            f"cpu0 9 9 9 9 9 9 9 80 0 0\ncpu1 9 9 9 9 9 9 9 {stolen} 0 0\nintr 12345 0\n"
        )
        assert not watched.too_long
        watched._look_at_processors()
    assert watched.longest == 2 / os.sysconf("SC_CLK_TCK")
    assert str(watched).startswith("this machine waited ")


class Clock:
    """Stands in for ``time`` in ``waits``: some seconds pass each time it is asked."""

    def __init__(self, step: float) -> None:
        self._now, self._step = 0.0, step

    def monotonic(self) -> float:
        self._now += self._step
        return self._now


@pytest.mark.parametrize("error", [AssertionError, TimeoutError])
@pytest.mark.parametrize(
    ("longest", "fails", "step", "holds"),
    [(1.0, 0, 1, 1), (0.0, 1, 1, 1), (1.0, 1, 1, 2), (1.0, 99, 1, 10), (1.0, 99, 30, 4)],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_only_what_had_to_wait_is_held_again_and_not_for_ever(
    monkeypatch: pytest.MonkeyPatch,
    longest: float,
    fails: int,
    step: float,
    holds: int,
    at_once: bool,
    error: type[Exception],
) -> None:
    held: list[int] = []
    monkeypatch.setattr(waits, "once_more", [])
    monkeypatch.setattr(waits, "time", Clock(step))
    monkeypatch.setattr(Waits, "_watch", lambda self: setattr(self, "longest", longest))

    @unless_it_had_to_wait
    def test(number: int) -> None:
        held.append(number)
        if len(held) <= fails:
            raise error

    @unless_it_had_to_wait
    async def awaited(number: int) -> None:
        held.append(number)
        if len(held) <= fails:
            raise error

    with pytest.raises(error) if fails >= holds else nullcontext():
        if at_once:
            test(7)
        else:
            await awaited(7)
    assert held == [7] * holds
    assert len(waits.once_more) == holds - 1
    assert all("; line " in each for each in waits.once_more)
