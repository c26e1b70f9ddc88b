"""What one caller hears, and when: a speaker without a sound card. Pure; time is an argument.

::

    audio ─▶ it plays when all before it has, or when it comes ─▶ loud from … to …
    clear ─▶ what has not been played by then never is

Of that come the answers: how long after the end of an utterance the agent is first heard.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from retell_voice.audio.format import Samples
from retell_voice.swarm.voice import BLOCK, loud_blocks

_PAUSE = 0.3
"""Seconds without anything loud that are no gap in an utterance any more, but its end."""
_LEAST_GAP = 0.005


@dataclass
class Ear:
    """The far end of one call.

    Args:
        rate: samples a second of what is heard.
        is_live: audio comes in real time, and pauses are shortened to catch up with what came late,
            as jitter buffers do; if not, all of it is played.

    Attributes:
        until: when all that has come will have been played, seconds.
        gaps: seconds of silence within the agent's utterances because nothing had come in time.
    """

    rate: int
    is_live: bool = False
    until: float = 0.0
    gaps: list[float] = field(default_factory=list)
    _loud: list[tuple[float, float]] = field(default_factory=list)

    def take(self, samples: Samples, at: float) -> None:
        """Take audio, shape (n,), mono int16, that came at this time."""
        if not len(samples):
            return
        loud = loud_blocks(samples, self.rate)
        if self.is_live and self.until > at and not loud.any():
            return
        begin = max(at, self.until)
        waited = begin - self.until
        was_loud = bool(self._loud) and self.until - self._loud[-1][1] < BLOCK / 2
        if was_loud and loud[0] and _LEAST_GAP < waited < _PAUSE:
            self.gaps.append(waited)
        self.until = begin + len(samples) / self.rate
        for block in loud.nonzero()[0].tolist():
            start = begin + block * BLOCK
            end = min(start + BLOCK, self.until)
            if self._loud and start - self._loud[-1][1] < BLOCK / 2:
                self._loud[-1] = self._loud[-1][0], end
            else:
                self._loud.append((start, end))

    def clear(self, at: float) -> None:
        """Drop what has not been played."""
        self.until = min(self.until, at)
        self._loud = [(begin, min(end, at)) for begin, end in self._loud if begin < at]

    @property
    def silent_from(self) -> float:
        """When the last that is loud of what has come will have been played; 0: nothing was."""
        return self._loud[-1][1] if self._loud else 0.0

    def answer(self, end: float, before: float) -> float | None:
        """Return how long after an utterance's end the agent was first heard, seconds.

        Args:
            end: when the caller fell silent.
            before: what begins later is no answer to it.

        Returns None where nothing was heard by then. Where the agent was speaking as the caller
        fell silent, it is what begins after that.
        """
        for begin, _ in self._loud:
            if end <= begin < before:
                return begin - end
        return None
