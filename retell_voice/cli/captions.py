"""Which of the agent's words have been heard so far. Pure: time is an argument.

The server sends pieces of audio with their text, and a call reports each when its first sample is
heard. Within a piece, a word's start is estimated from the position of its first letter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

_KEPT = 5000  # characters; at most twice that


@dataclass(frozen=True, slots=True)
class Captions:
    """What the agent says in one utterance.

    Attributes:
        before: the pieces that have been heard completely.
        piece: the one that is being heard, or was heard last.
        start: when playout of it began, seconds.
        duration: of its audio, seconds.
        cut: when the agent was interrupted, None if it was not.
    """

    before: str = ""
    piece: str = ""
    start: float = 0.0
    duration: float = 0.0
    cut: float | None = None

    def heard(self, text: str, start: float, duration: float) -> Captions:
        """Return the captions with another piece, whose playout begins at ``start``."""
        return Captions(self._all(), text, start, duration)

    def stopped(self, at: float, *, interrupted: bool) -> Captions:
        """Return the captions of an utterance that fell silent at this time."""
        if interrupted:
            return replace(self, cut=at)
        return Captions(self._all())

    def _all(self) -> str:
        text = self.before + self.piece
        # Rarely, and then a lot at once: the rest is wrapped again.
        return text if len(text) <= 2 * _KEPT else text[-_KEPT:]

    def parts(self, now: float) -> tuple[str, str, str]:
        """Return what was heard before, the word that is being heard, and what is to come.

        Together they are the whole text. After an interruption, nothing is to come.
        """
        now = now if self.cut is None else min(now, self.cut)
        words = [(m.start(), m.end()) for m in re.finditer(r"\S+\s*", self.piece)]
        passed = (now - self.start) / self.duration if self.duration > 0 else 1.0
        if passed >= 1.0 or not words:
            return self.before + self.piece, "", ""
        reached = max(passed, 0.0) * len(self.piece)
        begin, end = max((word for word in words if word[0] <= reached), default=words[0])
        before, word = self.before + self.piece[:begin], self.piece[begin:end]
        return before, word, "" if self.cut is not None else self.piece[end:]

    def text(self, now: float) -> str:
        """Return all that has been heard, stripped."""
        before, word, _ = self.parts(now)
        return (before + word).strip()
