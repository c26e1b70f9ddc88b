"""Listening to open devices, whether or not a call is up."""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Protocol, Self

from retell_voice.audio.format import Samples
from retell_voice.devices.streams.tap import EVERY, Tap
from retell_voice.threads.mailbox import Mailbox, mailbox_of


class _Stream(Protocol):
    @property
    def rate(self) -> int: ...
    def tap(self) -> Tap: ...
    def untap(self, tap: Tap, /) -> None: ...


class Listener:
    """Hears one side of open devices, from entering its context; made by ``AudioIO.listen``.

    ::

        with io.listen() as microphone:
            async for samples in microphone:  # shape (n,), mono int16, some 10–20 ms
                wake_word.feed(samples)

    ``read`` is for your own thread. Audio unread for ten seconds becomes silence.
    """

    def __init__(self, stream: _Stream, every: float = EVERY) -> None:
        self._stream = stream
        self._every = every
        self._tap: Tap | None = None
        self._read = 0
        self._mailbox: Mailbox | None = None
        self._waiting: asyncio.Event | None = None

    @property
    def rate(self) -> int:
        """Samples a second."""
        return self._stream.rate

    def __enter__(self) -> Self:
        self._tap = self._stream.tap()
        self._tap.every = self._every
        self._read = 0
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._tap is not None:
            self._stream.untap(self._tap)
            self._tap = None
        if self._waiting is not None:
            self._waiting.set()

    def read(self) -> Samples:
        """Return what came since the last time, shape (n,), mono int16; may be empty."""
        if self._tap is None:
            raise RuntimeError("a listener hears inside its context: with io.listen() as …")
        samples, self._read = self._tap.read(self._read)
        return samples

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Samples:
        """Return what came since the last time, at least one sample; ends with the context."""
        while (tap := self._tap) is not None:
            samples = self.read()
            if len(samples):
                return samples
            if self._waiting is None:
                self._waiting = asyncio.Event()
                self._mailbox = mailbox_of(asyncio.get_running_loop())
            self._waiting.clear()
            tap.written = self._written_rt
            if not tap.has_more(self._read):
                await self._waiting.wait()
        raise StopAsyncIteration

    def _written_rt(self) -> None:
        """Runs on: the thread that writes. Wake the reader, once."""
        tap, mailbox, waiting = self._tap, self._mailbox, self._waiting
        if tap is not None and mailbox is not None and waiting is not None:
            tap.written = None
            mailbox.post(lambda *_: waiting.set(), None)
