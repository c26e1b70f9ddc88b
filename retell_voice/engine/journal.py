"""The record of a call: its time, its state, its figures, and the events for its reader."""

from __future__ import annotations

import time

from retell_voice.engine.counters import Counters
from retell_voice.events import CallState, Event, StateChanged
from retell_voice.threads.event_queue import EventQueue


class Journal:
    """The record of one call.

    Attributes:
        state: of the call.
        events: the queue of unread events.
        counters: the figures.
    """

    def __init__(self) -> None:
        self.state = CallState.CONNECTING
        self.events = EventQueue()
        self.counters = Counters()
        self._opened = time.monotonic()

    def begin(self) -> None:
        """Note that the call is being opened; its clock starts."""
        self._opened = time.monotonic()
        self.move_to(CallState.CONNECTING)

    def now(self) -> float:
        """Return the call's time, seconds."""
        return time.monotonic() - self._opened

    def time_of(self, moment: float) -> float:
        """Return the call time of a moment given in seconds of ``time.monotonic``."""
        return moment - self._opened

    def tell(self, event: Event) -> None:
        """Count an event and pass it on."""
        self.counters.told(event)
        self.events.put(event)

    def move_to(self, state: CallState) -> None:
        """Note that the call is in another state."""
        self.state = state
        self.events.put(StateChanged(at=self.now(), state=state))
