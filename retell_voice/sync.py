"""Calls from programs without asyncio.

::

    from retell_voice.sync import Call

    with Call(call_id) as call:
        for event in call:
            print(event)

The call runs on a thread with an event loop of its own.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Future, wait
from contextlib import suppress
from functools import wraps
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.echo_path import EchoPath
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.engine.call import Call as AsyncCall
from retell_voice.errors import DeviceError
from retell_voice.events import CallState, Event, Statistics
from retell_voice.transport.ports import Route

_P = ParamSpec("_P")
_T = TypeVar("_T")

_AHEAD = 64
"""Events taken from the call before they are asked for; the others wait in its bounded queue."""
_LOOK = 0.5
"""Seconds after which a waiting thread looks up: on Windows, Ctrl-C does not wake it."""


def _takes_what(
    init: Callable[Concatenate[Any, _P], None],
) -> Callable[[Callable[..., None]], Callable[Concatenate[Any, _P], None]]:
    """Give a method the arguments of another."""
    return wraps(init)


class Call:
    """A call: a context manager, and an iterator of its events.

    It takes the arguments of ``retell_voice.Call``, raises the same errors, and yields the same
    events. Leaving the context hangs up and waits for the end of the call, also after Ctrl-C or
    when a generator that holds the call is closed; what was not read by then can still be read.

    Every method and property may be used from any thread. Several threads may iterate: each event
    goes to one of them. As with ``retell_voice.Call``, unread events beyond 4096 are dropped, the
    oldest first, and counted in ``Statistics.events_dropped``.
    """

    @_takes_what(AsyncCall.__init__)
    def __init__(self, *args: Any, **options: Any) -> None:
        self._call = AsyncCall(*args, **options)
        self._events: deque[Event] = deque()
        self._changed = threading.Condition()  # guards the two around it
        self._is_over = False
        self._failure: BaseException | None = None
        self._opened: Future[None] = Future()
        self._has_room = asyncio.Event()
        self._leaving = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._holding: asyncio.Task[None] | None = None
        self._hanging_up: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return repr(self._call)

    @property
    def state(self) -> CallState:
        """State of the call."""
        return self._call.state

    @property
    def audio(self) -> AudioFormat:
        """Encoding and rate of what you send; ``route.far_end`` is the agent's."""
        return self._call.audio

    @property
    def route(self) -> Route:
        """What the call is dialled over."""
        return self._call.route

    @property
    def microphone(self) -> Microphone:
        """The microphone in use, once the call is open."""
        return self._do(lambda: self._call.microphone)

    @property
    def speaker(self) -> Speaker:
        """The speaker in use, once the call is open."""
        return self._do(lambda: self._call.speaker)

    @property
    def echo(self) -> EchoPath:
        """The echo control in use, why, and how well it works, once the call is open."""
        return self._do(lambda: self._call.echo)

    @property
    def muted(self) -> bool:
        """Whether silence is sent instead of the microphone."""
        return self._do(lambda: self._call.muted)

    @muted.setter
    def muted(self, muted: bool) -> None:
        self._do(lambda: setattr(self._call, "muted", muted))

    @property
    def volume(self) -> float:
        """Factor for the agent's amplitude, 0–2: 1 leaves every sample unchanged.

        Raises (when set):
            ValueError: it is outside 0–2.
        """
        return self._do(lambda: self._call.volume)

    @volume.setter
    def volume(self, volume: float) -> None:
        self._do(lambda: setattr(self._call, "volume", volume))

    def statistics(self) -> Statistics:
        """Return the figures of the call so far, once it is open."""
        return self._do(self._call.statistics)

    def press(self, digit: str) -> bool:
        """Press a phone key, as ``retell_voice.Call.press`` does."""
        return self._do(lambda: self._call.press(digit))

    def use(self, *, microphone: Microphone | None = None, speaker: Speaker | None = None) -> None:
        """Switch to other devices, as ``retell_voice.Call.use`` does.

        Raises:
            DeviceError: it cannot be opened, or no audio passes through it, or the call has ended.
            ConfigError: a file cannot be written.
        """
        try:
            self.run(self._call.use(microphone=microphone, speaker=speaker))
        except _OverError:
            raise DeviceError("the call is over: devices cannot be switched") from None

    def hang_up(self) -> None:
        """End the call; its ``Ended`` event follows. Returns within a second or so.

        A call that is over stays over. On the call's own thread, in an observer, it returns at
        once.
        """
        if self._is_own_thread():
            self._hang_up()
            return
        with suppress(_OverError):
            self.run(self._call.hang_up())

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine beside the call; return what it returns. For ``ListenCall.take_over``.

        Raises:
            RuntimeError: the call is not open, or over; or this is its own thread.
        """
        try:
            loop = self._open_loop()
            if self._is_own_thread():
                raise RuntimeError("the call's own thread would wait for itself")
            running = asyncio.run_coroutine_threadsafe(work, loop)
        except RuntimeError as error:
            work.close()
            raise (_OverError() if self._loop and self._loop.is_closed() else error) from None
        try:
            return self._result(running)
        except BaseException:
            running.cancel()
            raise

    def next_event(self, timeout: float | None = None) -> Event | None:
        """Return the next event; None after the last.

        Raises:
            TimeoutError: there was none for ``timeout`` seconds.
        """
        self._open_loop()
        until = None if timeout is None else time.monotonic() + timeout
        with self._changed:
            while not self._events and not self._is_over:
                left = _LOOK if until is None else min(until - time.monotonic(), _LOOK)
                if left <= 0:
                    raise TimeoutError(f"no event for {timeout:g} s")
                self._changed.wait(left)
            if not self._events:
                if self._failure is not None:
                    raise self._failure
                return None
            was_full = len(self._events) >= _AHEAD
            event = self._events.popleft()
        if was_full:
            self._tell(self._has_room.set)
        return event

    def __iter__(self) -> Iterator[Event]:
        return self

    def __next__(self) -> Event:
        if (event := self.next_event()) is None:
            raise StopIteration
        return event

    def __enter__(self) -> Self:
        if self._thread is not None:
            raise RuntimeError("a Call can be entered only once: make another Call to call again")
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._run, name="retell-voice call")
        self._thread.start()
        try:
            self._result(self._opened)
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
        self._leaving = True
        self._tell(self._leave)
        if self._thread is not None and not self._is_own_thread():
            while self._thread.is_alive():
                self._thread.join(_LOOK)

    def _run(self) -> None:
        """Runs on: the call's thread."""
        with asyncio.Runner(loop_factory=self._open_loop) as runner:
            runner.run(self._hold())

    async def _hold(self) -> None:
        try:
            self._holding = asyncio.current_task()
            if self._leaving:
                return
            async with self._call as call:
                self._opened.set_result(None)
                async for event in call:
                    await self._pass_on(event)
        except BaseException as error:
            if self._opened.done():
                self._failure = error
            else:
                self._opened.set_exception(error)
        finally:
            with self._changed:
                self._is_over = True
                self._changed.notify_all()

    async def _pass_on(self, event: Event) -> None:
        while len(self._events) >= _AHEAD and not self._leaving:
            self._has_room.clear()
            await self._has_room.wait()
        with self._changed:
            self._events.append(event)
            self._changed.notify()

    def _leave(self) -> None:
        """Runs on: the call's thread."""
        self._has_room.set()
        if self._opened.done():
            self._hang_up()
        elif self._holding is not None:
            self._holding.cancel()

    def _hang_up(self) -> None:
        if self._hanging_up is None and self._call.state is not CallState.ENDED:
            self._hanging_up = asyncio.ensure_future(self._call.hang_up())

    def _open_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("the call is not open: use it inside 'with'")
        return self._loop

    def _is_own_thread(self) -> bool:
        return threading.current_thread() is self._thread

    def _tell(self, work: Callable[[], object]) -> bool:
        """Do something on the call's thread, soon; return whether it is still there."""
        try:
            self._open_loop().call_soon_threadsafe(work)
        except RuntimeError:
            return False
        return True

    def _do(self, work: Callable[[], _T]) -> _T:
        """Do something on the call's thread, or here once that is gone."""
        self._open_loop()
        done: Future[_T] = Future()

        def run() -> None:
            if done.set_running_or_notify_cancel():
                try:
                    done.set_result(work())
                except BaseException as error:
                    done.set_exception(error)

        if self._is_own_thread() or not self._tell(run):
            return work()
        try:
            return self._result(done)
        except _OverError:
            return work()

    def _result(self, future: Future[_T]) -> _T:
        """Wait for a result of the call's thread."""
        while not wait((future,), _LOOK).done:
            if self._thread is not None and not self._thread.is_alive() and future.cancel():
                raise _OverError
        return future.result()


class _OverError(RuntimeError):
    def __init__(self) -> None:
        super().__init__("the call is over")
