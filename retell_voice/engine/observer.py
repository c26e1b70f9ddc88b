"""Whoever sees and hears all of a call: a recorder, for example."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.streams.tap import Tap
from retell_voice.events import Event


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
