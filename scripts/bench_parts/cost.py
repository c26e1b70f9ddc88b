"""What one call takes from the machine, and how soon it is there."""

from __future__ import annotations

import subprocess
import sys
import time

from support.card import VirtualCard

from bench_parts.figures import REPO, Row, median, spread
from bench_parts.latency import chunks, tone
from bench_parts.process import cpu_seconds, memory
from bench_parts.server import Caller, MeasuringServer, bare_loop, real_program

_AHEAD = 5
_ROUNDS = 3


def use(card: VirtualCard, bare: bool, seconds: float) -> tuple[float, float]:
    """Return percent of a core and MB of a call in which both sides speak all the time."""
    with MeasuringServer() as server:
        command = bare_loop(server.url) if bare else real_program(server.url)
        with Caller(command, card.env) as caller:
            server.wait_for_frames(100)
            pid = caller.process.pid
            before, began = cpu_seconds(pid), time.monotonic()
            frames = [chunk.tobytes() for chunk in chunks(tone(seconds), 20)]
            server.send_in_real_time(
                [(max(0, number - _AHEAD) / 50, data) for number, data in enumerate(frames)]
            )
            used = (cpu_seconds(pid) - before) / (time.monotonic() - began)
            proportional = memory(pid)
            server.hang_up()
            server.wait_for_end()
    return used * 100, proportional


def cpu(card: VirtualCard, *, seconds: float = 60.0) -> list[Row]:
    """Measure CPU and memory of one call, and of the bare loop: the medians of three rounds.

    By turns, as the same work takes a machine a third more in one minute than in the next.
    """
    rounds = [
        [use(card, bare, seconds / _ROUNDS) for bare in (True, False)] for _ in range(_ROUNDS)
    ]
    (bare_percent, bare_memory), (percent, proportional) = (
        (median([each[0] for each in one]), median([each[1] for each in one]))
        for one in zip(*rounds, strict=True)
    )
    return [
        Row(
            f"CPU of one call, {seconds:g} s in {_ROUNDS} rounds",
            f"{percent:.1f} % of a core",
            "≤ 4 %",
            f"{percent / bare_percent:.2f}" if bare_percent else "",
            not percent <= 4,
        ),
        Row(
            "memory of one call, proportional",
            f"{proportional:.0f} MB",
            "≤ 70 MB",
            f"{proportional / bare_memory:.2f}",
            not proportional <= 70,
        ),
        Row("  bare loop", f"{bare_percent:.1f} % of a core, {bare_memory:.0f} MB"),
    ]


def startup(card: VirtualCard, *, runs: int = 7) -> list[Row]:
    """Measure process start → first frame at the server, and ``--version``."""
    version, ours, bare = [], [], []
    for _ in range(runs + 1):
        began = time.monotonic()
        subprocess.run(
            [sys.executable, "-m", "retell_voice", "--version"],
            cwd=REPO,
            check=True,
            capture_output=True,
        )
        version.append(time.monotonic() - began)
        ours.append(_first_frame(card, bare=False))
        bare.append(_first_frame(card, bare=True))
    # The first run of each reads the disk.
    version, ours, bare = version[1:], ours[1:], bare[1:]
    return [
        Row(
            "process start → first frame at the server",
            spread(ours),
            "≤ 800 ms",
            f"{median(ours) / median(bare):.2f}",
            not median(ours) <= 0.8,
        ),
        Row("  bare loop", spread(bare)),
        Row(
            "retell-voice --version",
            spread(version),
            "≤ 200 ms",
            missed=not median(version) <= 0.2,
        ),
    ]


def _first_frame(card: VirtualCard, *, bare: bool) -> float:
    with MeasuringServer() as server:
        command = bare_loop(server.url) if bare else real_program(server.url)
        with Caller(command, card.env) as caller:
            server.wait_for_frames(1)
            took = server.first - caller.started
            server.hang_up()
            server.wait_for_end()
    return took
