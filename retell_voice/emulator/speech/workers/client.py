"""The emulator's end of a worker: requests and answers, and a restart when it crashes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

from retell_voice.emulator.speech.ports import SpeechFailed
from retell_voice.emulator.speech.workers.child import Child
from retell_voice.emulator.speech.workers.frames import Frame, pack
from retell_voice.errors import ConfigError
from retell_voice.shown import logger

_log = logger(__name__)

_MAX_PENDING = 64
_MAX_CRASHES = 3  # in a row, without an answer in between
_LOAD_TIMEOUT = 120.0  # seconds: a small computer with a slow SD card takes its time
_EXIT_TIMEOUT = 0.8  # seconds until a worker that does not exit is killed


class Worker:
    """One engine in a process of its own.

    ::

        async with Worker("TTS (piper)", ["piper"]) as worker:
            answer = await worker.request({"text": "Hello!", "rate": 8000})

    Requests pending when the process crashes fail; those made while it restarts wait.

    Args:
        name: what to call it in errors.
        arguments: of ``retell_voice.emulator.speech.worker``.
        answer_timeout: seconds without any answer, though one is due, after which it is killed;
            up to twice as long.

    Attributes:
        about: engine and model, for people.
        loading: seconds it took to load.
        crashes: how often the process has crashed.
    """

    def __init__(
        self, name: str, arguments: Sequence[str], *, answer_timeout: float = 60.0
    ) -> None:
        self._name = name
        self._arguments = arguments
        self._answer_timeout = answer_timeout
        self._child: Child | None = None
        self._loaded = asyncio.Event()  # it takes requests, or never will again
        self._failure: Exception | None = None  # why it is no longer started
        self._pending: dict[int, asyncio.Future[Frame | SpeechFailed]] = {}
        self._requested = 0
        self._due = 0  # answers the process still owes, cancelled requests included
        self._answered = 0
        self._crashes_in_a_row = 0
        self.about = ""
        self.loading = 0.0
        self.crashes = 0

    @property
    def pid(self) -> int | None:
        """Process id; None while there is no process."""
        return self._child.pid if self._child else None

    async def __aenter__(self) -> Worker:
        """Start it and wait until it has loaded.

        Raises:
            ConfigError: the engine says that it cannot work.
            SpeechFailed: it crashed, or took too long.
        """
        self._running = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(_LOAD_TIMEOUT):
                await self._loaded.wait()
        except TimeoutError:
            self._failure = SpeechFailed(f"{self._name} did not load within {_LOAD_TIMEOUT:g} s")
        except asyncio.CancelledError:
            await self._end()
            raise
        if self._failure is not None:
            await self._end()
            raise self._failure
        return self

    async def __aexit__(self, *_: object) -> None:
        """Stop it; what is pending fails."""
        await self._end()

    async def request(self, head: Mapping[str, Any], body: bytes = b"") -> Frame:
        """Send a request and return the answer; if cancelled, withdraw it.

        Raises:
            SpeechFailed: the request is too large, too many are pending, or the engine failed or
                crashed.
        """
        if len(self._pending) >= _MAX_PENDING:
            raise SpeechFailed(f"{self._name} is overloaded: {_MAX_PENDING} requests pending")
        number = self._requested
        self._requested += 1
        try:
            data = pack(Frame({**head, "id": number}, body))
        except ValueError as error:
            raise SpeechFailed(f"{self._name} failed: {error}") from None
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

    async def _run(self) -> None:
        while self._failure is None:
            try:
                self._child = child = await Child.start(self._arguments)
            except OSError as error:
                self._exited(str(error))
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
            self._exited(child.exit_reason)

    def _exited(self, why: str) -> None:
        crash = SpeechFailed(f"{self._name} crashed: {why}")
        loaded = bool(self.about)
        self._fail_pending(crash)
        if self._failure is not None:  # it was stopped, or has said why
            self._loaded.set()
            return
        self.crashes += 1
        self._crashes_in_a_row += 1
        if loaded and self._crashes_in_a_row < _MAX_CRASHES:
            self._loaded.clear()
            _log.warning("%s; restarting it", crash)
        else:
            self._failure = crash
            self._loaded.set()

    def _fail_pending(self, why: SpeechFailed) -> None:
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
            self._crashes_in_a_row = 0
            answer = self._pending.get(head["id"])
            if answer is not None and not answer.done():
                error = head.get("error")
                failed = SpeechFailed(f"{self._name} failed: {error}")
                answer.set_result(frame if error is None else failed)

    async def _watch(self, child: Child) -> None:
        while True:
            due, before = self._due, self._answered
            await asyncio.sleep(self._answer_timeout)
            if due and before == self._answered:
                child.kill(f"no answer for {self._answer_timeout:g} s")

    async def _end(self) -> None:
        closed = SpeechFailed(f"{self._name} has been closed")
        self._failure = self._failure or closed
        self._fail_pending(closed)
        if self._child is not None:
            self._child.finish()
        await asyncio.wait({self._running}, timeout=_EXIT_TIMEOUT)
        self._running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._running
