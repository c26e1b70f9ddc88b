"""What someone who works a button wants. Pure: time is an argument.

While a call is up, what a press means is known when the button is let go, or has been held for
long. While none is up there is only one thing it can mean, so it calls when it goes down.
"""

from __future__ import annotations

from dataclasses import dataclass

from retell_voice.kiosk.ports import LongPressed, Pressed, TriggerEvent


@dataclass(frozen=True, slots=True)
class Edge:
    """A button went down or came up.

    Attributes:
        down: which of the two.
        at: seconds, of any clock that is the same for all of them.
    """

    down: bool
    at: float


class Presses:
    """Makes presses of edges.

    Args:
        source: name of the button.
        long: seconds for which a long press is held.
    """

    def __init__(self, source: str, long: float) -> None:
        self._source = source
        self.long = long
        self._down_at: float | None = None  # of a press whose meaning is not known yet

    @property
    def undecided(self) -> bool:
        """Whether it is down, and ``held`` is to be called once that was long."""
        return self._down_at is not None

    def forget(self) -> None:
        """Take it that it is up: whoever was to say so is gone."""
        self._down_at = None

    def edge(self, edge: Edge, *, in_call: bool) -> TriggerEvent | None:
        """Take the next edge; return what it means.

        Args:
            edge: what happened.
            in_call: whether a call is up or being dialled, which could be hung up or muted.
        """
        before, self._down_at = self._down_at, None
        if edge.down:
            if not in_call:
                return Pressed(self._source)
            self._down_at = edge.at
            return None
        if before is None:
            return None
        # The edges know better than whoever was to look meanwhile, and may have been late.
        return self._meant(edge.at - before >= self.long)

    def held(self) -> TriggerEvent | None:
        """Return what it means that the button is still down after ``long``."""
        if self._down_at is None:
            return None
        self._down_at = None
        return self._meant(True)

    def _meant(self, is_long: bool) -> TriggerEvent:
        return LongPressed(self._source) if is_long else Pressed(self._source)
