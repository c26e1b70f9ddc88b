"""The kiosk: one table of states, and all that it moves.

::

    parts ───┐
    control ─┼─▶ [Machine: states] ─▶ DIAL, HANG_UP ─▶ HeldCall ─▶ Call ─────┐
    devices ─┤                     ─▶ CHECK, LOOK   ─▶ Checks: Devices, ─────┼─ AudioIO, always open
             │                                                 CallSource    │
    the call ┘                     ─▶ sounds, mute  ─▶ Audible ──────────────┘
                                   ─▶ Look          ─▶ parts, control, systemd
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from functools import partial
from typing import Literal, Protocol, Self

from retell_voice.devices.listener import Listener
from retell_voice.errors import RetellVoiceError
from retell_voice.kiosk.account import Account, in_words
from retell_voice.kiosk.audible import Audible, check_sounds
from retell_voice.kiosk.checking import Checks
from retell_voice.kiosk.devices import Devices, devices_of
from retell_voice.kiosk.held import HeldCall, Wish
from retell_voice.kiosk.history import History
from retell_voice.kiosk.keeping import keep
from retell_voice.kiosk.looks import Looks
from retell_voice.kiosk.machine import Machine
from retell_voice.kiosk.parts import make_parts
from retell_voice.kiosk.places import history_path
from retell_voice.kiosk.placing import CallSource, call_source
from retell_voice.kiosk.ports import (
    LongPressed,
    Look,
    Part,
    PartFailed,
    Pressed,
    TriggerEvent,
    WantsCall,
    WantsHangUp,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.states import LIMITS, Action, Event, Say, State
from retell_voice.kiosk.tally import Tally
from retell_voice.kiosk.triggers.hearing import PAUSE
from retell_voice.kiosk.verdict import finding_of, wait_for, words_of
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import logger
from retell_voice.threads.detached import run_detached

_MOST_HANGS = 3

_logger = logger("retell_voice.kiosk")


class Observer(Protocol):
    """Is told what becomes of a kiosk, at once and on its event loop."""

    def looks(self, look: Look) -> None:
        """It looks like this now."""

    def ended(self, account: Account) -> None:
        """A call has ended."""


class Kiosk:
    """A kiosk that runs; an async context manager. All of it on one event loop.

    Args:
        settings: what it is.
        observer: is told what becomes of it.
        draw: gives numbers from 0 to 1, for pauses.

    Raises:
        ConfigError: the settings contradict each other, or name what there is not.
    """

    def __init__(
        self,
        settings: KioskSettings,
        observer: Observer,
        *,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self.settings = settings
        self.tally = Tally()
        self.history = History(history_path(settings), settings.history_calls.value)
        self.exit_code: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        """Set when the program is to end."""
        self.machine = Machine(self._do, self._show, self._limits, draw=draw)
        self.devices = Devices(lambda: self.settings, self._device_changed, _logger.warning)
        self._observer = observer
        self._looks = Looks()
        self._audible = Audible(self.devices, settings.volume.value)
        self._source: CallSource = call_source(settings)
        self._checks = Checks(
            self.devices,
            lambda: self._source,
            opened=lambda: self._audible.set_up(muted=self.machine.standing.muted),
            load=lambda: self._audible.load(self.settings),
            found=self._found,
        )
        self._wish = Wish("")
        self._call: HeldCall | None = None
        self._calls = 0
        self._why = ""
        self._warned = ""  # what the last look found
        self._parts: list[asyncio.Task[None]] = []
        self._are_devices_stale = False
        self._reopening: asyncio.Task[None] | None = None

    # Surroundings, for its parts

    @property
    def look(self) -> Look:
        """How it looks now."""
        return self._looks.now

    @property
    def is_sounding(self) -> bool:
        """See ``Surroundings.is_sounding``."""
        return self._audible.sounds.is_playing

    async def changed(self, seen: Look) -> Look:
        """See ``Surroundings.changed``."""
        return await self._looks.changed(seen)

    def listen(self, side: Literal["near_end", "far_end"] = "near_end") -> Listener:
        """See ``Surroundings.listen``."""
        if self.devices.io is None:
            raise PartFailed(self.devices.away)
        return self.devices.io.listen(side, every=PAUSE)

    # From beginning to end

    async def __aenter__(self) -> Self:
        await check_sounds(self.settings)  # what cannot be read is told now
        self._begin_parts(make_parts(self.settings, self))
        self.history.begin()
        self.machine.start()
        self._checks.begin()
        self._show()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.machine.stop()
        self._audible.sounds.stop()
        async with AsyncExitStack() as stack:  # each whatever becomes of the others, the last first
            stack.push_async_callback(run_detached, self.history.close)
            stack.push_async_callback(self.devices.close)
            if self._call is not None:
                stack.push_async_callback(self._call.abandon)
            stack.push_async_callback(_ended, *self._parts, self._checks.task, self._reopening)

    def stop(self) -> None:
        """Hang up and end."""
        self.machine.happen(Event.STOP)

    async def reload(self, settings: KioskSettings) -> None:
        """Go on with other settings; a call that is up is not dropped.

        It keeps those it began with, and so do devices until it is over.

        Raises:
            ConfigError: they cannot be used; nothing has changed then.
        """
        source = call_source(settings)
        await check_sounds(settings)
        # On a thread: a package or a network that is loaded for the first time takes a second.
        parts = await run_detached(partial(make_parts, settings, self))
        before, self.settings, self._source = self.settings, settings, source
        if settings.volume.value != before.volume.value:
            self._set_volume(settings.volume.value)
        self._are_devices_stale |= devices_of(settings) != devices_of(before)
        await self._audible.load(settings, again=True)
        await _ended(*self._parts)
        self._begin_parts(parts)
        self._renew_devices()
        if self.machine.state in (State.OFFLINE, State.FAULTED):
            self._checks.begin()  # whoever has mended something need not wait for the next look

    # What happens

    def take(self, event: TriggerEvent) -> None:
        """Take what a part, or someone at the control socket, has told."""
        wish: Event | None = None
        match event:
            case Pressed():
                wish, self._wish = Event.PRESS, Wish(event.source)
            case WantsCall(source, score, by_voice):
                wish, self._wish = Event.CALL, Wish(source, by_voice, score)
            case WantsHangUp():
                wish = Event.HANG_UP
            case LongPressed():
                wish = Event.TOGGLE_MUTE
            case WantsMute(muted=muted):
                wish = {True: Event.MUTE, False: Event.UNMUTE, None: Event.TOGGLE_MUTE}[muted]
            case WantsVolume(percent=percent, relative=relative):
                self._set_volume(percent + relative * self._audible.volume)
        if wish is not None:
            self.machine.happen(wish)

    def _device_changed(self, event: Event) -> None:
        if event is Event.AWAY:
            self._why = self.devices.away or self._why
        self.machine.happen(event)
        self._show()

    # Watcher of the call

    def live(self) -> None:
        """See ``Watcher``."""
        self.machine.happen(Event.LIVE)

    def quiet(self) -> None:
        """See ``Watcher``."""
        _logger.info("nobody has spoken for a while: hanging up")
        self.machine.happen(Event.QUIET)

    def spoken(self) -> None:
        """See ``Watcher``."""
        self._show()

    def over(self, result: Event, account: Account, wait: float) -> None:
        """See ``Watcher``."""
        self._call = None
        self.tally.add(account)
        self.history.add(account)
        self._why = account.why
        level = logging.INFO if result is Event.OVER else logging.WARNING
        fields = {
            name: getattr(account, name) for name in ("source", "result", "dialled", "lasted")
        }
        _logger.log(level, "%s", in_words(account), extra=fields)
        self.machine.happen(result, wait)
        self._observer.ended(account)
        self._renew_devices()

    # What is done

    def _do(self, step: Action | Say) -> None:
        match step:
            case Say():
                self._audible.sounds.say(step)
            case Action.DIAL:
                self._dial()
            case Action.HANG_UP | Action.GIVE_UP:
                self._audible.sounds.stop()
                if self._call is not None:
                    self._call.hang_up(in_vain=step is Action.GIVE_UP)
            case Action.LOOK:
                if self.devices.away:
                    self._why = self.devices.away
                    self.machine.happen(Event.AWAY)
            case Action.CHECK:
                self._checks.begin()
            case Action.APPLY_MUTE:
                self._audible.set_muted(self.machine.standing.muted)
            case Action.RESTART:
                _logger.error("a call does not end: exiting, to be restarted")
                self._exit(1)
            case Action.EXIT:
                self._exit(0)

    def _exit(self, code: int) -> None:
        if not self.exit_code.done():
            self.exit_code.set_result(code)

    def _dial(self) -> None:
        self._calls += 1
        self.tally.wish(self._wish.source)
        _logger.info("call triggered by %s", self._wish.source, extra={"source": self._wish.source})
        self._call = HeldCall(self._wish, self._source, self.devices.borrowed, self.settings, self)

    def _found(self, error: Exception | None) -> None:
        why = "" if error is None else words_of(error)
        if why and why not in (self._why, self._warned):
            hint = error.hint if isinstance(error, RetellVoiceError) else ""
            _logger.warning("%s", f"{why}: {hint}" if hint else why)
        if self.devices.hangs >= _MOST_HANGS:
            _logger.error("opening the devices hangs again and again: only a restart may help")
            self._exit(1)
        self._why = self._warned = why
        self.machine.happen(finding_of(error), wait_for(error))
        self._show()

    def _renew_devices(self) -> None:
        """Open others than those that are open, if others are wanted and no call is up."""
        if self._are_devices_stale and self._call is None:
            self._are_devices_stale = False
            self._reopening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        await self._checks.over()  # a look may be opening those that are wanted no more
        if self._call is not None:  # begun meanwhile, and not to be dropped
            self._are_devices_stale = True
            return
        self._why = "other devices are being opened"
        self.machine.happen(Event.AWAY)
        self._audible.sounds.stop()
        await self.devices.close()
        self.machine.happen(Event.BACK)

    def _set_volume(self, percent: int) -> None:
        self._audible.set_volume(percent)
        self._show()

    async def play(self, file: str) -> None:
        """See ``Audible.play``."""
        await self._audible.play(file)

    # What others see

    def _limits(self) -> Mapping[State, float]:
        settings = self.settings
        return {
            **LIMITS,
            State.IN_CALL: 60 * settings.max_minutes.value,
            State.COOLING: settings.cooldown.value,
        }

    def _show(self) -> None:
        standing, call = self.machine.standing, self._call
        is_down = standing.state in (State.OFFLINE, State.FAULTED)
        away = self.devices.away if self.devices.io is not None else ""
        before = self._looks.now
        look = Look(
            state=standing.state,
            muted=standing.muted,
            speaking=call is not None and call.is_speaking,
            volume=self._audible.volume,
            why=(self._why if is_down else "") or away,
            calls=self._calls,
        )
        if not self._looks.set(look):
            return
        if look.state is not before.state:
            _logger.debug("%s", look.state.value, extra={"state": look.state.value})
        self._observer.looks(look)

    def _begin_parts(self, parts: list[Part]) -> None:
        self._parts = [asyncio.create_task(keep(part, self, self.take)) for part in parts]


async def _ended(*tasks: asyncio.Task[None] | None) -> None:
    """Cancel these and wait for them."""
    there = [task for task in tasks if task is not None]
    for task in there:
        task.cancel()
    await asyncio.gather(*there, return_exceptions=True)
