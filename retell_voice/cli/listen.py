"""``retell-voice listen``, ``take-over``: hear a call that others hold, take the agent's place.

::

    listening ── t and Enter, or take-over ──▶ our microphone, and the agent's place ──▶ talking
        │                                                                                  │
        └──────────── Ctrl-C: the call goes on                       Ctrl-C: the call is over
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Coroutine
from contextlib import AsyncExitStack, suppress
from functools import partial
from typing import Any

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.account import call_id_given
from retell_voice.cli.monitor import Output, output_of
from retell_voice.cli.typed import read_lines
from retell_voice.devices.files import NullMicrophone
from retell_voice.engine.call import Call
from retell_voice.engine.listen_call import ListenCall
from retell_voice.errors import ConfigError, RetellVoiceError
from retell_voice.events import Ended
from retell_voice.program import stdout
from retell_voice.program.account import account, api_key, key_from
from retell_voice.program.attempts import telling_attempts
from retell_voice.program.failure import complain
from retell_voice.program.memory import share_one_heap
from retell_voice.program.opening import (
    claim_stdout,
    find_microphone,
    find_speaker,
    make_call,
    make_recorder,
)
from retell_voice.program.realtime import freeze_memory, set_switch_interval
from retell_voice.program.signals import WEB_CALL_SECONDS, Interrupts
from retell_voice.program.words import echo_hint, ending
from retell_voice.protocol.monitor import TAKE_OVER, CallEnded
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.call import ListenSettings
from retell_voice.shown import clean
from retell_voice.threads.detached import run_detached

_AUDIO = AudioFormat(rate=48000)
_ASK = "t and Enter take the call over, for good: the caller talks to you, not to the agent"
_TALKING = "the caller hears you now; m and Enter mute you, Ctrl-C ends the call"


def listen(settings: ListenSettings, given: str, *, at_once: bool = False) -> int:
    """Play a call until it is over or a signal comes; return the exit code.

    On a terminal, a typed line takes it over, or mutes.

    Args:
        settings: with what, and as which account.
        given: what names the call.
        at_once: take it over as soon as it is heard.

    Raises:
        RetellVoiceError: it cannot be listened to, or not be taken over.
    """
    set_switch_interval()
    share_one_heap()
    claim_stdout(settings)
    key = api_key(settings, "listen to calls")
    wanted = call_id_given(given)
    # What the file and the environment say of JSON is for talk, whose output is another.
    as_json = settings.json.value and settings.json.is_flag
    output = output_of(as_json=as_json)
    listening = _Listening(settings, output, at_once=at_once)
    with key_from(key), Interrupts(lambda: None) as interrupts:
        try:
            asyncio.run(listening.hold(key, wanted, interrupts))
        finally:
            output.close()
        ended = listening.ended
        if ended is not None:
            if ended.error is not None:
                raise ended.error
            if not as_json:
                listening.say_goodbye(ended)
        return interrupts.exit_code


def confirm(*, yes: bool) -> None:
    """Ask whether a call is to be taken over, unless that has been said.

    Raises:
        ConfigError: nobody can be asked, or the answer is no.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("taking a call over is for good: give --yes if you mean it")
    stdout.say("The caller will talk to you, not to the agent, for good. Go on? [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("the call was not taken over")


class _Listening:
    def __init__(self, settings: ListenSettings, output: Output, *, at_once: bool) -> None:
        self._settings, self._output, self._at_once = settings, output, at_once
        self._call: Call | None = None
        self._route: ListenCall | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._failure: RetellVoiceError | None = None
        self._taking = self._told = self._leaving = False
        self.ended: Ended | None = None

    async def hold(self, key: Sourced[str], wanted: str, interrupts: Interrupts) -> None:
        async with AsyncExitStack() as stack:
            opening = self._open(key, wanted, stack)
            with telling_attempts(complain):
                call = await interrupts.opening(opening, lambda: None, WEB_CALL_SECONDS)
            interrupts.ask(asyncio.get_running_loop(), self._leave)
            freeze_memory()
            if self._at_once:
                self._begin(self._take_over())
            elif sys.stdin.isatty():
                self._output.remark(_ASK)
            if sys.stdin.isatty():
                self._read_lines()
            async for event in call:
                if isinstance(event, CallEnded):
                    if event.reason == TAKE_OVER and self._taking:
                        continue  # for us it goes on
                    self._told = True
                self._output.show(event)
                if isinstance(event, Ended):
                    self.ended = event
        if self._failure is not None:
            raise self._failure

    def say_goodbye(self, ended: Ended) -> None:
        """Say how it ended, unless the transcript has."""
        route = self._route
        if ended.by == "you" and route is not None and not route.is_agents_place_ours:
            self._output.remark("you have left, the call goes on")
        elif not self._told:
            self._output.remark(ending(ended))

    async def _open(self, key: Sourced[str], wanted: str, stack: AsyncExitStack) -> Call:
        settings = self._settings
        of = account(settings, key)
        call_id = await of.call_id(wanted, ongoing=True)
        # On a thread: what is named as a file may stand still, as a pipe does.
        speaker = await run_detached(partial(find_speaker, settings, _AUDIO, card=_AUDIO))
        route = self._route = ListenCall(call_id, api_key=of.api_key, api_url=of.api_url)
        call = self._call = make_call(
            settings,
            route,
            audio=_AUDIO,
            microphone=NullMicrophone(_AUDIO.rate),
            speaker=speaker,
            recorder=make_recorder(settings),
        )
        return await stack.enter_async_context(call)

    def _read_lines(self) -> None:
        loop = asyncio.get_running_loop()

        def take(line: str) -> None:
            with suppress(RuntimeError):  # the loop has closed: the call is over
                loop.call_soon_threadsafe(self._typed, line)

        read_lines(sys.stdin.fileno(), take)

    def _typed(self, line: str) -> None:
        match line.lower():
            case "t":
                self._begin(self._take_over())
            case "m" if self._call is not None and self._route and self._route.taken_over:
                self._call.muted = not self._call.muted
                self._output.remark("you are muted" if self._call.muted else _TALKING)

    async def _take_over(self) -> None:
        call, route = self._call, self._route
        if call is None or route is None or self._taking:
            return
        self._taking = True
        try:
            microphone = await run_detached(
                partial(find_microphone, self._settings, _AUDIO, card=_AUDIO)
            )
            await call.use(microphone=microphone)
            await route.take_over()
        except RetellVoiceError as error:
            await self._not_taken(call, error)
        else:
            if hint := echo_hint(call.echo.choice):
                self._output.remark(hint)
            self._output.remark(_TALKING)

    async def _not_taken(self, call: Call, error: RetellVoiceError) -> None:
        if self._leaving:  # which is why
            return
        if self._at_once:
            self._failure = error
            await call.hang_up()
            return
        self._output.remark(f"not taken over: {clean(str(error))}")
        with suppress(RetellVoiceError):  # nobody is to be listened to any longer
            await call.use(microphone=NullMicrophone(_AUDIO.rate))
        self._taking = False

    def _leave(self) -> None:
        self._leaving = True
        if self._call is not None:
            self._begin(self._call.hang_up())

    def _begin(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
