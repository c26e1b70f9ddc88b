"""Real calls against scenarios, over real sockets."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator
from retell_voice.emulator.scenario import parse_scenario, scenario_agent
from retell_voice.emulator.server_events import ServerEvent
from retell_voice.engine.call import Call
from retell_voice.engine.timing import DEFAULT_TIMING
from retell_voice.events import Ended, Event, Statistics

AUDIO = AudioFormat(Encoding.S16LE, 8000)
GOODBYE = '\n[[step]]\nclose = {reason = "that is all"}'
NORMAL = ("server", 1000, "that is all")


class Conversation:
    """One call, and when it is over what both sides say of it."""

    timing = DEFAULT_TIMING

    def __init__(self, toml: str | Path, *, speed: float = 1.0, **options: Any) -> None:
        scenario = parse_scenario(toml) if isinstance(toml, str) else toml
        self.emulator = Emulator(agent=scenario_agent(scenario, speed=speed), record=True)
        self.options = {
            "microphone": NullMicrophone(8000, speed=speed),
            "speaker": NullSpeaker(8000, speed=speed),
            "audio": AUDIO,
            "timing": self.timing,
            **options,
        }
        self.events: list[Event] = []
        self.server_events: list[ServerEvent] = []

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Call]:
        """Call, and in the end listen until the call is over."""
        async with self.emulator:
            self.registered = self.emulator.register(self.options["audio"])
            url = self.emulator.url
            async with Call(self.registered.call_id, url=url, **self.options) as call:
                yield call
                self.events += [event async for event in call]
            await self.registered.wait()
        self.server_events = [server_event async for server_event in self.emulator.events]

    def all(self, kind: type) -> list[Any]:
        return [each for each in (*self.events, *self.server_events) if isinstance(each, kind)]

    @property
    def end(self) -> Ended:
        assert isinstance(self.events[-1], Ended)
        return self.events[-1]

    @property
    def how(self) -> tuple[str, int | None, str]:
        return self.end.by, self.end.code, self.end.reason

    @property
    def figures(self) -> Statistics:
        return self.end.statistics


async def perform(toml: str | Path, **options: Any) -> Conversation:
    """Have a whole call with a scenario: its text, or the path of its file."""
    conversation = Conversation(toml, **options)
    async with conversation.open():
        pass
    return conversation
