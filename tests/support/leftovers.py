"""What must not outlive a test: threads, tasks, processes."""

from __future__ import annotations

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

PATIENCE = 5.0
"""Seconds in which what is ending ends."""
_IDLE = ("asyncio_", "ThreadPoolExecutor")  # they end with their pool


def running() -> list[str]:
    """The names of the threads of a call or a device that run now."""
    return [each.name for each in threading.enumerate() if each.name.startswith("retell-voice")]


@contextlib.contextmanager
def none_left() -> Iterator[None]:
    """Check that no thread and no process that is started within the block outlives it."""
    threads, children = set(threading.enumerate()), _children()
    yield
    deadline = time.monotonic() + PATIENCE
    new = set(threading.enumerate()) - threads
    for thread in new:
        if not thread.name.startswith(_IDLE):
            thread.join(max(0.0, deadline - time.monotonic()))
            assert not thread.is_alive(), f"the thread {thread.name!r} still runs"
    while (left := _children() - children) and time.monotonic() < deadline:
        time.sleep(0.01)  # a poll with a deadline
    assert not left, f"still runs: {', '.join(map(_command, left))}"


@contextlib.asynccontextmanager
async def no_task_left() -> AsyncIterator[None]:
    """Check that no task that is started within the block outlives it."""
    before = asyncio.all_tasks()
    yield
    left = asyncio.all_tasks() - before - {asyncio.current_task()}
    if left:
        await asyncio.wait(left, timeout=PATIENCE)
    left = {task for task in left if not task.done()}
    assert not left, f"still run: {left}"


def _children() -> set[str]:
    """The processes that this one has started and that have not ended, where the system tells."""
    found: set[str] = set()
    for thread in Path("/proc/self/task").glob("*/children"):
        with contextlib.suppress(OSError):  # the thread has ended
            found.update(thread.read_text().split())
    return {pid for pid in found if _command(pid)}


def _command(pid: str) -> str:
    """Its command line; empty if it has ended."""
    try:
        return Path("/proc", pid, "cmdline").read_text(errors="replace").replace("\0", " ").strip()
    except OSError:
        return ""
