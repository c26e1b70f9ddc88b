"""How long it takes from the server to the speaker and from the microphone to the server.

::

    server ─▶ network ─▶ program ─▶ speaker ─▶ monitor ─▶ recorder     sound, silence
    pacat ─▶ microphone ─▶ program ─▶ network ─▶ server                frame with the click
    pacat ─▶ monitor ─▶ recorder                                       inject + hear

All clocks are one clock. A recorder dates a sample when it arrives, less its place in its
block; a click is dated when ``pacat`` is given it. So the first two contain what hearing
costs, the third what injecting costs. Both together are measured alone, in the same run: how
they share it is not known, so that what is left without all of it is a lower bound.
"""

from __future__ import annotations

import random
import tempfile
import threading
import time
from dataclasses import dataclass, field
from functools import partial
from typing import IO, Any

import numpy as np
from support.card import VirtualCard
from support.pacat import Pacat
from support.recorder import RATE as CARD_RATE
from support.recorder import Recorder, Samples

from bench_parts.figures import Row, latency, limited, median, spread
from bench_parts.listen import glitches, sounds
from bench_parts.server import (
    RATE,
    BenchError,
    Caller,
    MeasuringServer,
    bare_loop,
    last_statistics,
    real_program,
)

TONE = 441.0
_LOUD = 3000
_PERIOD = 0.005


@dataclass
class Measured:
    """What one program reached; latencies in seconds."""

    silence: list[float] = field(default_factory=list)
    sound: list[float] = field(default_factory=list)
    frame: list[float] = field(default_factory=list)
    glitches: int = 0
    statistics: dict[str, Any] = field(default_factory=dict)


def tone(seconds: float, amplitude: int = 12000) -> Samples:
    """Return a tone at the call's rate that is loud from its first sample."""
    phase = 2 * np.pi * TONE * np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.cos(phase)).astype(np.int16)


def chunks(samples: Samples, chunk_ms: int = 100) -> list[Samples]:
    """Return samples as messages of that length."""
    size = RATE * chunk_ms // 1000
    return [samples[at : at + size] for at in range(0, len(samples), size)]


class Clicker(Pacat):
    """Speaks silence into a sink, without an end, and a click when it is told to.

    A context manager. ``clicked`` are the times at which ``pacat`` was given the clicks.
    """

    def __init__(self, card: VirtualCard, sink: str = "micfeed") -> None:
        super().__init__(card, sink, CARD_RATE, latency_ms=5)
        self.clicked: list[float] = []
        self._due = threading.Event()

    def click(self) -> None:
        """Click with the next 5 ms that are written."""
        self._due.set()

    def speak(self, pipe: IO[bytes]) -> None:
        silence = bytes(2 * round(_PERIOD * CARD_RATE))
        click = np.zeros(round(_PERIOD * CARD_RATE), np.int16)
        click[:96] = 14000
        due = time.monotonic()
        while not self.is_over:
            time.sleep(max(0.0, due - time.monotonic()))
            # Never in a burst: what waits in pacat would delay all that follows.
            due = max(due + _PERIOD, time.monotonic() - _PERIOD)
            if self._due.is_set():
                self._due.clear()
                self.clicked.append(time.monotonic())
                pipe.write(click.tobytes())
            else:
                pipe.write(silence)


def loop(card: VirtualCard, count: int = 40) -> list[float]:
    """Return what injecting and hearing cost together: pacat ─▶ card ─▶ parec, seconds."""
    with card.record("micfeed") as recorder, Clicker(card) as clicker:
        _click(clicker, count, random.Random(1))
        times = _heard_clicks(recorder)
    return _matched(clicker.clicked, times)


def _click(clicker: Clicker, count: int, dice: random.Random) -> None:
    time.sleep(0.5)
    for _ in range(count):
        clicker.click()
        time.sleep(dice.uniform(0.15, 0.25))
    time.sleep(0.2)


def _heard_clicks(recorder: Recorder) -> list[float]:
    found = sounds(recorder.samples(), CARD_RATE // 50, _LOUD)
    return [recorder.time_of(start) for start, _ in found]


def _matched(causes: list[float], effects: list[float], most: float = 0.14) -> list[float]:
    """Return how long after each cause its effect came; causes without one are left out."""
    found = []
    for cause in causes:
        after = [effect - cause for effect in effects if -0.02 < effect - cause < most]
        if after:
            found.append(min(after))
    return found


def measure(
    card: VirtualCard,
    server: MeasuringServer,
    command: list[str],
    *,
    repeats: int,
    clicks: int,
    seconds: float,
) -> Measured:
    """Measure one program: turns cut short, clicks, and a tone of so many seconds."""
    result = Measured()
    dice = random.Random(2)
    with tempfile.TemporaryFile() as output, Caller(command, card.env, output) as caller:
        server.wait_for_frames(50)
        _cut_turns_short(card, server, result, repeats, dice)
        with Clicker(card) as clicker:
            _click(clicker, clicks, dice)
        arrived = [at for at, frame in list(server.frames) if np.abs(frame).max() > _LOUD]
        result.frame = _matched(clicker.clicked, arrived)
        result.glitches = _hear_tone(card, server, seconds)
        if caller.process.poll() is not None:
            raise BenchError(f"{command[:3]} ended by itself")
        server.hang_up()
        server.wait_for_end()
        caller.process.wait(10.0)
        output.seek(0)
        result.statistics = last_statistics(output.read().decode())
    return result


def _cut_turns_short(
    card: VirtualCard, server: MeasuringServer, result: Measured, repeats: int, dice: random.Random
) -> None:
    burst = chunks(tone(2.0))
    for _ in range(repeats):
        with card.record() as recorder:
            time.sleep(dice.uniform(0.05, 0.1))
            began = server.send(*burst)
            time.sleep(dice.uniform(0.3, 0.35))
            cleared = server.send("clear")
            time.sleep(0.45)
            found = sounds(recorder.samples(), CARD_RATE // 20)
            if not found:
                continue
            result.sound.append(recorder.time_of(found[0][0]) - began)
            result.silence.append(recorder.time_of(found[-1][1] - 1) - cleared)


def _hear_tone(card: VirtualCard, server: MeasuringServer, seconds: float) -> int:
    with card.record() as recorder:
        frames = chunks(tone(seconds), 20)
        ahead = 10  # a server's lead, so that the network's jitter is not what is measured
        server.send_in_real_time(
            [(max(0, number - ahead) / 50, frame.tobytes()) for number, frame in enumerate(frames)]
        )
        time.sleep(0.2 + ahead / 50 + 0.3)
        return glitches(recorder.samples(), CARD_RATE, TONE)


def run(
    card: VirtualCard, *, repeats: int = 40, clicks: int = 60, seconds: float = 60.0
) -> list[Row]:
    """Measure the real program and the bare loop."""
    cost = loop(card)
    with MeasuringServer() as server:
        many = partial(measure, card, server, repeats=repeats, clicks=clicks, seconds=seconds)
        command = real_program(server.url, "--json")
        command.remove("--plain")
        bare, ours = many(bare_loop(server.url)), many(command)
    return [
        latency("clear → silence", ours.silence, 0.028, bare.silence),
        latency("first byte → first sound", ours.sound, 0.030, bare.sound),
        latency("click → frame at the server", ours.frame, 0.042, bare.frame),
        latency("  bare loop: clear → silence", bare.silence),
        latency("  bare loop: first byte → first sound", bare.sound),
        latency("  bare loop: click → frame", bare.frame),
        Row("  inject + hear alone, contained in these", spread(cost)),
        Row("  medians less inject + hear, at the least", _corrected(ours, median(cost))),
        limited(f"glitches in {seconds:g} s of tone", ours.glitches, 0, target="0"),
        Row("  bare loop: glitches", str(bare.glitches)),
        Row("  latency of the speaker at the end, its gaps", _raised(ours.statistics)),
    ]


def _raised(statistics: dict[str, Any]) -> str:
    """What a busy machine does to the figures: each step up of the latency adds to them."""
    stated, gaps = statistics.get("playback_latency"), statistics.get("playback_xruns", "?")
    return "?" if stated is None else f"{stated * 1e3:.0f} ms (10 is the least), {gaps}"


def _corrected(measured: Measured, cost: float) -> str:
    each = (measured.silence, measured.sound, measured.frame)
    return ", ".join(f"{(median(seconds) - cost) * 1e3:.1f}" for seconds in each) + " ms"
