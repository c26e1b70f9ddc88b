"""What tells whether the machine let the sound wait; and what is done about it."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import nullcontext

import pytest
from support import waits
from support.waits import ATTEMPTS, Waits, unless_it_had_to_wait

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


@pytest.mark.parametrize(
    ("longest", "fails", "holds"),
    [(1.0, 0, 1), (0.0, 1, 1), (1.0, 1, 2), (1.0, 99, ATTEMPTS)],
)
@pytest.mark.parametrize("at_once", [False, True])
async def test_only_what_had_to_wait_is_held_again(
    monkeypatch: pytest.MonkeyPatch, longest: float, fails: int, holds: int, at_once: bool
) -> None:
    held: list[int] = []
    monkeypatch.setattr(waits, "once_more", [])
    monkeypatch.setattr(Waits, "_watch", lambda self: setattr(self, "longest", longest))

    @unless_it_had_to_wait
    def test(number: int) -> None:
        held.append(number)
        assert len(held) > fails

    @unless_it_had_to_wait
    async def awaited(number: int) -> None:
        held.append(number)
        assert len(held) > fails

    with pytest.raises(AssertionError) if fails >= holds else nullcontext():
        if at_once:
            test(7)
        else:
            await awaited(7)
    assert held == [7] * holds
    assert len(waits.once_more) == holds - 1
