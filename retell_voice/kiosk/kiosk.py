"""The kiosk: one table of states, and all that it moves.

::

    parts ──┐
    control ─┼─▶ [Machine: states] ─▶ DIAL, HANG_UP ─▶ HeldCall ─▶ Call ─┐
    devices ─┤                     ─▶ CHECK, LOOK   ─▶ Devices, Way       ├─ AudioIO, always open
    the call ┘                     ─▶ sounds        ─▶ Sounds ───────────┘
                                   ─▶ Look          ─▶ parts, control, systemd
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack, suppress
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, Self

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import read_wav
from retell_voice.devices.listener import Listener
from retell_voice.errors import ConfigError, ConnectError, DeviceLost, RetellVoiceError
from retell_voice.kiosk.account import Account, in_words
from retell_voice.kiosk.devices import Devices, device_format
from retell_voice.kiosk.held import HeldCall, Wish
from retell_voice.kiosk.history import History
from retell_voice.kiosk.keeping import keep
from retell_voice.kiosk.looks import Looks
from retell_voice.kiosk.machine import Machine
from retell_voice.kiosk.parts import make_parts
from retell_voice.kiosk.places import history_path
from retell_voice.kiosk.placing import Way, way_of
from retell_voice.kiosk.ports import (
    Happening,
    LongPressed,
    Look,
    Part,
    PartFailed,
    Pressed,
    WantsCall,
    WantsHangUp,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.sounds import Sounds, load
from retell_voice.kiosk.states import LIMITS, Action, Event, Say, State
from retell_voice.kiosk.tally import Tally
from retell_voice.kiosk.verdict import finding_of, wait_for, words_of
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import logger
from retell_voice.threads.detached import run_detached

_CHECK_SECONDS = 20.0
_MOST_HANGS = 3
_LONGEST_SOUND = 10_000_000
"""Bytes of a file that is played when someone asks for it."""

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
        self._sounds = Sounds(lambda: self.devices.io)
        self._way: Way = way_of(settings)
        self._wish = Wish("")
        self._call: HeldCall | None = None
        self._calls = 0
        self._why = ""
        self._volume = settings.volume.value
        self._checking: asyncio.Task[None] | None = None
        self._parts: list[asyncio.Task[None]] = []
        self._are_devices_stale = False
        self._reopening: asyncio.Task[None] | None = None
        # The devices that were given mute and volume, and those that the sounds are loaded for.
        self._set_up: AudioIO | None = None
        self._with_sounds: AudioIO | None = None

    # Surroundings, for its parts

    @property
    def look(self) -> Look:
        """How it looks now."""
        return self._looks.now

    @property
    def is_sounding(self) -> bool:
        """See ``Surroundings.is_sounding``."""
        return self._sounds.is_playing

    async def changed(self, seen: Look) -> Look:
        """See ``Surroundings.changed``."""
        return await self._looks.changed(seen)

    def listen(self, side: Literal["near_end", "far_end"] = "near_end") -> Listener:
        """See ``Surroundings.listen``."""
        if self.devices.io is None:
            raise PartFailed("the devices are not open")
        return self.devices.io.listen(side)

    # From beginning to end

    async def __aenter__(self) -> Self:
        await run_detached(partial(_sounds, self.settings, 8000))  # what cannot be read is told now
        self._begin_parts(make_parts(self.settings, self))
        self.machine.start()
        self._check()
        self._show()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.machine.stop()
        self._sounds.stop()
        async with AsyncExitStack() as stack:  # each whatever becomes of the others, the last first
            stack.push_async_callback(run_detached, self.history.close)
            stack.push_async_callback(self.devices.close)
            if self._call is not None:
                stack.push_async_callback(self._call.abandon)
            stack.push_async_callback(_ended, *self._parts, self._checking, self._reopening)

    def stop(self) -> None:
        """Hang up and end."""
        self.machine.happen(Event.STOP)

    async def reload(self, settings: KioskSettings) -> None:
        """Go on with other settings; a call that is up is not dropped.

        It keeps those it began with, and so do devices until it is over.

        Raises:
            ConfigError: they cannot be used; nothing has changed then.
        """
        way = way_of(settings)
        await run_detached(partial(_sounds, settings, 8000))
        # On a thread: a package or a network that is loaded for the first time takes a second.
        parts = await run_detached(partial(make_parts, settings, self))
        before, self.settings, self._way = self.settings, settings, way
        if settings.volume.value != before.volume.value:
            self._set_volume(settings.volume.value)
        self._are_devices_stale |= _devices_of(settings) != _devices_of(before)
        if self.devices.io is not None:
            await self._load_sounds()
        await _ended(*self._parts)
        self._begin_parts(parts)
        self._renew_devices()
        if self.machine.state in (State.OFFLINE, State.FAULTED):
            self._check()  # whoever has mended something need not wait for the next look

    # What happens

    def take(self, happening: Happening) -> None:
        """Take what a part, or someone at the control socket, has told."""
        wish: Event | None = None
        match happening:
            case Pressed():
                wish, self._wish = Event.PRESS, Wish(happening.source)
            case WantsCall(source, score, by_voice):
                wish, self._wish = Event.CALL, Wish(source, by_voice, score)
            case WantsHangUp():
                wish = Event.HANG_UP
            case LongPressed():
                wish = Event.TOGGLE_MUTE
            case WantsMute(muted=muted):
                wish = {True: Event.MUTE, False: Event.UNMUTE, None: Event.TOGGLE_MUTE}[muted]
            case WantsVolume(percent=percent, relative=relative):
                self._set_volume(self._volume + percent if relative else percent)
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
                self._sounds.say(step)
            case Action.DIAL:
                self._dial()
            case Action.HANG_UP:
                self._sounds.stop()
                if self._call is not None:
                    self._call.hang_up()
            case Action.LOOK:
                if self.devices.away:
                    self._why = self.devices.away
                    self.machine.happen(Event.AWAY)
            case Action.CHECK:
                self._check()
            case Action.APPLY_MUTE:
                if self.devices.io is not None:
                    self.devices.io.muted = self.machine.standing.muted
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
        self._call = HeldCall(self._wish, self._way, lambda: self.devices.io, self.settings, self)

    def _check(self) -> None:
        if self._checking is None or self._checking.done():
            self._checking = asyncio.create_task(self._look_at_all())

    async def _look_at_all(self) -> None:
        error: Exception | None = None
        try:
            try:
                await self.devices.open()  # which has a limit of its own
            finally:
                self._set_up_devices()  # also where one was lost as soon as it was open
            async with asyncio.timeout(_CHECK_SECONDS):
                if self._with_sounds is not self.devices.io:
                    await self._load_sounds()
                await self._way.check()
            if self.devices.away:  # since the look at them: nobody waits for AWAY here
                raise DeviceLost(self.devices.away)
        except TimeoutError:
            error = ConnectError(f"{self._way.label} does not answer", temporary=True)
        except RetellVoiceError as failure:
            error = failure
        except Exception as failure:
            _logger.exception("a defect, while checking whether all is well")
            error = failure
        if error is not None and words_of(error) != self._why:
            _logger.warning("%s", words_of(error))
        if self.devices.hangs >= _MOST_HANGS:
            _logger.error("opening the devices hangs again and again: only a restart may help")
            self._exit(1)
        self._why = "" if error is None else words_of(error)
        self.machine.happen(finding_of(error), wait_for(error))
        self._show()

    def _set_up_devices(self) -> None:
        if (io := self.devices.io) is not None and io is not self._set_up:
            self._set_up = io
            io.muted = self.machine.standing.muted
            io.volume = self._volume / 100
            _logger.info("microphone %s, speaker %s", io.microphone.name, io.speaker.name)

    async def _load_sounds(self) -> None:
        if (io := self.devices.io) is None:
            return
        self._with_sounds = io
        try:
            self._sounds.loaded = await run_detached(
                partial(_sounds, self.settings, io.output.rate)
            )
        except ConfigError as error:
            _logger.warning("the sounds cannot be read any more: %s", error)

    def _renew_devices(self) -> None:
        """Open others than those that are open, if others are wanted and no call is up."""
        if self._are_devices_stale and self._call is None:
            self._are_devices_stale = False
            self._reopening = asyncio.create_task(self._reopen())

    async def _reopen(self) -> None:
        if self._checking is not None:  # which may be opening those that are wanted no more
            await asyncio.wait((self._checking,))
        if self._call is not None:  # begun meanwhile, and not to be dropped
            self._are_devices_stale = True
            return
        self._why = "other devices are being opened"
        self.machine.happen(Event.AWAY)
        self._sounds.stop()
        await self.devices.close()
        self.machine.happen(Event.BACK)

    def _set_volume(self, percent: int) -> None:
        self._volume = min(200, max(0, percent))
        if self.devices.io is not None:
            self.devices.io.volume = self._volume / 100
        self._show()

    async def play(self, file: str) -> None:
        """Play a sound of its own by name, or a WAV file, unless the agent is heard.

        Raises:
            ConfigError: there is none.
        """
        names = {say.value: say for say in Say}
        if (say := names.get(file)) is not None:
            if say is not Say.DIALLING:  # which does not end
                self._sounds.say(say)
            return
        if (io := self.devices.io) is not None:
            self._sounds.play(await run_detached(partial(_read_sound, file, io.output.rate)))

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
            volume=self._volume,
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


def _sounds(settings: KioskSettings, rate: int) -> dict[Say, Samples]:
    """Return what it says for itself; see ``load``. Blocks."""
    return load(settings.sounds.value, rate, settings.sounds_percent.value / 100)


def _read_sound(file: str, rate: int) -> Samples:
    """Return a WAV file at this rate, Hz. Blocks.

    Raises:
        ConfigError: it cannot be read, or is too long.
    """
    with suppress(OSError):  # which reading it tells of in words
        if Path(file).stat().st_size > _LONGEST_SOUND:
            raise ConfigError(f"{file}: it is longer than {_LONGEST_SOUND // 1_000_000} MB")
    samples, own_rate = read_wav(file)
    return resample_whole(samples, own_rate, rate)


def _devices_of(settings: KioskSettings) -> list[object]:
    """Return the values that devices are opened with."""
    names = (
        *("input", "input_file", "input_format", "input_loop"),
        *("output", "output_file", "output_format"),
        *("echo", "noise_suppression", "automatic_gain"),
    )
    return [device_format(settings), *(getattr(settings, name).value for name in names)]
