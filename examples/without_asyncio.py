"""Calls from a program that knows nothing of asyncio.

python examples/without_asyncio.py CALL_ID URL

`SyncCall` runs a call on a thread with an event loop of its own. Its events come from an ordinary
iterator; everything else may be called from any thread. Copy it into your program.
"""

import argparse
import asyncio
import queue
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from retell_voice import Call, Event

WAITING = 4096
"""Events that may wait to be read; beyond that the oldest is dropped, and counted."""


class SyncCall:
    """A ``Call`` as a plain context manager and iterator.

    Args:
        call_id: the registered call.
        options: what ``Call`` takes.

    Entering raises what ``Call`` raises; leaving hangs up.
    """

    def __init__(self, call_id: str, **options: Any) -> None:
        self.dropped = 0
        """Events that nobody read in time."""
        self._call_id = call_id
        self._options = options
        self._events: queue.Queue[Event | None] = queue.Queue()
        self._opened: Future[Call] = Future()
        self._leaving = asyncio.Event()
        self._thread = threading.Thread(target=self._run, name="call")

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread.start()
        try:
            self._call = self._opened.result()
        except BaseException:  # Ctrl-C, too
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.hang_up()
        self._thread.join()

    def __iter__(self) -> Iterator[Event]:
        """Yield the events until the call is over; waits while there is none."""
        while (event := self.next()) is not None:
            yield event

    def next(self, timeout: float | None = None) -> Event | None:
        """Return the next event.

        None: the call is over, or there was no event for so many seconds.
        """
        try:
            event = self._events.get(timeout=timeout)
        except queue.Empty:
            return None
        if event is None:
            self._events.put(None)  # for who asks again
        return event

    @property
    def muted(self) -> bool:
        """Whether silence is sent."""
        return self._call.muted

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._call.muted = muted

    def hang_up(self) -> None:
        """End the call; the iterator ends after its last event."""
        with suppress(RuntimeError):  # the loop has closed: the call is over
            self._loop.call_soon_threadsafe(self._leaving.set)

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._hold())

    async def _hold(self) -> None:
        try:
            async with Call(self._call_id, **self._options) as call:
                leaving = asyncio.create_task(self._hang_up_when_told(call))
                self._opened.set_result(call)
                async for event in call:
                    if self._events.qsize() >= WAITING:
                        self._events.get_nowait()
                        self.dropped += 1
                    self._events.put(event)
                leaving.cancel()
        except BaseException as error:
            if self._opened.done():
                raise
            self._opened.set_exception(error)
        finally:
            self._events.put(None)

    async def _hang_up_when_told(self, call: Call) -> None:
        await self._leaving.wait()
        await call.hang_up()


def main(call_id: str, url: str) -> None:
    """Hold a call."""
    with SyncCall(call_id, url=url) as call:
        for event in call:
            print(event)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A call from a program without asyncio.")
    parser.add_argument("call_id", metavar="CALL_ID")
    parser.add_argument("url", metavar="URL")
    main(**vars(parser.parse_args()))
