"""A web call beside Chromium and beside the floor: the same packets, through the same network.

::

    gateway ─▶ relay ─▶ program ─▶ its speaker ─▶ monitor ─▶ recorder    heard, how late, how well
    pacat ─▶ microphone ─▶ all three programs ─▶ relay ─▶ gateway        packets with the click

All three call at the same time. What is said is speech almost without pauses, so the delay is
found all the time by correlation with the recording, and nothing can be given back in silence.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field

from support.card import VirtualCard
from support.chromium import find
from support.gateway import gateway
from support.recorder import Recorder

from bench_parts import packet_programs as programs
from bench_parts import packet_weather as weather
from bench_parts.figures import Row
from bench_parts.latency import Clicker
from bench_parts.packet_gateway import MeasuredGateway, Speech, by_phase, recorded_speech
from bench_parts.packet_heard import timeline
from bench_parts.packet_programs import Caller, Figures
from bench_parts.packet_weather import Placed, placed
from bench_parts.server import BenchError
from bench_parts.webrtc_rows import Heard, Result, rows

OURS, CHROMIUM, BARE = "ours", "chromium", "bare"
_RATE = 48000
_SETTLE = 3.0
_TAIL = 1.2
_STALL = 0.2


@dataclass(frozen=True)
class Plan:
    """How much to measure, seconds: calm; stalls and what follows each; for each loss and trace."""

    calm: float
    stalls: int
    after: float
    each: float
    starts: int

    def phases(self) -> list[Placed]:
        """Return all phases, in order."""
        stall = weather.stall(2.0, _STALL, self.after)
        return placed(
            [
                weather.calm(self.calm),
                *[stall] * self.stalls,
                *(weather.loss(share, self.each) for share in (0.02, 0.05, 0.1)),
                *(weather.recorded(name, self.each) for name in ("wifi", "jitter-60ms-loss-5")),
            ]
        )


FULL = Plan(calm=24, stalls=3, after=7, each=14, starts=5)
QUICK = Plan(calm=10, stalls=1, after=6, each=6, starts=1)


def run(card: VirtualCard, *, route: str, quick: bool = False) -> list[Row]:
    """Measure all three.

    Raises:
        BenchError: there is no Chromium, or a program did not call.
    """
    if find() is None:
        raise BenchError("there is no Chromium to compare with: apt install chromium")
    plan = QUICK if quick else FULL
    phases = plan.phases()
    said = recorded_speech(phases[-1].end)
    speech = Speech(said)
    result = asyncio.run(_Measurement(card, route, plan, phases, speech).run())
    return rows(result, speech.perfectly_heard())


@dataclass
class _Measurement:
    card: VirtualCard
    route: str
    plan: Plan
    phases: list[Placed]
    speech: Speech
    starts: list[float] = field(default_factory=list)
    marks: dict[str, list[Figures]] = field(default_factory=dict)
    cpu: dict[str, float] = field(default_factory=dict)
    memory: dict[str, float] = field(default_factory=dict)

    async def run(self) -> Result:
        fates = [fate for each in self.phases for fate in each.phase.fates]
        async with AsyncExitStack() as stack:
            doors = {
                name: MeasuredGateway(self.speech, by_phase(fates))
                for name in (OURS, CHROMIUM, BARE)
            }
            for each in doors.values():
                await stack.enter_async_context(gateway(each))
            recorders = {name: await self._speaker(stack, name) for name in doors}
            # Whatever joins the card's graph later gives the others a gap.
            clicker = stack.enter_context(Clicker(self.card))
            callers = await stack.enter_async_context(self._calling(doors))
            begin = await self._converse(callers, clicker)
            heard = {
                name: timeline(each.samples(), each.marks, begin, _RATE)
                for name, each in recorders.items()
            }
        return Result(
            phases=self.phases,
            heard={
                name: Heard(
                    samples=heard[name],
                    uplink=_after(clicker.clicked, doors[name].arrivals.clicks()),
                    marks=self.marks[name],
                    cpu=self.cpu[name],
                    memory=self.memory[name],
                )
                for name in doors
            },
            starts=self.starts,
            depths=callers[OURS].depths(begin),
        )

    @asynccontextmanager
    async def _calling(self, doors: dict[str, MeasuredGateway]) -> AsyncIterator[dict[str, Caller]]:
        env = {name: self.card.through(self.route, sink=name) for name in doors}
        for _ in range(self.plan.starts):
            async with programs.ours(doors[OURS], env[OURS]) as caller:
                self.starts.append(doors[OURS].arrivals.first - caller.started)
                await caller.end()
            doors[OURS].expect_another()
        async with (  # the browser first: while it starts, others have gaps
            programs.chromium(doors[CHROMIUM], env[CHROMIUM]) as browser,
            programs.bare(doors[BARE], env[BARE]) as bare,
            programs.ours(doors[OURS], env[OURS]) as ours,
        ):
            yield {OURS: ours, CHROMIUM: browser, BARE: bare}

    async def _speaker(self, stack: AsyncExitStack, name: str) -> Recorder:
        await asyncio.to_thread(self.card.plug, name)
        return stack.enter_context(await asyncio.to_thread(self.card.record, name))

    async def _converse(self, callers: dict[str, Caller], clicker: Clicker) -> float:
        await asyncio.sleep(_SETTLE)
        begin = self.speech.start()
        for caller in callers.values():
            caller.gateway.arrivals.packets.clear()
        clicking = asyncio.create_task(_click(clicker, begin + self.plan.calm - 0.5))
        await self._look(callers, begin)
        await clicking
        await asyncio.sleep(_TAIL)
        return begin

    async def _look(self, callers: dict[str, Caller], begin: float) -> None:
        """Look at every program at the start, and at the end of each phase."""
        for caller in callers.values():
            caller.look_around()
        await asyncio.sleep(begin - time.monotonic())
        before = {name: caller.cpu() for name, caller in callers.items()}
        self.marks = {name: [await caller.figures()] for name, caller in callers.items()}
        for place in self.phases:
            await asyncio.sleep(begin + place.end - time.monotonic())
            for name, caller in callers.items():
                self.marks[name].append(await caller.figures())
                if place is self.phases[0]:
                    self.cpu[name] = (caller.cpu() - before[name]) / place.phase.seconds * 100
                if caller.process is not None and caller.process.returncode is not None:
                    raise BenchError(f"{name} ended in the phase {place.phase.name}")
        self.memory = {name: caller.memory() for name, caller in callers.items()}


async def _click(clicker: Clicker, until: float) -> None:
    dice = random.Random(3)
    while time.monotonic() < until:
        await asyncio.sleep(dice.uniform(0.45, 0.6))
        clicker.click()
    await asyncio.sleep(0.6)


def _after(causes: list[float], effects: list[float], most: float = 0.4) -> list[float]:
    """Return how long after each cause the first effect came; causes without one are left out."""
    found = []
    for cause in causes:
        after = [effect - cause for effect in effects if 0 < effect - cause < most]
        if after:
            found.append(min(after))
    return found
