"""The agent whose words come from a developer's LLM server.

::

    caller ⇄ Session ⇄ AgentRunner ⇄ Dialogue (pure)
                            ├──── LlmLink ⇄ LLM server
                            └──── Asr, Tts

What takes time (recognition, synthesis, the LLM server) runs alongside the listening and comes
back to the dialogue as its next input. Synthesis that is no longer wanted is cancelled.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from functools import partial
from typing import Protocol

from retell_voice.emulator.actions import (
    Action,
    Ask,
    Cancel,
    Measure,
    Recognize,
    Synthesize,
    Update,
)
from retell_voice.emulator.agents import Agent
from retell_voice.emulator.dialogue.machine import Dialogue
from retell_voice.emulator.dialogue.settings import DEFAULT_DIALOGUE, DialogueSettings
from retell_voice.emulator.llm.dial import HUNG_UP
from retell_voice.emulator.llm.link import (
    DEFAULT_LINK,
    LinkChanged,
    LinkItem,
    LinkSettings,
    LlmFailure,
    LlmLink,
    LlmMalformed,
)
from retell_voice.emulator.llm.server_events import LlmFailed, LlmMessageMalformed, LlmRetrying
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.runner import AgentMachine, AgentRunner
from retell_voice.emulator.session import Session
from retell_voice.emulator.speech.neural import DetectorKind, new_detector
from retell_voice.emulator.speech.ports import Asr, SpeechFailed, Tts
from retell_voice.protocol.llm import ResponseRequired, llm_url

_QUICK = {"onset_ms": 100, "release_ms": 100}  # the dialogue decides how much speech counts
_ENGINE_TIMEOUT = 30.0  # seconds for one recognition or one sentence


class SpeechEngines(Protocol):
    """An ASR and a TTS; ``engines.Engines`` is one."""

    @property
    def asr(self) -> Asr:
        """Recognises what callers say."""

    @property
    def tts(self) -> Tts:
        """The agent's voice."""


def llm_agent(
    url: str,
    engines: SpeechEngines,
    settings: DialogueSettings = DEFAULT_DIALOGUE,
    *,
    detector: DetectorKind = "auto",
    link: LinkSettings = DEFAULT_LINK,
    audio_timeout: float = 60.0,
) -> Agent:
    """Return an agent that says what an LLM server answers.

    Args:
        url: URL of the LLM server, to which the call_id is appended; dialled for every call.
        engines: ASR and TTS, shared by all calls.
        settings: turn-taking.
        detector: voice detector: ``neural``, ``energy``, or ``auto``, the better one that is
            installed.
        link: time-outs and retries of the connection to the LLM server.
        audio_timeout: seconds without any microphone audio, silence included, after which the
            call is given up.

    Raises:
        ConfigError: the URL is not that of an LLM server, or the detector is not installed.
    """
    llm_url(url, "call")
    new_detector(detector, 16_000)

    async def agent(session: Session) -> None:
        call = session.call
        own = call.end_call_after_silence_ms
        dialogue = Dialogue(
            session.audio.rate,
            new_detector(detector, session.audio.rate, **_QUICK),
            settings if own is None else replace(settings, end_call_after_silence_ms=own),
            chunk_ms=session.chunk_ms,
        )
        server = LlmLink(
            url,
            call.call_id,
            details=partial(call_body, call),
            settings=link,
            retrying=lambda why: session.tell(LlmRetrying, why=why),
        )
        try:
            async with server:
                await _LlmRunner(session, audio_timeout, dialogue, server, engines).run(dialogue)
        except LlmFailure as failure:
            _tell(session, failure)
            await _give_up(session, failure)

    return agent


def _tell(session: Session, failure: LlmFailure) -> None:
    session.tell(LlmFailed, why=failure.why, words=failure.words, hint=failure.hint)


async def _give_up(session: Session, failure: LlmFailure) -> None:
    await session.close(1011, f"{failure.why}: {failure}", failure.why)


class _LlmRunner(AgentRunner):
    def __init__(
        self,
        session: Session,
        audio_timeout: float,
        dialogue: Dialogue,
        link: LlmLink,
        engines: SpeechEngines,
    ) -> None:
        super().__init__(session, audio_timeout)
        self._dialogue = dialogue
        self._link = link
        self._engines = engines
        self._synthesis: dict[int, asyncio.Task[None]] = {}

    def begin(self) -> None:
        super().begin()
        self.start(self._hear_llm())
        self.start(self._read_digits())

    async def run(self, machine: AgentMachine) -> None:
        try:
            await super().run(machine)
        finally:
            self._keep_tool_calls()  # those after the last update

    def _keep_tool_calls(self) -> None:
        said = self._dialogue.transcript.with_tool_calls
        self.session.call.transcript_with_tool_calls = said

    async def _read_digits(self) -> None:
        while True:
            self.add(self._dialogue.pressed(await self.session.next_digit()))

    async def _hear_llm(self) -> None:
        try:
            async for item in self._link:
                self.add(self._heard_from_llm(item))
                await asyncio.sleep(0)  # let other calls run: a server may have a lot to say
        except LlmFailure as failure:
            _tell(self.session, failure)
            if failure.why == HUNG_UP:
                self.add(self._dialogue.hung_up(str(failure)))
            else:
                await _give_up(self.session, failure)

    def _heard_from_llm(self, item: LinkItem) -> list[Action]:
        match item:
            case LinkChanged(state="lost"):
                return self._dialogue.link_lost(item.why)
            case LinkChanged():
                return self._dialogue.link_back()
            case LlmMalformed():
                self.session.tell(LlmMessageMalformed, problem=item.problem, excerpt=item.excerpt)
                return []
        return self._dialogue.answered(item)

    def do_at_once(self, action: Action) -> bool:
        match action:
            case Ask():
                self._link.send(action.message)
                if isinstance(action.message, ResponseRequired) and self._link.round_trip:
                    round_trip = self._link.round_trip * 1000
                    self.session.call.measure("llm_websocket_network_rtt", round_trip)
            case Recognize():
                self.start(self._recognize(action))
            case Synthesize():
                task = self.start(self._synthesize(action))
                self._synthesis[action.sentence] = task
                task.add_done_callback(lambda _: self._synthesis.pop(action.sentence, None))
            case Cancel():
                for sentence in action.sentences & self._synthesis.keys():
                    self._synthesis[sentence].cancel()
            case Measure():
                self.session.call.measure(action.kind, action.milliseconds)
            case _:
                return False
        return True

    async def do(self, action: Action) -> None:
        if isinstance(action, Update):
            self._keep_tool_calls()
        await super().do(action)

    async def _recognize(self, action: Recognize) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(_ENGINE_TIMEOUT):
                words = await self._engines.asr.recognize(action.samples, self.session.audio.rate)
        except (SpeechFailed, TimeoutError) as error:
            self.add(self._dialogue.not_recognized(action.job, _why(error)))
            return
        if not action.partial:
            self.session.call.measure("asr", (now() - began) * 1000)
        self.add(self._dialogue.recognized(action.job, words))

    async def _synthesize(self, action: Synthesize) -> None:
        now = asyncio.get_running_loop().time
        began = now()
        try:
            async with asyncio.timeout(_ENGINE_TIMEOUT):
                speech = await self._engines.tts.synthesize(action.text, self.session.audio.rate)
        except (SpeechFailed, TimeoutError) as error:
            self.add(self._dialogue.not_synthesized(action.sentence, _why(error)))
            return
        self.session.call.measure("tts", (now() - began) * 1000)
        self.add(self._dialogue.synthesized(action.sentence, speech))


def _why(error: Exception) -> str:
    return str(error) or f"it took more than {_ENGINE_TIMEOUT:g} s"
