"""Many callers in one event loop, as many as it carries on time.

::

    ramp ─▶ is the loop on time? ─▶ dial the next ─▶ Caller.hold ─▶ Figures
                  └─ no: wait; not for long: leave the rest out, and say so
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from retell_voice.errors import RetellVoiceError
from retell_voice.swarm.caller import Caller, Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.voice import Voice
from retell_voice.transport.ports import Route

LATE = 0.02
"""Seconds; a loop that is later than that with more than a twentieth of its frames is too slow:
what it measures of the server would be its own delay."""
_SHARE = 0.05
_WINDOW = 1.0
_LEAST = 20  # frames by which it can be judged
_LONGEST_WAIT = 5.0
"""Seconds that a late loop may take to be on time again before the rest is left out."""
_LOOK = 0.1

Dial = Callable[[int], Awaitable[Route]]
"""Makes the route of a call, by its number from 0."""


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
    ) -> None:
        self.figures = Figures()
        self.moments: list[Moment] = []
        self._plan = plan
        self._dial = dial
        self._voice = voice
        self._tell = tell
        self._lateness: deque[tuple[float, bool]] = deque()
        self._going: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()

    def stop(self) -> None:
        """Dial no more and hang up."""
        self._over.set()

    async def run(self) -> Figures:
        """Hold all calls; return what was found out."""
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()
        watching = asyncio.create_task(self._watch())
        stopping = asyncio.create_task(self._over.wait())
        dialling = asyncio.create_task(self._dial_all())
        try:
            await asyncio.wait({stopping, dialling}, return_when=asyncio.FIRST_COMPLETED)
            if dialling.done():
                dialling.result()
            dialling.cancel()
            while self._going and not self._over.is_set():
                await asyncio.wait({stopping, *self._going}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (watching, stopping, dialling, *self._going):
                task.cancel()
            await asyncio.gather(watching, stopping, *self._going, return_exceptions=True)
        return self.figures

    async def _dial_all(self) -> None:
        plan, started = self._plan, self._loop.time()
        for number in range(plan.calls):
            due = started + plan.ramp * number / plan.calls
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            if not await self._is_on_time():
                self.figures.left_out = plan.calls - number
                return
            try:
                route = await self._dial(number)
            except RetellVoiceError as error:
                if number == 0:
                    raise  # no other would fare better
                self.figures.calls += 1
                self.figures.failures[str(error)] += 1
                continue
            task = asyncio.create_task(
                Caller(route, self._voice, self._plan.manners, self.figures, self._note).hold()
            )
            self._going.add(task)
            task.add_done_callback(self._ended)
            self.figures.most = max(self.figures.most, len(self._going))

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._going.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.figures.failures[f"a defect of this software: {error!r}"] += 1

    def _note(self, late: float) -> None:
        self._lateness.append((self._loop.time(), late > LATE))

    def late_share(self) -> float:
        """Return the share of the last second's frames that were late; 0 of a few."""
        now = self._loop.time()
        while self._lateness and self._lateness[0][0] < now - _WINDOW:
            self._lateness.popleft()
        if len(self._lateness) < _LEAST:
            return 0.0
        return sum(late for _, late in self._lateness) / len(self._lateness)

    async def _is_on_time(self) -> bool:
        deadline = self._loop.time() + _LONGEST_WAIT
        while self.late_share() > _SHARE:
            if self._loop.time() >= deadline:
                return False
            await asyncio.sleep(_LOOK)
        return True

    async def _watch(self) -> None:
        while True:
            at = self._loop.time() - self._began
            moment = Moment(at, len(self._going), self.late_share())
            self.moments.append(moment)
            self._tell(moment)
            await asyncio.sleep(0.5)
