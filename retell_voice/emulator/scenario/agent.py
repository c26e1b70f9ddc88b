"""Runs a scenario: an agent that does what a TOML file says.

Time is the event loop's, ``speed`` times as fast: at ``speed=20`` a wait of 10 s takes half a
second, and a caller whose devices are as fast has the same call. What a scenario waits to hear
is counted in the caller's audio and needs no clock.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from random import Random

from retell_voice.devices.files import read_wav
from retell_voice.emulator.after_call import AfterCall
from retell_voice.emulator.agents import Agent
from retell_voice.emulator.request_faults import RequestFault
from retell_voice.emulator.scenario.connection import WebCallConnection, connection_of
from retell_voice.emulator.scenario.delivery import pieces
from retell_voice.emulator.scenario.listener import Listener, OtherDigits
from retell_voice.emulator.scenario.parser import load_scenario
from retell_voice.emulator.scenario.sounds import SoundCache
from retell_voice.emulator.scenario.steps import (
    BadMessage,
    BadNetwork,
    Clear,
    Close,
    Condition,
    Drop,
    DropControl,
    HalfOpen,
    Recording,
    Repeat,
    Reset,
    Scenario,
    Send,
    SendMetadata,
    Speak,
    Stall,
    Step,
    Together,
    Update,
    Wait,
)
from retell_voice.emulator.server_events import ScenarioFailed, ScenarioStep
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.speech.mumble import MumbleTts
from retell_voice.emulator.speech.ports import SpeechFailed, Tts
from retell_voice.emulator.speech.vad import DEFAULT_DETECTOR, DetectorSettings
from retell_voice.errors import ConfigError

_LAG = 0.2  # seconds from sending to hearing
_FAULT = "error_retell"  # Retell's disconnection_reason for a fault of its own
_AWAITED: dict[Condition, str] = {
    "user_speaks": "the user to speak",
    "user_stops": "the user to stop speaking",
    "microphone_seconds": "microphone audio",
    "microphone_frames": "frames of microphone audio",
    "text": "a text from the caller",
    "digits": "the digits ",
    "ping": "a ping",
    "heard": "the caller to hear what was said",
    "caller_leaves": "the caller to hang up",
}


def scenario_agent(
    scenario: Scenario | Path | str,
    *,
    tts: Tts | None = None,
    speed: float = 1.0,
    detector: DetectorSettings = DEFAULT_DETECTOR,
) -> Agent:
    """Return an agent that runs a scenario in every call, then hangs up.

    Args:
        scenario: the scenario, or its file.
        tts: speech synthesis; None: mumbling. Everything is synthesised before the first step.
        speed: how many times as fast as real time the scenario's clock runs.
        detector: settings of the voice detector.

    Raises:
        ConfigError: the scenario, or a recording in it, cannot be used.
    """
    if not isinstance(scenario, Scenario):
        scenario = load_scenario(scenario)
    if not speed > 0:
        raise ConfigError(f"a scenario cannot run at {speed:g} times real time")
    for step, action in _spoken(scenario.steps):
        if isinstance(action.source, Recording):
            try:
                read_wav(scenario.folder / action.source.path)
            except ConfigError as error:
                folder = f"recordings are looked up in {scenario.folder.absolute()}"
                hint = "; ".join(filter(None, (error.hint, folder)))
                where = f"scenario {scenario.name!r}, step {step.number}"
                raise ConfigError(f"{where}: {error}", hint) from None
    sounds = SoundCache(scenario.folder, tts or MumbleTts())

    return _ScenarioAgent(
        scenario.request_faults,
        scenario.after_call,
        lambda session: _ScenarioRunner(session, scenario, sounds, speed, detector).run(),
    )


@dataclass
class _ScenarioAgent:
    """An agent, and what goes wrong before any call is its, and is there after one.

    See ``Emulator``.
    """

    request_faults: tuple[RequestFault, ...]
    after_call: AfterCall
    run: Callable[[Session], Awaitable[None]]

    async def __call__(self, session: Session) -> None:
        await self.run(session)


def _each(steps: tuple[Step, ...]) -> Iterator[Step]:
    for step in steps:
        yield step
        if isinstance(step.action, Repeat | Together):
            yield from _each(step.action.steps)


def _spoken(steps: tuple[Step, ...]) -> Iterator[tuple[Step, Speak]]:
    for step in _each(steps):
        if isinstance(step.action, Speak):
            yield step, step.action


class _ScenarioRunner:
    """A scenario in one call."""

    def __init__(
        self,
        session: Session,
        scenario: Scenario,
        sounds: SoundCache,
        speed: float,
        detector: DetectorSettings,
    ) -> None:
        self._session = session
        self._scenario = scenario
        self._sounds = sounds
        self._speed = speed
        self._listener = Listener(session, detector)
        self._random = Random(scenario.seed)  # noqa: S311 - the same every time
        self._heard_at = 0.0  # when the caller will have heard everything
        self._connection = connection_of(session)

    async def run(self) -> None:
        """Run every step, or until the caller leaves."""
        try:
            async with asyncio.TaskGroup() as group:
                listening = group.create_task(self._listener.listen())
                await self._prepare()
                await self._do(self._scenario.steps)
                listening.cancel()
        except* CallOver:
            pass

    async def _prepare(self) -> None:
        scenario, audio = self._scenario, self._session.audio
        if not scenario.fits(audio):
            given = f"{audio.encoding} {audio.rate} Hz"
            await self._fail(
                f"the scenario {scenario.name!r} is for {scenario.formats}, not {given}"
            )
        if not isinstance(self._connection, WebCallConnection):
            for step in _each(scenario.steps):
                if isinstance(step.action, BadNetwork | DropControl):
                    await self._fail(f"{step.name} needs a web call, not a WebSocket", step)
        if self._session.call.protocol in ("web", "gateway"):
            for step in _each(scenario.steps):
                if isinstance(step.action, Wait) and step.action.condition == "digits":
                    await self._fail("digits come only in a phone provider's dialect", step)
        try:
            for _, action in _spoken(scenario.steps):
                await self._sounds.get(action, audio.rate)
        except (SpeechFailed, ConfigError) as error:
            await self._fail(str(error))

    async def _fail(self, why: str, step: Step | None = None) -> None:
        number = step.number if step else ""
        self._session.tell(ScenarioFailed, number=number, why=why)
        place = f"scenario, step {number}: " if step else ""
        await self._session.close(1011, place + why, "error_unknown")
        raise CallOver

    async def _do(self, steps: tuple[Step, ...]) -> None:
        for step in steps:
            self._session.tell(
                ScenarioStep, name=step.name, number=step.number, details=step.details
            )
            await self._act(step)
            await asyncio.sleep(0)  # let other calls run: the steps of a loop may take no time

    async def _act(self, step: Step) -> None:  # noqa: PLR0912 - a table
        session, connection = self._session, self._connection
        web_call = connection if isinstance(connection, WebCallConnection) else None
        match step.action:
            case Speak() as action:
                await self._speak(action)
            case Wait() as action:
                await self._wait(action, step)
            case Clear():
                await session.clear()
                self._heard_at = self._now()
            case Update() as action:
                await self._update(action)
            case SendMetadata(metadata):
                await session.metadata(metadata)
            case Send(message):
                await session.send(message)
            case BadMessage(kind, size):
                await self._connection.send_bad_message(kind, size)
            case Stall() as action:
                await self._stall(action)
            case Repeat(times, steps):
                done = 0
                while times is None or done < times:
                    await self._do(steps)
                    done += 1
            case Together(steps):
                async with self._connection.held():
                    await self._do(steps)
            case BadNetwork(network, direction) if web_call is not None:
                web_call.become(network, direction, self._random)
            case DropControl() if web_call is not None:
                await web_call.drop_control()
            case HalfOpen() | Reset() | Drop() as action:
                await self._break(action)
            case Close(code, reason, why):
                await session.close(code, reason, why)
                raise CallOver

    async def _speak(self, action: Speak) -> None:
        session = self._session
        speech = await self._sounds.get(action, session.audio.rate)
        start = self._now()
        for piece in pieces(speech, session.audio, action.delivery, session.chunk_ms, self._random):
            await self._sleep_until(start + piece.due)
            await self._connection.speak(piece.data, piece.text, action.alignment)
            self._heard_at = max(self._heard_at, self._now() + _LAG)
            self._heard_at += session.audio.seconds(piece.data)
        if action.delivery.pace:
            await self._sleep_until(start + speech.duration / action.delivery.pace)

    async def _update(self, action: Update) -> None:
        session = self._session
        transcript = session.call.transcript if action.transcript is None else action.transcript
        await session.update(transcript, action.turn)
        if action.forced and not session.updates:
            await self._connection.force_update(transcript, action.turn)

    async def _wait(self, wait: Wait, step: Step) -> None:
        awaited = _AWAITED.get(wait.condition, "") + (
            wait.text if wait.condition == "digits" else ""
        )
        try:
            async with asyncio.timeout(wait.at_most / self._speed if wait.at_most else None):
                await self._until(wait)
        except TimeoutError:
            if not wait.go_on:
                await self._fail(f"waited {wait.at_most:g} s in vain for {awaited}", step)
        except OtherDigits as error:
            if not wait.go_on:
                await self._fail(f"waited for {awaited}; the caller pressed {error}", step)

    async def _until(self, wait: Wait) -> None:
        heard, session = self._listener, self._session
        match wait.condition:
            case "seconds":
                await self._sleep_until(self._now() + wait.amount)
            case "heard":
                await self._sleep_until(self._heard_at)
            case "user_speaks":
                await heard.until_speech(begins=True)
            case "user_stops":
                await heard.until_speech(begins=False)
            case "microphone_seconds":
                samples = heard.samples + wait.amount * session.audio.rate
                await heard.until(lambda: heard.samples >= samples)
            case "microphone_frames":
                frames = heard.frames + wait.amount
                await heard.until(lambda: heard.frames >= frames)
            case "text":
                await heard.until_text(wait.text)
            case "digits":
                await heard.until_digits(wait.text)
            case "ping":
                session.pinged.clear()
                await session.pinged.wait()
            case "caller_leaves":
                await session.wait_closed()

    async def _stall(self, stall: Stall) -> None:
        async with AsyncExitStack() as stack:
            if stall.stops != "reading":
                await stack.enter_async_context(self._connection.held())
            if stall.stops != "sending":
                await stack.enter_async_context(self._connection.deaf())
            await self._sleep_until(self._now() + stall.seconds)

    async def _break(self, action: HalfOpen | Reset | Drop) -> None:
        session = self._session
        session.why = _FAULT
        match action:
            case HalfOpen():
                await self._connection.half_open()
            case Reset():
                await self._connection.reset()
            case Drop():
                await self._connection.drop()
        await session.wait_closed()
        raise CallOver

    def _now(self) -> float:
        return asyncio.get_running_loop().time() * self._speed

    async def _sleep_until(self, time: float) -> None:
        await asyncio.sleep(max(0.0, (time - self._now()) / self._speed))
