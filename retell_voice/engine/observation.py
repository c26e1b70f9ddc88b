"""Showing a call to its observer."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.lease import Lease
from retell_voice.engine.journal import Journal
from retell_voice.engine.observer import Observed, Observer
from retell_voice.events import Event
from retell_voice.threads.detached import run_to_completion


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
