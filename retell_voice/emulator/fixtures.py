"""Emulators for tests of any kind: each on a thread and in an event loop of its own.

::

    def test_my_device(retell_emulator):  # the fixture, see retell_voice.pytest_plugin
        emulator = retell_emulator(scenario="barge-in.toml")
        call = emulator.register(AudioFormat(rate=16000))
        my_device.dial(f"{emulator.url}/{call.call_id}")
        emulator.wait(call)
        assert len(call.received) > 16000

A test that runs in an event loop awaits ``ended`` and ``happened`` in place of ``wait`` and
``wait_for``, which would keep its own client from running.
"""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from functools import wraps
from pathlib import Path
from typing import Any, Self, TypeAlias, TypeVar

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.agents import Agent, parrot_agent
from retell_voice.emulator.calls import DEFAULT_AUDIO, RegisteredCall
from retell_voice.emulator.scenario import Scenario, scenario_agent
from retell_voice.emulator.server import Emulator
from retell_voice.emulator.server_events import ScenarioFailed, ServerEvent
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.speech.ports import Tts

T = TypeVar("T")
What: TypeAlias = type[ServerEvent] | Callable[[ServerEvent], bool]
"""What to wait for: a type of server event, or a predicate."""

_KEPT = 100_000  # server_events
_TOLD = 10  # server_events that a complaint shows


class RunningEmulator:
    """An emulator on a thread of its own; every method may be called from any thread.

    Args:
        agent: holds the agent's side of every call.
        options: of ``Emulator``; calls are recorded unless they say otherwise.

    Raises:
        OSError: listening on its address fails.
    """

    def __init__(self, agent: Agent, **options: Any) -> None:
        self._failures: list[str] = []
        self._emulator = Emulator(agent=self._watched(agent), **{"record": True, **options})
        self._events: deque[ServerEvent] = deque(maxlen=_KEPT)
        self._news = asyncio.Event()
        self._stop = asyncio.Event()
        self._started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = threading.Thread(target=self._run, name="retell emulator", daemon=True)
        self._thread.start()
        self._loop = self._started.result()

    @property
    def url(self) -> str:
        """Prefix of every call's Audio WebSocket: ``{url}/{call_id}``."""
        return self._emulator.url

    @property
    def api_url(self) -> str:
        """Base of the REST calls."""
        return self._emulator.api_url

    @property
    def events(self) -> tuple[ServerEvent, ...]:
        """What has happened so far."""
        return tuple(self._events)

    def register(self, audio: AudioFormat = DEFAULT_AUDIO, **more: Any) -> RegisteredCall:
        """Register a call, as ``POST /register-call`` does; see ``Emulator.register``."""

        async def register() -> RegisteredCall:
            return self._emulator.register(audio, **more)

        return self._begin(register()).result()

    def find(self, call_id: str) -> RegisteredCall | None:
        """Return a call that was registered over REST."""
        if not self._thread.is_alive():
            return self._emulator.find(call_id)

        async def find() -> RegisteredCall | None:
            return self._emulator.find(call_id)

        return self._begin(find()).result()

    def wait(self, call: RegisteredCall, within: float = 10.0) -> RegisteredCall:
        """Wait until a call is over, its transcript and recording complete.

        Raises:
            AssertionError: it is not over after ``within`` seconds, or its agent failed.
        """
        return self._wait(self._ended(call, within))

    def wait_for(self, what: What, within: float = 10.0) -> ServerEvent:
        """Wait until something happens, or has already, and return it.

        Raises:
            AssertionError: it has not after ``within`` seconds.
        """
        return self._wait(self._happened(what, within))

    async def ended(self, call: RegisteredCall, within: float = 10.0) -> RegisteredCall:
        """Do what ``wait`` does, in a test that runs in an event loop."""
        return await asyncio.wrap_future(self._begin(self._ended(call, within)))

    async def happened(self, what: What, within: float = 10.0) -> ServerEvent:
        """Do what ``wait_for`` does, in a test that runs in an event loop."""
        return await asyncio.wrap_future(self._begin(self._happened(what, within)))

    def close(self) -> None:
        """End every call and stop; safe to call twice.

        Raises:
            AssertionError: an agent failed, and nobody has been told yet.
        """
        if self._thread.is_alive():
            self._loop.call_soon_threadsafe(self._stop.set)
            self._thread.join()
        self._complain()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as error:
            if self._started.done():
                raise
            self._started.set_exception(error)

    async def _serve(self) -> None:
        async with self._emulator:
            telling = asyncio.create_task(self._tell())
            self._started.set_result(asyncio.get_running_loop())
            await self._stop.wait()
        await telling

    async def _tell(self) -> None:
        async for server_event in self._emulator.events:
            if isinstance(server_event, ScenarioFailed):
                self._failures.append(f"call {server_event.call}: {server_event}")
            self._events.append(server_event)
            self._news.set()

    def _watched(self, agent: Agent) -> Agent:
        @wraps(agent)  # with what else there is to it: a scenario's faults of requests
        async def watched(session: Session) -> None:
            try:
                await agent(session)
            except CallOver:
                raise
            except Exception as error:
                self._failures.append(f"call {session.call.name}: the agent failed: {error!r}")
                raise

        return watched

    async def _ended(self, call: RegisteredCall, within: float) -> RegisteredCall:
        await self._in_time(call.wait(), within, f"call {call.name} is not over")
        await asyncio.sleep(0)  # until its last server_events have been taken in
        self._complain()
        return call

    async def _happened(self, what: What, within: float) -> ServerEvent:
        is_it = _test(what)

        async def wait() -> ServerEvent:
            while (found := next(filter(is_it, self._events), None)) is None:
                self._news.clear()
                await self._news.wait()
            return found

        name = what.__name__ if isinstance(what, type) else "what was waited for"
        return await self._in_time(wait(), within, f"{name} has not happened")

    async def _in_time(self, work: Coroutine[Any, Any, T], within: float, words: str) -> T:
        try:
            return await asyncio.wait_for(work, within)
        except TimeoutError:
            lines = [f"  call {each.call}  {each.at:6.1f} s  {each}" for each in self._events]
            told = "\n".join(lines[-_TOLD:]) or "  nothing"
            raise AssertionError(f"{words} after {within:g} s; what happened:\n{told}") from None

    def _begin(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if not self._thread.is_alive():
            work.close()
            raise RuntimeError("this emulator has been closed")
        return asyncio.run_coroutine_threadsafe(work, self._loop)

    def _wait(self, work: Coroutine[Any, Any, T]) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return self._begin(work).result()
        work.close()
        raise RuntimeError(
            "this would stop the event loop it is called in: await ended() or happened() instead"
        )

    def _complain(self) -> None:
        failures, self._failures = self._failures, []
        if failures:
            raise AssertionError("\n".join(failures))


def _test(what: What) -> Callable[[ServerEvent], bool]:
    return (lambda server_event: isinstance(server_event, what)) if isinstance(what, type) else what


class Emulators:
    """Starts emulators, and closes them all at the end.

    Args:
        folder: where scenarios are that have a relative path.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: list[RunningEmulator] = []

    def __call__(
        self,
        scenario: Scenario | Path | str | None = None,
        *,
        agent: Agent | None = None,
        speed: float = 1.0,
        tts: Tts | None = None,
        **options: Any,
    ) -> RunningEmulator:
        """Start one.

        Args:
            scenario: what it does in every call: a file, beside the test unless its path is
                absolute, or what ``parse_scenario`` returns.
            agent: or an agent; without either a parrot.
            speed, tts: of a scenario, see ``scenario_agent``.
            options: of ``Emulator``.

        Raises:
            ConfigError: the scenario cannot be used.
            OSError: listening on the address in ``options`` fails.
            TypeError: both a scenario and an agent.
        """
        if scenario is not None:
            if agent is not None:
                raise TypeError("a scenario or an agent, not both")
            if not isinstance(scenario, Scenario):
                scenario = self._folder / scenario
            agent = scenario_agent(scenario, speed=speed, tts=tts)
        running = RunningEmulator(agent or parrot_agent(), **options)
        self._running.append(running)
        return running

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        failures = []
        for running in self._running:
            try:
                running.close()
            except AssertionError as failure:
                failures.append(str(failure))
        if failures:
            raise AssertionError("\n".join(failures))
