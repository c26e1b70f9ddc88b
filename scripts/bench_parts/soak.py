"""A long call with many interruptions: is memory flat, and does everything add up?"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

from support.card import VirtualCard

from bench_parts.figures import Row, limited
from bench_parts.latency import chunks, tone
from bench_parts.process import memory
from bench_parts.server import (
    RATE,
    BenchError,
    Caller,
    MeasuringServer,
    last_statistics,
    real_program,
)

_EVERY = 5.0
"""Seconds between two looks at the memory."""
_EXACT = 0.001
"""Seconds of audio that rounding may cost: figures come in microseconds."""
_WARM = 0.25
"""Share of the run after which memory must be flat."""


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Return the slope of the line that fits (x, y) points best; 0 of fewer than two."""
    count = len(points)
    if count < 2:
        return 0.0
    mean_x = sum(x for x, _ in points) / count
    mean_y = sum(y for _, y in points) / count
    below = sum((x - mean_x) ** 2 for x, _ in points)
    return sum((x - mean_x) * (y - mean_y) for x, y in points) / below if below else 0.0


def run(
    card: VirtualCard,
    *,
    minutes: float = 30.0,
    clears: int = 1000,
    tell: Callable[[str], None] = print,
) -> list[Row]:
    """Hold one call of that length with that many clears."""
    command = real_program("", "--json")
    command.remove("--plain")
    sizes: list[tuple[float, float, float]] = []  # minutes, PSS, RSS
    with MeasuringServer() as server, tempfile.TemporaryFile() as output:
        server.keep = False
        command[command.index("--url") + 1] = server.url
        with Caller(command, card.env, output) as caller:
            server.wait_for_frames(100)
            sent = _interrupt(server, caller, minutes, clears, sizes, tell)
            time.sleep(0.5)
            first, last, count = server.first, server.last, server.count
            server.hang_up()
            server.wait_for_end()
            caller.process.wait(10.0)
        output.seek(0)
        statistics = last_statistics(output.read().decode())
    return _rows(statistics, sizes, sent, count / ((last - first) * 50), clears, minutes)


def _interrupt(
    server: MeasuringServer,
    caller: Caller,
    minutes: float,
    clears: int,
    sizes: list[tuple[float, float, float]],
    tell: Callable[[str], None],
) -> int:
    """Begin a turn and clear it, over and over; return the samples sent."""
    dice = random.Random(4)
    interval = minutes * 60 / clears
    burst = chunks(tone(interval * 1.5))
    begin = time.monotonic()
    sent, look = 0, begin
    for number in range(clears):
        server.send(*burst)
        sent += sum(len(chunk) for chunk in burst)
        # Most turns are cut short, some have been heard to their end or not begun.
        due = begin + (number + dice.uniform(0.3, 1.0)) * interval
        time.sleep(max(0.0, due - time.monotonic()))
        server.send("clear")
        time.sleep(max(0.0, begin + (number + 1) * interval - time.monotonic()))
        now = time.monotonic()
        if caller.process.poll() is not None:
            raise BenchError(f"the program ended after {number + 1} clears")
        if now >= look:
            look = now + _EVERY
            pid = caller.process.pid
            sizes.append(((now - begin) / 60, memory(pid), memory(pid, "Rss")))
            if len(sizes) % 12 == 1:
                tell(f"soak: {sizes[-1][0]:.1f} min, {number + 1} clears, {sizes[-1][1]:.1f} MB")
    return sent


def _rows(
    statistics: dict[str, Any],
    sizes: list[tuple[float, float, float]],
    sent: int,
    pace: float,
    clears: int,
    minutes: float,
) -> list[Row]:
    warm = [each for each in sizes if each[0] >= _WARM * minutes] or sizes
    growth = slope([(at, resident) for at, _, resident in warm]) * minutes
    received = statistics["bytes_received"] / 2 / RATE
    accounted = statistics["heard"] + statistics["discarded"] + statistics.get("overflowed", 0.0)
    xruns = f"{statistics['capture_xruns']}, {statistics['playback_xruns']}"
    rows = [
        Row(
            "  memory, first, last, most",
            f"{sizes[0][1]:.1f}, {sizes[-1][1]:.1f}, {max(size for _, size, _ in sizes):.1f} MB",
        ),
        limited("  growth in that time, by its slope", growth, 2.0, "{:.2f} MB"),
        Row(
            f"  clears handled of {clears}",
            str(statistics["clears"]),
            str(clears),
            missed=statistics["clears"] != clears,
        ),
        limited("  audio sent and not received", abs(sent / RATE - received), _EXACT, "{:.3f} s"),
        limited(
            "  received, neither heard nor discarded", abs(received - accounted), _EXACT, "{:.3f} s"
        ),
        Row(
            "  frames arrived by the clock's count",
            f"{pace * 100:.3f} %",
            "99.9–100.1 %",
            missed=not abs(pace - 1) <= 0.001,
        ),
        Row("  frames dropped", str(statistics["frames_dropped"]), "0"),
        Row("  xruns, capture and playback", xruns),
    ]
    missed = [row.what.strip() for row in rows if row.missed]
    verdict = f"not: {'; '.join(missed)}" if missed else "yes"
    what = f"soak of {minutes:g} min: memory is flat, everything adds up"
    return [Row(what, verdict, "yes", missed=bool(missed)), *rows]
