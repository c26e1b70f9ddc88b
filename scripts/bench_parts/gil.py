"""What is heard of a call while other threads of its process want the interpreter.

A tone goes each way: from the server to the speaker, from the microphone to the server.

::

    load begins       gaps, the latency rises by itself        none any more       load ends
        └──────────────────────────────┬────────────────────────────┬──────────────────┴──▶
                        gaps before ◀──┴── the last rise            └──▶ gaps after

Each side has its own rises. Then nothing is played, and the latency comes down again, a step every
20 s without a gap. Each load has a process of its own, and all of them stay until the end for that.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from types import TracebackType
from typing import Any, Literal, Self

import numpy as np
from support.card import VirtualCard
from support.recorder import RATE as CARD_RATE
from support.recorder import Recorder, Samples

from bench_parts.figures import REPO, Row
from bench_parts.latency import TONE, chunks, tone
from bench_parts.listen import glitches, sounds
from bench_parts.server import RATE, BenchError, MeasuringServer

Side = Literal["far_end", "near_end"]
Frames = Sequence[tuple[float, Samples]]
"""Arrival, by ``time.monotonic()``, and samples."""

LOADS = ("threads 0", "threads 1", "threads 2", "threads 4", "hold 80")
_LEAD = 2.0
"""Seconds of calm before the load."""
_SETTLED = 1.0
"""Seconds after a rise whose gaps are the rise's own: the device is opened anew."""
_AHEAD = 15
"""Frames that the server is ahead, so that gaps are not the network's."""
_REST = 1.0
"""Seconds from the end of the load until all that was played has come."""
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

    def rises(self, side: Side, since: float, until: float) -> list[float]:
        """Return when the speaker or the microphone got more latency."""
        return [
            each["clock"]
            for each in list(self.told)
            if each.get("side") == side and each["why"] == "gaps"
            if since <= each["clock"] <= until
        ]

    def latency(self, side: Side, until: float) -> float:
        """Return what the speaker or the microphone stated last, seconds."""
        stated = [each[side] for each in list(self.told) if side in each and each["clock"] <= until]
        return float((stated or [0.0])[-1] or 0.0)


@dataclass(frozen=True)
class Heard:
    """What a load did to the speaker or to the microphone; times in seconds.

    Attributes:
        before: gaps until the latency had risen; all of them if it did not rise.
        after: gaps from then on.
        rises: when it rose, since the load began.
        watched: how long ``after`` lasted; the whole load if nothing rose.
        latency: what the device stated when the load ended.
    """

    before: int
    after: int
    rises: list[float]
    watched: float
    latency: float


@dataclass(frozen=True)
class _Outcome:
    """What came of one load, and the tone that reached the server of what was played, seconds."""

    load: str
    speaker: Heard
    microphone: Heard
    arrived: float
    played: float
    ended: float


def judge(
    count: Callable[[float, float], int],
    rises: Sequence[float],
    latency: float,
    *,
    began: float,
    ended: float,
) -> Heard:
    """Part the gaps of a load at the last rise.

    Args:
        count: returns the gaps between two times.
        rises: when the latency rose.
        latency: at the end.
        began, ended: the load.
    """
    calm_from = min(ended, rises[-1] + _SETTLED) if rises else ended
    return Heard(
        before=count(began, calm_from),
        after=count(calm_from, ended),
        rises=[at - began for at in rises],
        watched=ended - (calm_from if rises else began),
        latency=latency,
    )


def gaps_played(recorder: Recorder, begin: float, end: float) -> int:
    """Count the gaps in what the speaker played between two times."""
    start = recorder.time_of(0)
    first, last = (max(0, round((at - start) * CARD_RATE)) for at in (begin, end))
    return glitches(recorder.samples()[first:last], CARD_RATE, TONE)


def gaps_arrived(frames: Frames, begin: float, end: float) -> int:
    """Count the gaps in what arrived at the server between two times.

    A frame is dated by its arrival: it was heard earlier by the microphone's latency.
    """
    return glitches(_joined([each for each in frames if begin <= each[0] < end]), RATE, TONE)


def tone_arrived(frames: Frames) -> float:
    """Return how much of a tone the frames hold, seconds."""
    return sum(end - start for start, end in sounds(_joined(frames), RATE // 200)) / RATE


def _joined(frames: Frames) -> Samples:
    return np.concatenate([np.empty(0, np.int16), *(samples for _, samples in frames)])


def _measure(
    card: VirtualCard, server: MeasuringServer, busy: _Busy, load: str, seconds: float
) -> _Outcome:
    played = _LEAD + seconds
    plan: list[tuple[float, str | bytes]] = [
        (max(0, number - _AHEAD) / 50, chunk.tobytes())
        for number, chunk in enumerate(chunks(tone(played), 20))
    ]
    with card.record() as recorder:
        card.play(tone(played), RATE)
        speaking = threading.Thread(target=server.send_in_real_time, args=(plan,), daemon=True)
        speaking.start()
        time.sleep(_LEAD)
        began = busy.load(load)
        speaking.join(seconds + 5.0)
        ended = busy.load("threads 0")
        time.sleep(_REST)
        frames = list(server.frames)
        arrived = tone_arrived(frames)
        if not arrived:
            raise BenchError("nothing came of the tone that was played into the microphone")

        def heard(side: Side, count: Callable[[float, float], int]) -> Heard:
            rises, latency = busy.rises(side, began, ended), busy.latency(side, ended)
            return judge(count, rises, latency, began=began, ended=ended)

        return _Outcome(
            load,
            heard("far_end", partial(gaps_played, recorder)),
            heard("near_end", partial(gaps_arrived, frames)),
            arrived,
            played,
            ended,
        )


def run(card: VirtualCard, *, seconds: float = 12.0, descent: float = _DESCENT) -> list[Row]:
    """Measure every load, and how the latency comes down when all are gone."""
    rows: list[Row] = []
    with ExitStack() as stack:
        outcomes: list[tuple[_Outcome, _Busy]] = []
        for load in LOADS:
            server = stack.enter_context(MeasuringServer())
            busy = stack.enter_context(_Busy(card, server.url))
            server.wait_for_frames(100)
            outcomes.append((_measure(card, server, busy, load, seconds), busy))
        time.sleep(descent)
        now = time.monotonic()
        for outcome, busy in outcomes:
            rows += _rows(outcome, busy, now)
    return rows


def _rows(outcome: _Outcome, busy: _Busy, now: float) -> list[Row]:
    kind, amount = outcome.load.split()
    busy_threads = f"{amount} busy thread{'' if amount == '1' else 's'}"
    what = busy_threads if kind == "threads" else f"lock held for {amount} ms at a time"
    speaker, microphone = outcome.speaker, outcome.microphone
    return [
        gaps_row(f"{what}: gaps at the speaker", speaker),
        gaps_row("  gaps at the microphone", microphone),
        Row("  tone that arrived from it", f"{outcome.arrived:.2f} of {outcome.played:.2f} s"),
        latency_row(
            (speaker, microphone),
            (busy.latency("far_end", now), busy.latency("near_end", now)),
            now - outcome.ended,
        ),
    ]


def gaps_row(what: str, heard: Heard) -> Row:
    """Return the row of one side's gaps: none is the target once its latency has risen."""
    if not heard.rises:
        figures = f"{heard.before} in {heard.watched:.0f} s"
        return Row(what, figures, "0", missed=heard.before > 0)
    steps = ", ".join(f"{at:.1f}" for at in heard.rises)
    return Row(
        what,
        f"{heard.before} until it rose at {steps} s, {heard.after} in {heard.watched:.0f} s after",
        "0 after",
        missed=heard.after > 0,
    )


def latency_row(heard: Sequence[Heard], later: Sequence[float], seconds: float) -> Row:
    """Return the row of both sides' latencies, and of those ``seconds`` after the load.

    What has risen must have come down.
    """
    risen = [(each.latency, now) for each, now in zip(heard, later, strict=True) if each.rises]
    then, now = (
        ", ".join(f"{latency * 1e3:.0f}" for latency in each) + " ms"
        for each in ([each.latency for each in heard], later)
    )
    return Row(
        "  latency of speaker, microphone",
        f"{then}; {seconds:.0f} s later {now}" if risen else then,
        "lower" if risen else "",
        missed=any(now >= then for then, now in risen),
    )
