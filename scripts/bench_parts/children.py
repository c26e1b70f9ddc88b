"""Python programs that a measurement starts, speaks with and ends."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from bench_parts.figures import PATHS
from bench_parts.server import BenchError

_LONGEST = 1 << 26  # bytes of a line


@asynccontextmanager
async def child(*arguments: str) -> AsyncIterator[asyncio.subprocess.Process]:
    """Run Python with these arguments, our packages in its path; it ends with the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=os.environ | {"PYTHONPATH": PATHS},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=_LONGEST,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def next_line(
    process: asyncio.subprocess.Process, what: str, line_timeout: float = 30.0
) -> str:
    """Return the next line that a program prints.

    Raises:
        BenchError: it ended instead, or ``line_timeout`` seconds went by.
    """
    assert process.stdout is not None
    assert process.stderr is not None
    try:
        async with asyncio.timeout(line_timeout):
            line = (await process.stdout.readline()).decode().strip()
    except TimeoutError:
        raise BenchError(f"{what}: nothing for {line_timeout:g} s") from None
    if not line:
        error = BenchError(f"{what}: it ended")
        error.add_note((await process.stderr.read()).decode()[-800:])
        raise error
    return line
