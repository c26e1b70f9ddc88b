"""Whoever sees and hears all of a call: a recorder, for example; and what it is shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.lease import Lease
from retell_voice.devices.streams.tap import Tap
from retell_voice.engine.journal import Journal
from retell_voice.events import Event
from retell_voice.threads.detached import run_to_completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Observed:
    """What an observer is told when a call begins.

    Attributes:
        at: call time, seconds.
        audio: encoding and rate of the call.
        microphone, speaker: names of the devices.
        near_end: you, as sent: silence while muted.
        far_end: the agent, as played.
        moments: returns how many seconds of the near end have been spoken, and of the far end
            heard, at this very moment. Called on any thread.
        tell: adds an event to those of the call. Called on any thread.
    """

    at: float
    audio: AudioFormat
    microphone: str
    speaker: str
    near_end: Tap
    far_end: Tap
    moments: Callable[[], tuple[float, float]]
    tell: Callable[[Event], None]


class Observer(Protocol):
    """What a call expects of an observer."""

    def begin(self, call: Observed) -> None:
        """The call begins, its devices are about to start. Runs on a thread; must not raise."""

    def event(self, event: Event) -> None:
        """This has happened. Runs on the event loop; neither blocks nor raises."""

    def end(self) -> None:
        """The call is over and nothing more will come. Runs on a thread; must not raise."""


class Observation:
    """An observer's view of one call: between ``begin`` and ``end``, it is shown every event.

    Args:
        observer: who is shown; None: nobody, and nothing is done.
        journal: the record of the call.
    """

    def __init__(self, observer: Observer | None, journal: Journal) -> None:
        self._observer = observer
        self._journal = journal

    async def begin(self, lease: Lease, audio: AudioFormat, tell: Callable[[Event], None]) -> None:
        """Begin, before the devices start; arguments as in ``Observed``."""
        if self._observer is None:
            return
        near, far = lease.tap()
        call = Observed(
            at=self._journal.now(),
            audio=audio,
            microphone=lease.io.microphone.name,
            speaker=lease.io.speaker.name,
            near_end=near,
            far_end=far,
            moments=lease.moments,
            tell=tell,
        )
        await run_to_completion(partial(self._observer.begin, call))
        self._journal.events.watch = self._observer.event

    async def end(self) -> None:
        """End it, also if it has not begun; returns once the observer has done with it."""
        if self._observer is not None:
            self._journal.events.watch = None
            await run_to_completion(self._observer.end)
