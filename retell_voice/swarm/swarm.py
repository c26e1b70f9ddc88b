"""Many callers in one event loop, as many as it carries on time.

::

    ramp ─▶ is the loop on time? ─▶ register, dial ─▶ Caller.hold ─▶ Figures
                  └─ no: wait; not for long: leave the rest out, and say so
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from retell_voice.errors import RetellVoiceError
from retell_voice.swarm.caller import Caller, Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.pace import Pace
from retell_voice.swarm.voice import Voice
from retell_voice.transport.ports import Route

_SHARE = 0.05
_LONGEST_WAIT = 5.0
"""Seconds that a late loop may take to be on time again before the rest is left out."""
_LOOK = 0.1
_REGISTERING = 8
"""Calls that may be about to be registered: more would only be told of too many requests."""

Dial = Callable[[], Awaitable[Route]]
"""Makes the route of a call, and registers the call where that is needed."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a swarm does.

    Attributes:
        calls: how many.
        ramp: seconds over which they are dialled, evenly.
        manners: of each caller.
    """

    calls: int
    ramp: float = 0.0
    manners: Manners = field(default_factory=Manners)


@dataclass(frozen=True, slots=True)
class Moment:
    """How it goes, now and then.

    Attributes:
        at: seconds since it began.
        going: calls that go on.
        late: share of the last second's frames that were sent more than ``LATE`` after their time.
    """

    at: float
    going: int
    late: float


class Swarm:
    """Calls a server.

    Args:
        plan: how often and when.
        dial: makes the route of each call.
        voice: what callers say.
        tell: is told how it goes, twice a second.
        caller: kind of the callers.
        registers: whether ``dial`` asks a server for the call.

    Attributes:
        figures: what has been found out so far.
        moments: how it went.
    """

    def __init__(
        self,
        plan: Plan,
        dial: Dial,
        voice: Voice,
        tell: Callable[[Moment], None] = lambda _: None,
        *,
        caller: type[Caller] = Caller,
        registers: bool = False,
    ) -> None:
        self.figures = Figures()
        self.moments: list[Moment] = []
        self._plan = plan
        self._dial = dial
        self._voice = voice
        self._tell = tell
        self._caller = caller
        self._registers = registers
        self._tasks: set[asyncio.Task[None]] = set()
        self._going = 0
        self._registering = asyncio.Semaphore(_REGISTERING)
        self._over = asyncio.Event()

    def stop(self) -> None:
        """Dial no more and hang up."""
        self._over.set()

    async def run(self) -> Figures:
        """Hold all calls; return what was found out.

        Raises:
            RetellVoiceError: the first call could not be registered: no other would fare better.
        """
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        self._pace = Pace(self._voice.frame, self.figures.times["late"])
        watching = asyncio.create_task(self._watch())
        stopping = asyncio.create_task(self._over.wait())
        dialling = asyncio.create_task(self._dial_all())
        try:
            await asyncio.wait({stopping, dialling}, return_when=asyncio.FIRST_COMPLETED)
            if dialling.done():
                dialling.result()
            dialling.cancel()
            while self._tasks and not self._over.is_set():
                await asyncio.wait({stopping, *self._tasks}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            left = (watching, stopping, dialling, *self._tasks)
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
        return self.figures

    async def _dial_all(self) -> None:
        plan, started = self._plan, self._loop.time()
        for number in range(plan.calls):
            due = started + plan.ramp * number / plan.calls
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            await self._registering.acquire()
            if not await self._is_on_time():
                self.figures.left_out = plan.calls - number
                return
            first = await self._route() if number == 0 else None
            task = asyncio.create_task(self._hold(first))
            self._tasks.add(task)
            task.add_done_callback(self._ended)

    async def _route(self) -> Route:
        asked = self._loop.time()
        try:
            route = await self._dial()
        finally:
            self._registering.release()
        if self._registers:
            self.figures.times["register"].add(self._loop.time() - asked)
        return route

    async def _hold(self, route: Route | None) -> None:
        try:
            route = route or await self._route()
        except RetellVoiceError as error:
            self.figures.calls += 1
            self.figures.fail(str(error), error.exit_code)
            return
        caller = self._caller(route, self._voice, self._plan.manners, self.figures, self._pace)
        self._going += 1
        self.figures.most = max(self.figures.most, self._going)
        try:
            await caller.hold()
        finally:
            self._going -= 1

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.figures.fail(f"a defect of this software: {error!r}", 1)

    async def _is_on_time(self) -> bool:
        deadline = self._loop.time() + _LONGEST_WAIT
        while self._pace.late_share() > _SHARE:
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def _watch(self) -> None:
        while True:
            at = self._loop.time() - self._began
            moment = Moment(at, self._going, self._pace.late_share())
            self.moments.append(moment)
            self._tell(moment)
            await asyncio.sleep(0.5)
