"""Work on a thread of its own."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading

import pytest

from retell_voice.threads.detached import run_detached, run_to_completion


async def test_what_it_returns_or_raises() -> None:
    assert await run_detached(lambda: threading.current_thread().daemon)

    def fails() -> None:
        raise OSError("no such thing")

    with pytest.raises(OSError, match="no such thing"):
        await run_detached(fails)


async def test_who_does_not_wait_is_not_told() -> None:
    go, over = threading.Event(), threading.Event()

    def work() -> None:
        assert go.wait(10)
        over.set()
        raise OSError("late")

    future = run_detached(work)
    future.cancel()
    go.set()
    assert await asyncio.to_thread(over.wait, 10)
    assert future.cancelled()


async def test_to_the_end_also_when_nobody_waits_any_more() -> None:
    begun, go = threading.Event(), threading.Event()
    over = []

    def work() -> None:
        begun.set()
        over.append(go.wait(10))

    waiting = asyncio.create_task(run_to_completion(work))
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    await asyncio.sleep(0)
    go.set()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert over == [True]


async def test_what_hangs_is_left_to_itself_when_nobody_waits_any_more(monkeypatch) -> None:
    monkeypatch.setattr("retell_voice.threads.detached._HANG_SECONDS", 0.01)
    begun, go = threading.Event(), threading.Event()

    def hang() -> None:
        begun.set()
        go.wait()

    waiting = asyncio.create_task(run_to_completion(hang))
    await asyncio.to_thread(begun.wait, 10)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go.set()


def test_what_hangs_does_not_hold_up_the_program() -> None:
    code = (
        "import asyncio, threading; from retell_voice.threads.detached import run_detached\n"
        "async def main():\n"
        "    begun = threading.Event()\n"
        "    run_detached(lambda: (begun.set(), threading.Event().wait()))\n"
        "    begun.wait()\n"
        "asyncio.run(main())\n"
        "print('over')"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=20
    )
    assert (done.stdout, done.stderr) == ("over\n", "")
