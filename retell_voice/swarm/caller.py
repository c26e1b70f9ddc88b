"""One call of a swarm: it speaks, listens, and hangs up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from retell_voice.audio.format import Samples
from retell_voice.errors import CallFailed, RetellVoiceError
from retell_voice.events import Event, ProviderComplaint
from retell_voice.protocol.messages import AgentAudio, Clear
from retell_voice.swarm.ear import Ear
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.pace import Pace
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
        pace: tells when the next frame is due.
    """

    def __init__(
        self, route: Route, voice: Voice, manners: Manners, figures: Figures, pace: Pace
    ) -> None:
        self._route = route
        self.voice = voice
        self._manners = manners
        self._figures = figures
        self._pace = pace
        self._ear = Ear(self.hearing_rate, is_live=route.packets)
        self._loop = asyncio.get_running_loop()
        self._cues: set[asyncio.TimerHandle] = set()
        self._began = 0.0  # of the first frame
        self._number = 0  # of the next
        self._aside: asyncio.Task[None] | None = None
        """What a frame had to wait for: the network, or that the connection closes."""

    @property
    def hearing_rate(self) -> int:
        """Samples a second of what is heard."""
        return self._route.far_end.rate

    async def hold(self) -> None:
        """Hold the call to its end; never raises for what happens to it."""
        figures, dialled = self._figures, self._loop.time()
        figures.calls += 1
        try:
            connection = await self._route.connect(lambda: self._loop.time() - dialled)
        except RetellVoiceError as error:
            figures.fail(str(error), error.exit_code)
            return
        self._connection = connection
        figures.times["connect"].add(self._loop.time() - dialled)
        self._began = self._pace.join(self._speak)
        beating = asyncio.create_task(self._beat(connection))
        try:
            await self._listen(connection)
        except asyncio.CancelledError:
            self._count_answers(self._loop.time() - self._began, cut_short=True)
            raise
        finally:
            self._pace.leave(self._speak)
            tasks = [each for each in (beating, self._aside) if each is not None]
            for task in tasks:
                task.cancel()
            self._drop_cues()
            await connection.close()
            await asyncio.gather(*tasks, return_exceptions=True)
        self._account(connection, self._loop.time() - self._began)

    def _speak(self) -> bool:
        """Send the frame that is due; return whether the next one follows in its time."""
        voice, number = self.voice, self._number
        if self._all_said(number * voice.frame):
            self._aside = asyncio.create_task(self._connection.close())
            return False
        frame = voice.frames[number] if number < len(voice.frames) else voice.silence
        self._number += 1
        if self.send(self._connection, frame):
            return True
        self._aside = asyncio.create_task(self._wait_to_send(frame))
        return False

    def send(self, connection: Connection, frame: bytes) -> bool:
        """Send a frame of the voice; return whether the network took it at once."""
        return connection.send_now(frame)

    async def _wait_to_send(self, frame: bytes) -> None:
        """Send a frame that has to wait, and go on; or give up the call with the hope for that."""
        try:
            async with asyncio.timeout(self._manners.answer_timeout):
                await self._connection.send_audio(frame)
        except TimeoutError:
            self._connection.give_up("the server takes no more audio")
            return
        if self._connection.closed is None:
            self._pace.join(self._speak, self._began + self._number * self.voice.frame)

    def _all_said(self, now: float) -> bool:
        voice, manners, ear = self.voice, self._manners, self._ear
        if now < voice.seconds:
            return False
        waited = now - voice.ends[-1]
        if ear.answer(voice.ends[-1], now) is None:
            return waited >= manners.answer_timeout
        quiet = now - ear.silent_from >= manners.silence
        return quiet or waited >= 6 * manners.answer_timeout

    async def _listen(self, connection: Connection) -> None:
        async for event in connection:
            now = self._loop.time() - self._began
            match event:
                case AgentAudio(data=data, cue=cue):
                    if data:
                        self.hear(self._route.far_end.decode(data), now)
                    if cue is not None:
                        self._report(connection, cue, max(self._ear.until, now))
                case Clear():
                    self._ear.clear(now)
                    self._drop_cues()
                    self._figures.cut += 1
                case ProviderComplaint(code=code, problem=problem):
                    self._figures.complaints[f"{code} {problem}".strip()] += 1
                case _:
                    self.take(event, now)

    def take(self, event: Event, now: float) -> None:
        """Take what only some kinds of calls have."""

    def hear(self, samples: Samples, now: float) -> None:
        """Take audio of the agent, shape (n,), mono int16."""
        if self._ear.until - now < _MOST_QUEUED:
            self._ear.take(samples, now)

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
        figures, ends = self._figures, self.voice.ends
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
            figures.fail(f"{who}: {closed.code} {closed.reason}".strip(), CallFailed.exit_code)
