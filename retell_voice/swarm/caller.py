"""One call of a swarm: it speaks, listens, and hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from retell_voice.errors import ConnectError
from retell_voice.events import ProviderComplaint
from retell_voice.protocol.messages import AgentAudio, Clear
from retell_voice.swarm.ear import Ear
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.voice import Voice
from retell_voice.transport.ports import Connection, Route

_NORMAL = (1000, 1001, 1005)
_HEARTBEAT = 5.0
_MOST_QUEUED = 600.0
"""Seconds of agent audio that may wait to be heard; over it, it is left out."""


@dataclass(frozen=True, slots=True)
class Manners:
    """How a caller behaves.

    Attributes:
        answer_timeout: seconds that it waits for an answer after its last word, and for a server
            that takes no more audio.
        silence: seconds without the agent's voice after which it hangs up, having been answered.
    """

    answer_timeout: float = 10.0
    silence: float = 2.0


class Caller:
    """One call.

    Args:
        route: what is dialled.
        voice: what is said.
        manners: when it is over.
        figures: where everything is counted.
        late: is told how late each frame was sent, seconds.
    """

    def __init__(
        self,
        route: Route,
        voice: Voice,
        manners: Manners,
        figures: Figures,
        late: Callable[[float], None],
    ) -> None:
        self._route = route
        self._voice = voice
        self._manners = manners
        self._figures = figures
        self._late = late
        self._ear = Ear(route.far_end.rate)
        self._loop = asyncio.get_running_loop()
        self._cues: set[asyncio.TimerHandle] = set()
        self._began = 0.0  # of the first frame

    async def hold(self) -> None:
        """Hold the call to its end; never raises for what happens to it."""
        figures, dialled = self._figures, self._loop.time()
        figures.calls += 1
        try:
            connection = await self._route.connect(lambda: self._loop.time() - dialled)
        except ConnectError as error:
            figures.failures[str(error)] += 1
            return
        figures.times["connect"].add(self._loop.time() - dialled)
        self._began = self._loop.time()
        speaking = asyncio.create_task(self._speak(connection))
        beating = asyncio.create_task(self._beat(connection))
        try:
            await self._listen(connection)
        except asyncio.CancelledError:
            self._count_answers(self._loop.time() - self._began, cut_short=True)
            raise
        finally:
            for task in (speaking, beating):
                task.cancel()
            self._drop_cues()
            await connection.close()
            await asyncio.gather(speaking, beating, return_exceptions=True)
        self._account(connection, self._loop.time() - self._began)

    async def _speak(self, connection: Connection) -> None:
        voice, number = self._voice, 0
        while not self._all_said(number * voice.frame):
            due = self._began + number * voice.frame
            if (wait := due - self._loop.time()) > 0:
                await asyncio.sleep(wait)
            late = max(0.0, self._loop.time() - due)
            self._late(late)
            self._figures.times["late"].add(late)
            frame = voice.frames[number] if number < len(voice.frames) else voice.silence
            if not connection.send_now(frame) and not await self._takes(connection, frame):
                connection.give_up("the server takes no more audio")
                return
            number += 1
        await connection.close()

    async def _takes(self, connection: Connection, frame: bytes) -> bool:
        """Send a frame that has to wait; return whether the network took it before we lost hope."""
        try:
            async with asyncio.timeout(self._manners.answer_timeout):
                await connection.send_audio(frame)
        except TimeoutError:
            return False
        return True

    def _all_said(self, now: float) -> bool:
        voice, manners, ear = self._voice, self._manners, self._ear
        if now < voice.seconds:
            return False
        waited = now - voice.ends[-1]
        if ear.answer(voice.ends[-1], now) is None:
            return waited >= manners.answer_timeout
        quiet = ear.until <= now and now - ear.silent_since(now) >= manners.silence
        return quiet or waited >= 6 * manners.answer_timeout

    async def _listen(self, connection: Connection) -> None:
        ear, far_end, figures = self._ear, self._route.far_end, self._figures
        async for event in connection:
            now = self._loop.time() - self._began
            match event:
                case AgentAudio(data=data, cue=cue):
                    if data and ear.until - now < _MOST_QUEUED:
                        ear.take(far_end.decode(data), now)
                    if cue is not None:
                        self._report(connection, cue, max(ear.until, now))
                case Clear():
                    ear.clear(now)
                    self._drop_cues()
                    figures.cut += 1
                case ProviderComplaint(code=code, problem=problem):
                    figures.complaints[f"{code} {problem}".strip()] += 1

    def _report(self, connection: Connection, cue: object, when: float) -> None:
        def heard() -> None:
            self._cues.discard(handle)
            connection.heard(cue)

        handle = self._loop.call_at(self._began + when, heard)
        self._cues.add(handle)

    def _drop_cues(self) -> None:
        for cue in self._cues:
            cue.cancel()
        self._cues.clear()

    async def _beat(self, connection: Connection) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT)
            await connection.ping()

    def _count_answers(self, end: float, *, cut_short: bool = False) -> None:
        """Count the answers of a call that ended then; ``cut_short``: it was our own wish."""
        figures, ends = self._figures, self._voice.ends
        for number, at in enumerate(ends):
            before = ends[number + 1] if number + 1 < len(ends) else end
            if at >= end:
                break  # the call was over before
            answer = self._ear.answer(at, min(before, end))
            if answer is None and cut_short and before >= end:
                break  # nobody knows whether an answer would have come
            figures.asked += 1
            if answer is None:
                figures.unanswered += 1
            else:
                figures.times["answer"].add(answer)
        for gap in self._ear.gaps:
            figures.times["gap"].add(gap)

    def _account(self, connection: Connection, end: float) -> None:
        figures, closed = self._figures, connection.closed
        self._count_answers(end)
        if (
            closed is None
            or closed.by == "you"
            or (closed.by == "server" and closed.code in _NORMAL)
        ):
            figures.held += 1
        else:
            who = "the server closed" if closed.by == "server" else "the connection broke"
            figures.failures[f"{who}: {closed.code} {closed.reason}".strip()] += 1
