"""The whole transcript of a call from updates that may hold only the last of it.

Some servers send the transcript of the whole call with each update, others a *window*: the last
few utterances. A window has the same length from some point on, and with each new utterance it
slides: the first one leaves it::

    told so far     agent A   user B   agent C
    update                    user B   agent C, grown   user D        slid by one: A is kept
    update          agent A   user B'  agent C                        corrected in place
    update          agent A   agent C                                 B was dropped

What tells them apart is the order of speakers and the words that both have in common. Where an
update reads either way, the fewest utterances are taken for new.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Generic, TypeVar

T = TypeVar("T")

MAX_ITEMS = 10_000
"""Utterances kept; beyond it the oldest are forgotten."""

_COMPARED = 100_000
"""Characters of an utterance that tell whether it has grown or been revised."""
_MOST_AT_ONCE = 32
"""Utterances that one update may add to a window, or show again."""
_SAME, _GROWN, _REVISED, _OTHER = 2, 1, 0, -2
"""How alike two items are: the same words; one begins with the other; the same speaker; neither."""


@dataclass(frozen=True, slots=True)
class Item(Generic[T]):
    """One item of an update, in the server's order.

    Attributes:
        role: who says it, or whatever the server calls it.
        content: the words.
        said: what the history is to give back; None for an item that is only to be counted.
    """

    role: str
    content: str
    said: T | None = None


class History(Generic[T]):
    """Puts updates together."""

    def __init__(self) -> None:
        self._items: list[Item[T]] = []
        self._start = 0  # where the last update stands in it; above 0 that was a window

    def update(self, items: Sequence[Item[T]]) -> list[T]:
        """Take an update; return all that was ever said, as far as it still holds."""
        self._start = self._place(items)
        self._items[self._start :] = items
        forgotten = max(0, len(self._items) - MAX_ITEMS)
        del self._items[:forgotten]
        self._start = max(0, self._start - forgotten)
        return [each.said for each in self._items if each.said is not None]

    def _place(self, new: Sequence[Item[T]]) -> int:
        """Return where in the history an update begins."""
        start, shown = self._start, self._items[self._start :]
        likeness = list(map(_likeness, shown, new))
        fits = _OTHER not in likeness
        over = likeness[: len(shown) - 1]
        if fits and len(new) >= len(shown) and over.count(_SAME) == len(over):
            return start  # nothing but the newest has changed
        is_window = start > 0
        if is_window or len(new) == len(shown):
            best, most = 0, sum(likeness)
            for shift in range(1, min(len(shown), _MOST_AT_ONCE)):
                common = _common(shown, new, shift, fits=fits)
                if common is None or common <= most:
                    continue
                if is_window or not _has_moved(shown[:shift], new[len(shown) - shift :]):
                    best, most = shift, common
            if best:
                return start + best
        if is_window and not fits:
            # Something was dropped: it shows more again, at the end of a call perhaps everything.
            nearest = range(start - 1, max(0, start - _MOST_AT_ONCE), -1)
            for before in chain(nearest, (0,)):
                earlier = self._items[before:start]
                if len(new) >= len(earlier) and all(map(_is_same, earlier, new)):
                    return before
        if new and is_window and not _share(shown, new):
            return len(self._items)  # it slid by more than it holds
        return start


def _common(
    shown: Sequence[Item[T]], new: Sequence[Item[T]], shift: int, *, fits: bool
) -> int | None:
    """Return how alike a window and the next are if it slid so far; None: it did not.

    ``fits``: the speakers are the same if it did not slide.
    """
    likeness = 0
    newest = len(shown) - shift - 1
    for index, (old, now) in enumerate(zip(shown[shift:], new, strict=False)):
        like = _likeness(old, now)
        if like == _OTHER:
            return None
        if like == _REVISED:
            # Only the newest can still change, and then nothing else may speak against it.
            if index < newest or (newest == 0 and fits):
                return None
            if _share(shown[:shift], new) or _share(shown[shift:], new[index + 1 :]):
                return None
        likeness += like
    return likeness


def _has_moved(gone: Sequence[Item[T]], added: Sequence[Item[T]]) -> bool:
    """Tell whether what seems to be new is what was there before, and too long to begin so."""
    known = [each for each in gone if " " in each.content.strip()]
    return bool(added) and all(_share(known, [each]) for each in added)


def _share(some: Sequence[Item[T]], others: Sequence[Item[T]]) -> bool:
    known = {(each.role, each.content) for each in some}
    return any((each.role, each.content) in known for each in others)


def _is_same(old: Item[T], now: Item[T]) -> bool:
    return old.role == now.role and old.content == now.content


def _likeness(old: Item[T], now: Item[T]) -> int:
    if old.role != now.role:
        return _OTHER
    if old.content == now.content:
        return _SAME
    if now.content.startswith(old.content) or old.content.startswith(now.content):
        return _GROWN
    before, after = _words(old.content[:_COMPARED]), _words(now.content[:_COMPARED])
    shorter = min(len(before), len(after))
    return _GROWN if before[:shorter] == after[:shorter] else _REVISED


def _words(content: str) -> str:
    """Return what was said without what a final transcription changes: case, punctuation."""
    return "".join(filter(str.isalnum, content)).casefold()
