"""The emulator's end of a worker: requests and answers, and a new process when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping, Sequence
from typing import Any

from retell_voice.emulator.speech.ports import SpeechFailed
from retell_voice.emulator.speech.workers.child import Child
from retell_voice.emulator.speech.workers.frames import Frame, pack
from retell_voice.errors import ConfigError

_log = logging.getLogger(__name__)

_MOST_WAITING = 64
_MOST_DEATHS = 3  # in a row, without an answer in between
_LOADING = 120.0  # seconds: a small computer with a slow card takes its time
_ENDING = 0.8  # seconds until a worker that does not end is killed


class Worker:
    """One engine in a process of its own.

    ::

        async with Worker("the voice", ["piper"]) as worker:
            answer = await worker.request({"text": "Hello!", "rate": 8000})

    What is asked when the process dies fails; what is asked while it starts again waits.

    Args:
        name: what to call it when it fails.
        arguments: of ``retell_voice.emulator.speech.worker``.
        answer_timeout: seconds without any answer, though one is due, after which it is killed;
            up to twice as long.

    Attributes:
        about: what the engine says of itself.
        loading: seconds it took to load.
        deaths: how often the process has died.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, answer_timeout: float = 60.0
    ) -> None:
        self._name = name
        self._arguments = arguments
        self._answer_timeout = answer_timeout
        self._child: Child | None = None
        self._loaded = asyncio.Event()  # and can take requests, or never will again
        self._failure: Exception | None = None  # why it is not started any more
        self._pending: dict[int, asyncio.Future[Frame | SpeechFailed]] = {}
        self._asked = 0
        self._due = 0  # answers of the process; it gives one also where nobody waits any more
        self._answered = 0
        self._in_a_row = 0  # deaths
        self.about = ""
        self.loading = 0.0
        self.deaths = 0

    @property
    def pid(self) -> int | None:
        """Of the process; None while there is none."""
        return self._child.pid if self._child else None

    async def __aenter__(self) -> Worker:
        """Start it and wait until it has loaded.

        Raises:
            ConfigError: the engine says that it cannot work.
            SpeechFailed: it died, or took too long.
        """
        self._life = asyncio.create_task(self._live())
        try:
            async with asyncio.timeout(_LOADING):
                await self._loaded.wait()
        except TimeoutError:
            self._failure = SpeechFailed(f"{self._name} did not load within {_LOADING:g} s")
        except asyncio.CancelledError:
            await self._end()
            raise
        if self._failure is not None:
            await self._end()
            raise self._failure
        return self

    async def __aexit__(self, *_: object) -> None:
        """End it; what is pending fails."""
        await self._end()

    async def request(self, head: Mapping[str, Any], body: bytes = b"") -> Frame:
        """Send a request and return the answer; if cancelled, withdraw it.

        Raises:
            SpeechFailed: it is too large, or there are too many, or the engine could not do
                it, or died.
        """
        if len(self._pending) >= _MOST_WAITING:
            raise SpeechFailed(f"{self._name} has too much to do: {_MOST_WAITING} requests wait")
        number = self._asked
        self._asked += 1
        try:
            data = pack(Frame({**head, "id": number}, body))
        except ValueError as error:
            raise SpeechFailed(f"{self._name} cannot do it: {error}") from None
        answer = asyncio.get_running_loop().create_future()
        self._pending[number] = answer
        try:
            await self._loaded.wait()
            if self._failure is not None:
                raise self._failure
            if not answer.done():
                self._send(data)
                self._due += 1
            result: Frame | SpeechFailed = await answer
        except asyncio.CancelledError:
            self._send(pack(Frame({"cancel": number})))
            raise
        finally:
            del self._pending[number]
        if isinstance(result, SpeechFailed):
            raise result
        return result

    def _send(self, data: bytes) -> None:
        if self._child is not None:
            self._child.send(data)

    async def _live(self) -> None:
        while self._failure is None:
            try:
                self._child = child = await Child.start(self._arguments)
            except OSError as error:
                self._died(str(error))
                continue
            self._due = 0
            if self._failure is not None:  # closed meanwhile
                child.finish()
            watching = asyncio.create_task(self._watch(child))
            try:
                async with contextlib.aclosing(child.frames()) as frames:
                    async for frame in frames:
                        self._take(frame)
            finally:
                watching.cancel()
                self._child = None
            self._died(child.why)

    def _died(self, why: str) -> None:
        died = SpeechFailed(f"{self._name} died: {why}")
        loaded = bool(self.about)
        self._give_up(died)
        if self._failure is not None:  # it was meant to, or has said why
            self._loaded.set()
            return
        self.deaths += 1
        self._in_a_row += 1
        if loaded and self._in_a_row < _MOST_DEATHS:
            self._loaded.clear()
            _log.warning("%s; it is started again", died)
        else:
            self._failure = died
            self._loaded.set()

    def _give_up(self, why: SpeechFailed) -> None:
        for answer in self._pending.values():
            if not answer.done():
                answer.set_result(why)

    def _take(self, frame: Frame) -> None:
        head = frame.head
        if "ready" in head:
            self.about, self.loading = head["ready"], head["seconds"]
            self._loaded.set()
        elif "failed" in head:
            self._failure = ConfigError(f"{self._name} cannot work: {head['failed']}", head["hint"])
        else:
            self._due -= 1
            self._answered += 1
            self._in_a_row = 0
            answer = self._pending.get(head["id"])
            if answer is not None and not answer.done():
                error = head.get("error")
                failed = SpeechFailed(f"{self._name} could not do it: {error}")
                answer.set_result(frame if error is None else failed)

    async def _watch(self, child: Child) -> None:
        while True:
            due, before = self._due, self._answered
            await asyncio.sleep(self._answer_timeout)
            if due and before == self._answered:
                child.kill(f"it gave no answer for {self._answer_timeout:g} s")

    async def _end(self) -> None:
        closed = SpeechFailed(f"{self._name} has been closed")
        self._failure = self._failure or closed
        self._give_up(closed)
        if self._child is not None:
            self._child.finish()
        await asyncio.wait({self._life}, timeout=_ENDING)
        self._life.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._life
