"""One call of a kiosk, from the wish for it to the moment at which nothing of it is left."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from retell_voice.devices.audio_io import AudioIO
from retell_voice.engine.call import Call
from retell_voice.errors import ConfigError, ConnectError, RetellVoiceError
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    EchoSuspected,
    Ended,
    Event,
    Levels,
    RecordingStopped,
    Statistics,
    Transcript,
)
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.placing import CallSource
from retell_voice.kiosk.states import Event as Happened
from retell_voice.kiosk.verdict import result_of, wait_for, words_of
from retell_voice.program.opening import make_recorder
from retell_voice.recording.recorder import Recorder
from retell_voice.settings.schema import DEFAULT
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import logger

_LEVELS = 0.25
_VOICE = -44.0
"""dBFS: a room is quieter, a voice is louder."""
_END_TIMEOUT = 3.0
"""Seconds that hanging up may take before the call is cancelled."""

_logger = logger("retell_voice.kiosk")


@dataclass(frozen=True, slots=True)
class Wish:
    """Who wants a call.

    Attributes:
        source: for people.
        by_voice: whether someone has spoken.
        score: how sure of that it is, 0–1.
    """

    source: str
    by_voice: bool = False
    score: float | None = None


class Watcher(Protocol):
    """What a call tells its kiosk of."""

    def live(self) -> None:
        """Both sides are heard from here on."""

    def quiet(self) -> None:
        """Nobody has said anything for too long."""

    def spoken(self) -> None:
        """The agent has begun or ended to speak."""

    def over(self, result: Happened, account: Account, wait: float) -> None:
        """Nothing is left of it. ``wait``: seconds for which the server wants none."""


class HeldCall:
    """A call; begins when it is made.

    Args:
        wish: who wants it.
        source: where the call comes from.
        io: returns the open devices; raises DeviceLost if they are not open.
        settings: how it is held.
        watcher: is told.
    """

    def __init__(
        self,
        wish: Wish,
        source: CallSource,
        io: Callable[[], AudioIO],
        settings: KioskSettings,
        watcher: Watcher,
    ) -> None:
        self.is_speaking = False
        """Whether the agent is being heard."""
        self._wish = wish
        self._source = source
        self._io = io
        self._settings = settings
        self._watcher = watcher
        self._loop = asyncio.get_running_loop()
        self._began, self._wished_at = time.time(), self._loop.time()
        self._live_at: float | None = None
        self._alive_at = 0.0
        self._statistics = Statistics()
        self._ended: Ended | None = None
        self._understood = ""  # what the agent has, of what was said to it
        self._has_transcript = self._is_loud = False
        self._call: Call | None = None
        self._is_ending = self._is_in_vain = False
        self._silence: asyncio.TimerHandle | None = None
        self._end_timer: asyncio.TimerHandle | None = None
        self._hanging_up: asyncio.Task[None] | None = None
        self._task = asyncio.create_task(self._hold())
        self._task.add_done_callback(self._over)

    def hang_up(self, *, in_vain: bool = False) -> None:
        """End it; the watcher is told when it has ended.

        ``in_vain``: it has not begun, and has been waited for long enough.
        """
        if self._is_ending:
            return
        self._is_ending, self._is_in_vain = True, in_vain
        if self._call is None:
            self._task.cancel()
            return
        self._hanging_up = asyncio.create_task(self._call.hang_up())
        self._end_timer = self._loop.call_later(_END_TIMEOUT, self._task.cancel)

    async def abandon(self) -> None:
        """End it and wait, for a few seconds at most; the watcher may not be told any more."""
        self._task.cancel()
        await asyncio.wait((self._task,), timeout=_END_TIMEOUT)

    def _over(self, task: asyncio.Task[None]) -> None:
        """Tell of the end. A callback, as a task that is cancelled before it runs never runs."""
        for timer in (self._silence, self._end_timer):
            if timer is not None:
                timer.cancel()
        self.is_speaking = False
        if task.cancelled() and not self._is_ending:
            return  # abandoned
        error = None if task.cancelled() else task.exception()
        if error is not None and not isinstance(error, RetellVoiceError):
            _logger.error("a defect ended the call", exc_info=error)
        if self._ended is not None and error is None:
            error = self._ended.error
        if self._is_in_vain:
            waited = self._loop.time() - self._wished_at
            error = ConnectError(f"the call did not begin within {waited:.0f} s", temporary=True)
        # Whoever is hung up on by us has no complaint.
        is_hung_up = self._is_ending and not self._is_in_vain
        result = Happened.OVER if is_hung_up else result_of(error)
        self._watcher.over(result, self._account(result, error), wait_for(error))

    async def _hold(self) -> None:
        settings = self._settings
        route = await self._source.place(self._wish.source)
        io, jitter = self._io(), settings.jitter_ms
        async with Call(
            route,
            audio=io,
            frame_ms=settings.frame_ms.value if route.frame_ms is None else None,
            jitter=None if jitter.source == DEFAULT else jitter.value,
            level_interval=_LEVELS,
            recorder=self._recorder(),
        ) as call:
            self._call = call
            self._live_at = self._alive_at = self._loop.time()
            self._watcher.live()
            self._listen_for_silence()
            async for event in call:
                self._hear(event)
        if self._hanging_up is not None:
            await self._hanging_up

    def _recorder(self) -> Recorder | None:
        try:
            return make_recorder(self._settings)
        except ConfigError as error:  # a full disk, most likely: no reason not to talk
            _logger.warning("the call is not recorded: %s", error)
            return None

    def _hear(self, event: Event) -> None:
        match event:
            case AgentStarted():
                self._alive(speaking=True)
            case AgentStopped():
                self._alive(speaking=False)
            case Transcript(utterances=said):
                self._has_transcript = True
                understood = " ".join(each.content for each in said if each.role == "user")
                if understood != self._understood:
                    self._understood = understood
                    self._alive_at = self._loop.time()
            case Levels(near_end=level) if level > _VOICE:
                self._is_loud = True
                if not self._has_transcript:  # noise is loud, too, and nobody understands it
                    self._alive_at = self._loop.time()
            case Statistics():
                self._statistics = event
            case EchoSuspected():
                _logger.warning("the agent seems to hear itself (echo = %s)", event.echo)
            case RecordingStopped():
                _logger.warning("the call is not recorded any more: %s", event.why)
            case Ended():
                self._ended, self._statistics = event, event.statistics

    def _alive(self, *, speaking: bool) -> None:
        self._alive_at = self._loop.time()
        if self.is_speaking is not speaking:
            self.is_speaking = speaking
            self._watcher.spoken()

    def _listen_for_silence(self) -> None:
        """Look at the clock, whatever is heard: what hears voices in noise would never end."""
        now, limit = self._loop.time(), self._settings.silence_seconds.value
        left = limit if self.is_speaking else self._alive_at + limit - now
        if left > 0:
            self._silence = self._loop.call_later(left, self._listen_for_silence)
        else:
            self._watcher.quiet()

    def _account(self, result: Happened, error: BaseException | None) -> Account:
        now, live_at, figures = self._loop.time(), self._live_at, self._statistics
        return Account(
            began=self._began,
            source=self._wish.source,
            by_voice=self._wish.by_voice,
            score=self._wish.score,
            spoken=bool(self._understood) if self._has_transcript else self._is_loud,
            result=result.value,
            why="" if error is None else words_of(error),
            ended_by="" if self._ended is None else self._ended.by,
            dialled=None if live_at is None else live_at - self._wished_at,
            lasted=0.0 if live_at is None else now - live_at,
            heard=figures.heard,
            clears=figures.clears,
            underruns=figures.underruns,
            capture_xruns=figures.capture_xruns,
            playback_xruns=figures.playback_xruns,
            frames_dropped=figures.frames_dropped,
            device_losses=figures.device_losses,
            round_trip=figures.round_trip,
            echo_erle=figures.echo_erle,
        )
