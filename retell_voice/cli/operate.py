"""Keys control a call: their commands are carried out and shown."""

from __future__ import annotations

import asyncio
import math
import signal
from collections.abc import Callable, Coroutine
from dataclasses import replace
from functools import partial
from typing import Protocol

from retell_voice.cli.controls import (
    Choice,
    Command,
    Controls,
    HangUp,
    ListDevices,
    Press,
    Repaint,
    Say,
    Use,
    press,
)
from retell_voice.cli.keys import Key
from retell_voice.cli.view import View
from retell_voice.engine.call import Call
from retell_voice.errors import RetellVoiceError
from retell_voice.events import CallState
from retell_voice.shown import clean
from retell_voice.threads.detached import run_detached

_LONG_NOTICE = 10.0
"""Seconds for which to show why a device cannot be used."""


class _Shows(Protocol):
    def control(self, controls: Controls, *, full: bool = False) -> None: ...


class Operator:
    """Holds the controls of a call; all of it on the event loop.

    Args:
        controls: initial state.
        output: shows them.
        view: returns the current view of the call.
        say: says a typed text; raises RuntimeError if that cannot be done.
    """

    def __init__(
        self,
        controls: Controls,
        output: _Shows,
        view: Callable[[], View],
        say: Callable[[str], None] = lambda _: None,
    ) -> None:
        self._controls = controls
        self._output = output
        self._view = view
        self._say_typed = say
        self._call: Call | None = None
        self._release: asyncio.TimerHandle | None = None  # of the space bar
        self._is_hanging_up = False
        self._at_work: set[asyncio.Task[None]] = set()
        output.control(controls)

    def begin(self, call: Call) -> None:
        """Control this call, which has been opened."""
        self._call = call
        self._apply()

    def notice(self, text: str) -> None:
        """Show a message for a while."""
        self._show(self._controls.noticed(clean(text), self._view().at, _LONG_NOTICE))

    def press(self, key: Key) -> None:
        """Handle a key."""
        view = self._view()
        self._controls, command = press(self._controls, key, view.at, len(view.said))
        self._apply()
        self._output.control(self._controls, full=isinstance(command, Repaint))
        if command is not None:
            self._do(command)

    def _do(self, command: Command) -> None:
        call = self._call
        match command:
            # As Ctrl-C does, whatever the call is about to do. A held key repeats, so only
            # Ctrl-C counts the second time.
            case HangUp() if not self._is_hanging_up:
                self._is_hanging_up = True
                signal.raise_signal(signal.SIGINT)
            case ListDevices() if call is None:
                self._say("devices can be changed once the call is connected")
            case ListDevices() if call is not None:
                self._begin(self._list_devices(call))
            case Press(digit=digit) if call is None or not call.press(digit):
                self._say("keypad digits cannot be sent now")
            case Say(text=text):
                try:
                    self._say_typed(text)
                except RuntimeError as error:
                    self._say(f"not said: {error}")
            case Use(choice=choice) if call is not None:
                self._begin(self._use(call, choice))

    def _begin(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._at_work.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._at_work.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"that failed, a defect: {error!r}", _LONG_NOTICE)

    async def _list_devices(self, call: Call) -> None:
        from retell_voice.cli import choose  # a call with files needs no PortAudio

        try:
            found = await run_detached(partial(choose.choices, call.microphone, call.speaker))
        except RetellVoiceError as error:
            self._say(str(error), _LONG_NOTICE)
        else:
            self._show(replace(self._controls, choices=found))

    async def _use(self, call: Call, choice: Choice) -> None:
        from retell_voice.cli import choose  # as above

        try:
            if choice.side == "near_end":
                microphone = await run_detached(partial(choose.find_microphone, choice, call.audio))
                await call.use(microphone=microphone)
            else:
                speaker = await run_detached(partial(choose.find_speaker, choice, call.audio))
                await call.use(speaker=speaker)
        except RetellVoiceError as error:
            self._say(str(error), _LONG_NOTICE)
        else:
            self._say(f"{choice.name} is in use now")

    def _say(self, notice: str, *seconds: float) -> None:
        """Answer a key, instead of the list of devices if that is shown."""
        controls = self._controls
        if controls.panel == "devices":
            controls = replace(controls, panel="")
        self._show(controls.noticed(clean(notice), self._view().at, *seconds))

    def _show(self, controls: Controls) -> None:
        self._controls = controls
        self._output.control(controls)

    def _apply(self) -> None:
        call, controls = self._call, self._controls
        if call is None or call.state is CallState.ENDED:
            return
        now = self._view().at
        call.muted = controls.silent(now)
        call.volume = controls.volume / 100
        if self._release is not None:
            self._release.cancel()
        if controls.muted and not call.muted and math.isfinite(controls.held_until):
            loop = asyncio.get_running_loop()
            self._release = loop.call_later(controls.held_until - now, self._apply)
