"""What is heard of a call while other threads of its process want the interpreter.

::

    load begins       gaps, the latency rises by itself        none any more       load ends
        └──────────────────────────────┬────────────────────────────┬──────────────────┴──▶
                        gaps before ◀──┴── the last rise            └──▶ gaps after

Then nothing is played, and the latency comes down again, a step every 20 s without a gap. Each
load has a process of its own, and all of them stay until the end for that.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Self

from support.card import VirtualCard
from support.recorder import RATE as CARD_RATE
from support.recorder import Recorder

from bench_parts.figures import REPO, Row
from bench_parts.latency import TONE, chunks, tone
from bench_parts.listen import glitches
from bench_parts.server import RATE, BenchError, MeasuringServer

LOADS = ("threads 0", "threads 1", "threads 2", "threads 4", "hold 80")
_LEAD = 2.0
"""Seconds of calm before the load."""
_SETTLED = 1.0
"""Seconds after a rise whose gaps are the rise's own: the device is opened anew."""
_AHEAD = 15
"""Frames that the server is ahead, so that gaps are not the network's."""
_DESCENT = 63.0
"""Seconds after the last load: three steps down, if nothing else disturbs."""


class _Busy:
    """A process of ``busy``; a context manager that ends it."""

    def __init__(self, card: VirtualCard, url: str) -> None:
        env = card.env | {"PYTHONPATH": str(REPO)}
        self._process = subprocess.Popen(
            [sys.executable, str(REPO / "scripts" / "bench_parts" / "busy.py"), url, str(RATE)],
            env=env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.told: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read, daemon=True)

    def __enter__(self) -> Self:
        self._reader.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.terminate()
            self._process.wait(5.0)
        self._process.kill()
        self._process.wait()
        self._reader.join(5.0)

    def _read(self) -> None:
        for line in self._process.stdout or ():
            self.told.append(json.loads(line))

    def load(self, words: str) -> float:
        """Change what the other threads do; return when."""
        if self._process.stdin is None or self._process.poll() is not None:
            raise BenchError("the busy process ended by itself")
        self._process.stdin.write(words + "\n")
        self._process.stdin.flush()
        return time.monotonic()

    def rises(self, since: float, until: float) -> list[float]:
        """Return when the speaker got more latency."""
        return [
            each["clock"]
            for each in list(self.told)
            if each.get("side") == "far_end" and each["why"] == "gaps"
            if since <= each["clock"] <= until
        ]

    def latency(self, until: float) -> float:
        """Return what the speaker stated last, seconds."""
        stated = [
            each["far_end"]
            for each in list(self.told)
            if "far_end" in each and each["clock"] <= until
        ]
        return float((stated or [0.0])[-1] or 0.0)


@dataclass
class _Heard:
    """What came of one load; times in seconds."""

    load: str
    before: int = 0
    after: int = 0
    watched: float = 0.0
    rises: list[float] = field(default_factory=list)
    latency: float = 0.0
    ended: float = 0.0


def _between(recorder: Recorder, begin: float, end: float) -> int:
    samples = recorder.samples()
    start = recorder.time_of(0)
    first, last = (max(0, round((at - start) * CARD_RATE)) for at in (begin, end))
    return glitches(samples[first:last], CARD_RATE, TONE)


def _hear(
    card: VirtualCard, server: MeasuringServer, busy: _Busy, load: str, seconds: float
) -> _Heard:
    frames = [chunk.tobytes() for chunk in chunks(tone(_LEAD + seconds), 20)]
    plan: list[tuple[float, str | bytes]] = [
        (max(0, number - _AHEAD) / 50, data) for number, data in enumerate(frames)
    ]
    heard = _Heard(load)
    with card.record() as recorder:
        speaking = threading.Thread(target=server.send_in_real_time, args=(plan,), daemon=True)
        speaking.start()
        time.sleep(_LEAD)
        began = busy.load(load)
        speaking.join(seconds + 5.0)
        ended = busy.load("threads 0")
        time.sleep(0.5)
        heard.rises = [at - began for at in busy.rises(began, ended)]
        calm_from = began + heard.rises[-1] + _SETTLED if heard.rises else ended
        heard.before = _between(recorder, began, calm_from)
        heard.after = _between(recorder, calm_from, ended)
    heard.watched = max(0.0, ended - calm_from)
    heard.latency, heard.ended = busy.latency(ended), ended
    return heard


def run(card: VirtualCard, *, seconds: float = 12.0, descent: float = _DESCENT) -> list[Row]:
    """Measure every load, and how the latency comes down when all are gone."""
    rows: list[Row] = []
    with ExitStack() as stack:
        all_heard: list[tuple[_Heard, _Busy]] = []
        for load in LOADS:
            server = stack.enter_context(MeasuringServer())
            busy = stack.enter_context(_Busy(card, server.url))
            server.wait_for_frames(100)
            all_heard.append((_hear(card, server, busy, load, seconds), busy))
        time.sleep(descent)
        now = time.monotonic()
        for heard, busy in all_heard:
            rows += _rows(heard, busy.latency(now), now - heard.ended)
    return rows


def _rows(heard: _Heard, latency: float, later: float) -> list[Row]:
    kind, amount = heard.load.split()
    what = f"{amount} busy threads" if kind == "threads" else f"lock held for {amount} ms at a time"
    if not heard.rises:
        return [
            Row(f"{what}: gaps", f"{heard.before}", "0", missed=heard.before > 0),
            Row("  latency all the time", f"{heard.latency * 1e3:.0f} ms"),
        ]
    steps = ", ".join(f"{at:.1f}" for at in heard.rises)
    return [
        Row(f"{what}: gaps before the latency had risen", f"{heard.before}, at {steps} s"),
        Row(
            f"  gaps in {heard.watched:.0f} s after that",
            f"{heard.after}, with {heard.latency * 1e3:.0f} ms",
            "0",
            missed=heard.after > 0,
        ),
        Row(
            f"  latency {later:.0f} s after the load",
            f"{latency * 1e3:.0f} ms",
            "lower",
            missed=latency >= heard.latency,
        ),
    ]
