"""``retell-voice talk``: one call, from the settings to an exit code."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from retell_voice.cli.dial import Target, find_target
from retell_voice.cli.input_turns import InputTurns
from retell_voice.cli.outputs import output_for, require_keys, wants_levels
from retell_voice.cli.settle import no_typing, settle
from retell_voice.cli.typed import TypedTurns
from retell_voice.cli.view import View, reduce
from retell_voice.devices.files import WavMicrophone, WavSpeaker
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.engine.call import Call
from retell_voice.errors import ConfigError
from retell_voice.events import Ended
from retell_voice.program import stdout
from retell_voice.program.attempts import telling_attempts
from retell_voice.program.failure import complain
from retell_voice.program.limits import require_files
from retell_voice.program.opening import (
    PHONE_CARD_RATE,
    claim_stdout,
    find_devices,
    host_of,
    make_call,
    make_recorder,
)
from retell_voice.program.realtime import freeze_memory, set_switch_interval
from retell_voice.program.signals import OPENING_SECONDS, WEB_CALL_SECONDS, Interrupts
from retell_voice.program.words import echo_hint
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import clean
from retell_voice.threads.detached import run_detached

if TYPE_CHECKING:  # of no use where there is no screen, or the call is with another server
    from retell_voice.cli.keys import Key
    from retell_voice.cli.live import ScreenOutput
    from retell_voice.cli.operate import Operator
    from retell_voice.emulator import Emulator, LlmFailed
    from retell_voice.settings.tables.emulator import EmulatorSettings

LEVEL_INTERVAL = 1 / 12


def talk(
    settings: TalkSettings,
    emulator: EmulatorSettings | None = None,
    *,
    metadata: Sequence[str] = (),
    variables: Sequence[str] = (),
    parameters: Sequence[str] = (),
    web_call: str | None = None,
    speed: float = 1.0,
) -> int:
    """Hold a call and return the exit code.

    Args:
        settings: how.
        emulator: how the agent of a ``--local`` call behaves; defaults if None.
        metadata, variables: ``NAME=VALUE`` each, for a new call.
        parameters: the same, for a call that is made as a phone provider makes it.
        web_call: where the admission to a web call is to be read: a file, or ``-``.
        speed: how many times faster than real time WAV files are.

    Raises:
        RetellVoiceError: the call could not be opened.
    """
    set_switch_interval()
    require_files()
    settings = settle(settings)
    claim_stdout(settings)
    require_keys(settings)
    target = find_target(
        settings,
        metadata=metadata,
        variables=variables,
        parameters=parameters,
        web_call=web_call,
        speed=speed,
    )
    settings = target.settings
    if not settings.local.value:
        emulator = None
    else:
        from retell_voice.program.emulator import check, for_local_call  # only then
        from retell_voice.settings.tables.emulator import EmulatorSettings

        emulator = for_local_call(settings, emulator or EmulatorSettings())
        check(emulator)  # before devices are opened for nothing
    conversation = _Conversation(target, emulator, speed)
    with Interrupts(conversation.output.abandon) as interrupts:
        try:
            asyncio.run(conversation.hold(interrupts))
        finally:
            conversation.close()
        if conversation.output.failure is not None:
            why = conversation.output.failure
            raise ConfigError(f"the output could not be written: {why.strerror or why}")
        ended = conversation.view.ended
        asks = target.phone is None and ended is not None and ended.by != "network"
        if asks and interrupts.exit_code == 0:
            interrupts.forget()  # Ctrl-C has hung up; the next one ends the waiting
            _tell_details(conversation.call_id, settings, interrupts)
        if ended is not None and ended.error is not None:
            complain(str(ended.error), ended.error.hint)
            return ended.error.exit_code
        return interrupts.exit_code


def _tell_details(call_id: str, settings: TalkSettings, interrupts: Interrupts) -> None:
    from retell_voice.cli import details  # only where there is a key

    if (key := details.key_for(settings)) is not None and stdout.failure() is None:
        details.tell(call_id, key, settings, interrupts)


class _Conversation:
    def __init__(self, target: Target, emulator: EmulatorSettings | None, speed: float) -> None:
        settings = self._settings = target.settings
        self._target = target
        self._emulator = emulator
        self._speed = speed
        self._call: Call | None = None
        self._hanging_up: asyncio.Task[None] | None = None
        self._shown = False
        self._operator: Operator | None = None
        self._turns: InputTurns | None = None
        self._running: Emulator | None = None
        self._recorder = make_recorder(settings)
        self._telling: asyncio.Task[None] | None = None
        self._llm_failed: LlmFailed | None = None
        self.view = View()
        self._viewed = time.monotonic()
        self.output, self._screen = output_for(target)

    @property
    def call_id(self) -> str:
        """The call's id, once it is known; empty until then."""
        web = self._target.web
        return self._target.call_id if web is None else web.call_id or ""

    async def hold(self, interrupts: Interrupts) -> None:
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._hear_all)
            seconds = WEB_CALL_SECONDS if self._target.is_web else OPENING_SECONDS
            call = self._call = await interrupts.opening(self._open(stack), self.close, seconds)
            interrupts.ask(asyncio.get_running_loop(), self.hang_up)
            if self._operator is not None:
                self._operator.begin(call)
            freeze_memory()
            async for event in call:
                if isinstance(event, Ended) and self._emulator is not None:
                    self._advise(event, self._emulator)
                self.view, self._viewed = reduce(self.view, event), time.monotonic()
                self.output.show(event, self.view)
                if self._turns is not None and self._turns.look(self.view):
                    self.hang_up()

    def hang_up(self) -> None:
        if self._hanging_up is None and self._call is not None:
            self.view = replace(self.view, hanging_up=True)
            self._hanging_up = asyncio.create_task(self._call.hang_up())

    def close(self) -> None:
        if self._shown:
            self._shown = False
            if self._recorder is not None and self._recorder.path is not None:
                self.view = replace(self.view, recording=str(self._recorder.path))
            self.output.close(self.view)

    def _advise(self, ended: Ended, emulator: EmulatorSettings) -> None:
        """Put in what helps where the server is the user's own."""
        if ended.by == "server" and ended.error is not None:
            from retell_voice.cli.emulator_events import hint  # only when local

            ended.error.hint = hint(ended.reason, emulator.llm.value, self._llm_failed)

    async def _tell(self, emulator: Emulator) -> None:
        from retell_voice.cli.emulator_events import is_warning  # only when local
        from retell_voice.emulator import LlmFailed

        async for server_event in emulator.events:
            if isinstance(server_event, LlmFailed):
                self._llm_failed = server_event
            if is_warning(server_event):
                self._remark(clean(str(server_event)), "warning: ", self._now().at)

    async def _hear_all(self) -> None:
        """Wait for the last word of an emulator that has ended."""
        if self._telling is not None:
            await self._telling

    def _remark(self, text: str, before: str = "", at: float | None = None) -> None:
        self.output.remark(before + text, at)
        if self._operator is not None:
            self._operator.notice(text)

    def _now(self) -> View:
        """Return the view brought up to now: events may be a moment apart."""
        return self.view.passed(time.monotonic() - self._viewed)

    def _listen(self, output: ScreenOutput) -> None:
        from retell_voice.cli.controls import Controls  # only with keys
        from retell_voice.cli.operate import Operator

        loop = asyncio.get_running_loop()
        controls = Controls(
            has_keys=output.has_keys,
            has_keypad=self._target.phone is not None,
            no_typing=no_typing(self._settings),
            muted=self._settings.push_to_talk.value,
            volume=self._settings.volume.value,
        )
        operator = self._operator = Operator(controls, output, self._now, self._say)

        def take(key: Key) -> None:
            with suppress(RuntimeError):  # the loop has closed: the call is over
                loop.call_soon_threadsafe(operator.press, key)

        output.listen(take)

    @property
    def _is_joined(self) -> bool:
        """Whether the emulator's side of the call has begun."""
        return self._running is not None and bool(self._running.sessions)

    def _say(self, text: str) -> None:
        if self._running is None:
            raise RuntimeError(no_typing(self._settings))
        self._running.type(text)

    def _say_line(self, text: str) -> None:
        try:
            self._say(text)
        except RuntimeError as error:
            self._remark(f"not said: {error}")

    def _follow(self, microphone: Microphone, speaker: Speaker, gone: Callable[[], None]) -> None:
        """Say what is to be said without anybody at the microphone, each in its turn."""
        waits = self._settings.input_wait.value == "agent"
        if self._settings.typed.value:
            typed = TypedTurns(self._say_line, lambda: self._is_joined)
            self._turns = InputTurns(
                typed, waits=waits, speed=self._speed, is_over=lambda: typed.is_over
            )
        elif isinstance(microphone, WavMicrophone):
            self._turns = InputTurns(microphone, waits=waits, speed=self._speed)
        if isinstance(speaker, WavSpeaker):
            speaker.gone = gone

    async def _open(self, stack: AsyncExitStack) -> Call:
        settings, target = self._settings, self._target
        audio, phone, call_id = target.audio, target.phone, target.call_id
        # On a thread: what is named as a file may stand still, as a pipe does.
        microphone, speaker = await run_detached(
            partial(
                find_devices,
                settings,
                audio,
                far_end=None if phone is None else phone.far_end,
                card_rate=None if phone is None else PHONE_CARD_RATE,
                speed=self._speed,
                waits=settings.input_wait.value == "agent",
                silent=settings.typed.value,
            )
        )
        url = settings.url.value
        engines: tuple[str, ...] = ()
        if settings.local.value:
            assert self._emulator is not None  # noqa: S101 - talk makes it for such calls
            from retell_voice.program.emulator import run_emulator  # only then

            running = await stack.enter_async_context(run_emulator(self._emulator))
            self._telling = asyncio.create_task(self._tell(running.emulator))
            engines, self._running = running.engines, running.emulator
            if target.is_web:
                from retell_voice.program.web_calls import web_call_of

                key = self._emulator.api_key.value
                web = web_call_of(running.emulator, target.told, key)
                target = self._target = replace(target, web=web)
            else:
                registered = running.emulator.register(
                    audio, dialect=settings.dialect.value, **target.told.said()
                )
                call_id, url = registered.call_id, running.emulator.url
        call = make_call(
            settings,
            target.route(url, call_id),
            url=url,
            audio=audio,
            microphone=microphone,
            speaker=speaker,
            recorder=self._recorder,
            level_interval=LEVEL_INTERVAL if wants_levels(settings) else None,
        )
        self.view = View(
            call_id=target.label(call_id or self.call_id),
            callee=clean(settings.agent.value or ""),
            server="the emulator" if settings.local.value else host_of(settings.url),
            audio=target.format,
            microphone=microphone.name,
            speaker=speaker.name,
        )
        loop = asyncio.get_running_loop()
        self._shown = True

        def gone() -> None:
            with suppress(RuntimeError):  # the loop has closed: the call is over
                loop.call_soon_threadsafe(self.hang_up)

        self._follow(microphone, speaker, gone)
        self.output.open(self.view, gone)
        if self._screen is not None:
            self._listen(self._screen)
        for line in engines:
            self._remark(line)
        with telling_attempts(self._remark if self._screen or settings.json.value else complain):
            await stack.enter_async_context(call)
        if hint := echo_hint(call.echo.choice):
            self._remark(hint)
        return call
