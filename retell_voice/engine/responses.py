"""How quickly the agent answers, and how quickly it falls silent. Pure: times are arguments."""

from __future__ import annotations

from collections.abc import Sequence

from retell_voice.audio.speech_spans import Span
from retell_voice.events import AgentStarted, AgentStopped, BargeIn, Response

_OVERLAP = 0.05
"""Seconds: speech that ended this recently may still be going on, as blocks arrive late."""


class Responses:
    """Follows a call; all times are seconds of the call."""

    def __init__(self) -> None:
        self._arrived: float | None = None
        self._started = 0.0
        self._silent_since = 0.0
        self._is_speaking = False

    def audio_arrived(self, at: float) -> None:
        """Note that agent audio came from the network."""
        if self._arrived is None and not self._is_speaking:
            self._arrived = at

    def cleared(self) -> None:
        """Note that what had arrived will not be heard."""
        self._arrived = None

    def started(
        self, event: AgentStarted, spans: Sequence[Span], round_trip: float | None
    ) -> Response | None:
        """Return the response this is, None if nobody had spoken or somebody still speaks.

        Args:
            event: the agent is heard.
            spans: when you spoke, the oldest first.
            round_trip: of the network, seconds, if known.
        """
        arrived, self._arrived = self._arrived, None
        self._started, self._is_speaking = event.at, True
        spoken = [span for span in spans if span.end <= event.at]
        if len(spoken) < len(spans) or not spoken:
            return None
        ended = spoken[-1].end
        if ended <= self._silent_since or event.at - ended < _OVERLAP:
            return None
        return Response(
            at=event.at,
            delay=event.at - ended,
            playout=None if arrived is None else event.at - arrived,
            round_trip=round_trip,
        )

    def stopped(self, event: AgentStopped, spans: Sequence[Span]) -> BargeIn | None:
        """Return the barge-in that ended it, None if nobody spoke."""
        self._is_speaking = False
        silent = self._silent_since = event.silent_since
        begun = [span.begin for span in spans if self._started < span.begin <= silent]
        if not event.interrupted or not begun:
            return None
        return BargeIn(at=event.at, delay=silent - begun[-1])
