"""Parrot calls at once on one emulator: is what they hear in time, and what does it cost?

::

    this process: the emulator       another: all the callers, in one event loop

Each caller sends the bundled caller's voice in frames of 20 ms in real time and a heartbeat
twice a second. All begin within a second and then do the same at the same time, which is worse
than life. The parrot is a state machine whose clock is the caller's audio, so it is known what
it says and after which frame of the caller's: a message of its audio is due when that frame was
sent, plus the length of what it has said before in that turn, for then the caller plays it. It
is late if it comes more than 20 ms after that, and leaves a gap if all before it has been played
for as long. The answer to a heartbeat waits behind all the audio that the callers' process has
still to read.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from bench_parts.children import child, next_line
from bench_parts.farm import LATE
from bench_parts.figures import Row, latency, limited, spread
from bench_parts.process import cpu_seconds, memory
from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import CALLER, Emulator
from retell_voice.emulator.actions import Action, Say, Update
from retell_voice.emulator.parrot import Parrot
from retell_voice.emulator.recordings import GREETING, load_speech

FRAME = 0.02
_CHUNK_MS = 100  # of the emulator's audio, its default
_GRACE = 1.0  # seconds after the last frame


def frames(seconds: float, rate: int) -> list[Samples]:
    """Return what a caller says, in frames; from the beginning again where it is over."""
    voice, size = load_speech(CALLER, rate).samples, round(rate * FRAME)
    whole = len(voice) // size
    return [voice[number % whole * size :][:size] for number in range(round(seconds / FRAME))]


@dataclass
class Turn:
    """What the parrot says in one go.

    Attributes:
        after: how many frames the caller has sent when it begins.
        due: seconds from then at which each message is played.
    """

    after: int
    due: list[float] = field(default_factory=list)


def schedule(said: Sequence[Samples], rate: int) -> list[Turn]:
    """Return what the parrot has to say to a caller who says this, in frames."""
    parrot = Parrot(load_speech(GREETING, rate), chunk_ms=_CHUNK_MS)
    turns: list[Turn] = []

    def take(actions: list[Action], after: int) -> None:
        length = 0.0
        for action in actions:
            if isinstance(action, Update) and action.turn == "agent":
                turns.append(Turn(after))
            elif isinstance(action, Say):
                turns[-1].due.append(length)
                length += len(action.samples) / rate

    take(parrot.start(), 0)
    for number, samples in enumerate(said):
        take(parrot.receive(samples), number + 1)
    return turns


def lateness(due: Sequence[Sequence[float]], came: Sequence[Sequence[float]]) -> list[float]:
    """Return how late each message came, seconds, negative if before it was due.

    What is due and never came is endlessly late.
    """
    late = []
    for number, turn in enumerate(due):
        times = list(came[number]) if number < len(came) else []
        times += [float("inf")] * (len(turn) - len(times))
        late += [at - each for at, each in zip(times, turn, strict=False)]
    return late


def gaps(due: Sequence[Sequence[float]], came: Sequence[Sequence[float]]) -> int:
    """Return how many messages came when all that came before them had been played."""
    late = 0
    for turn, times in zip(due, came, strict=False):
        ends = times[0] - turn[0] if times else 0.0  # how late the turn is, gaps included
        for each, at in zip(turn, times, strict=False):
            late += at - each > ends + LATE
            ends = max(ends, at - each)
    return late


@dataclass
class Seen:
    """What the callers have seen, seconds.

    Attributes:
        began: how late each turn of the parrot's began.
        late: how late each message of its audio came.
        gaps: how many of these came when all before them had been played.
        sent: how late their own frames were sent, which is not the emulator's doing.
        answered: how long the answer to a heartbeat took.
        cpu: processor time used.
    """

    began: list[float] = field(default_factory=list)
    late: list[float] = field(default_factory=list)
    gaps: int = 0
    sent: list[float] = field(default_factory=list)
    answered: list[float] = field(default_factory=list)
    cpu: float = 0.0


class Callers:
    """Every caller, in the event loop of one process."""

    def __init__(self, seconds: float, rate: int) -> None:
        said = frames(seconds, rate)
        self._turns = schedule(said, rate)
        self._said = [AudioFormat(rate=rate).encode(each) for each in said]
        self.seen = Seen()

    async def call(self, url: str, number: int, calls: int) -> None:
        """Hold one call."""
        await asyncio.sleep(number / calls)
        async with connect(f"{url}?enable_update=true", compression=None) as client:
            sent = [start := time.monotonic()]
            asked: list[float] = []
            came: list[list[float]] = []
            reading = asyncio.create_task(self._read(client, asked, came))
            for frame, data in enumerate(self._said):
                due = start + frame * FRAME
                await asyncio.sleep(max(0.0, due - time.monotonic()))
                sent.append(time.monotonic())
                self.seen.sent.append(sent[-1] - due)
                await client.send(data)
                if frame % 25 == number % 25:
                    asked.append(time.monotonic())
                    await client.send("ping")
            await asyncio.sleep(_GRACE)
        await reading
        due_at = [[sent[turn.after] + each for each in turn.due] for turn in self._turns]
        self.seen.late += lateness(due_at, came)
        self.seen.gaps += gaps(due_at, came)
        self.seen.began += [
            turn[0] - due[0] for turn, due in zip(came, due_at, strict=False) if turn
        ]

    async def _read(
        self, client: ClientConnection, asked: list[float], came: list[list[float]]
    ) -> None:
        with contextlib.suppress(ConnectionClosed):
            async for message in client:
                if isinstance(message, bytes):
                    came[-1].append(time.monotonic())
                elif message == "pong":
                    self.seen.answered.append(time.monotonic() - asked.pop(0))
                elif '"agent_turn"' in message:
                    came.append([])


async def be_the_callers(seconds: float, rate: int, urls: Sequence[str]) -> Seen:
    """Hold all the calls at once."""
    callers = Callers(seconds, rate)
    before = cpu_seconds(os.getpid())
    calls = (callers.call(url, number, len(urls)) for number, url in enumerate(urls))
    await asyncio.gather(*calls)
    callers.seen.cpu = cpu_seconds(os.getpid()) - before
    return callers.seen


async def _watch(lags: list[float]) -> None:
    while True:
        due = time.monotonic() + 0.01
        await asyncio.sleep(0.01)
        lags.append(time.monotonic() - due)


async def _measure(calls: int, seconds: float, rate: int) -> list[Row]:
    lags: list[float] = []
    async with Emulator(chunk_ms=_CHUNK_MS) as emulator:
        registered = [emulator.register(AudioFormat(rate=rate)) for _ in range(calls)]
        urls = [f"{emulator.url}/{call.call_id}" for call in registered]
        gc.collect()
        gc.freeze()  # as `retell-voice emulator` does
        async with child("-m", __name__, str(seconds), str(rate), *urls) as callers:
            before, watching = cpu_seconds(os.getpid()), asyncio.create_task(_watch(lags))
            seen = Seen(**json.loads(await next_line(callers, "the callers", 2 * seconds + 30)))
            used = cpu_seconds(os.getpid()) - before
            watching.cancel()
        size = memory(os.getpid())
    return rows(calls, seconds, seen, lags, used, size)


def rows(
    calls: int, seconds: float, seen: Seen, lags: Sequence[float], used: float, size: float
) -> list[Row]:
    """Return the lines of the table; ``used`` is seconds of processor time, ``size`` MB."""
    late = sum(each > LATE for each in seen.late)
    share, others = used / seconds * 100, seen.cpu / seconds * 100
    return [
        Row(f"{calls} parrot calls at once", f"{seconds:g} s"),
        limited("  late frames", late, 0, f"{{:g}} of {len(seen.late)}", "0"),
        limited("  gaps in what is heard", seen.gaps, 0, target="0"),
        latency("  the parrot begins to speak late by", seen.began),
        latency("  a heartbeat's answer takes", seen.answered),
        Row("  the emulator's event loop lags", spread(lags)),
        Row("  the emulator uses", f"{share:.0f} % of a core, {share / calls:.2f} % a call"),
        Row("  its memory", f"{size:.0f} MB"),
        Row("  (the callers' own frames are late)", spread(seen.sent)),
        Row("  (the callers use)", f"{others:.0f} % of a core"),
    ]


def run(*, calls: int = 100, seconds: float = 30.0, rate: int = 24000) -> list[Row]:
    """Hold ``calls`` calls for ``seconds``."""
    return asyncio.run(_measure(calls, seconds, rate))


if __name__ == "__main__":
    given = sys.argv[1:]
    print(
        json.dumps(asdict(asyncio.run(be_the_callers(float(given[0]), int(given[1]), given[2:]))))
    )
