"""Splits streamed text into sentences, so that the first can be spoken early.

Pure and lossless: the sentences joined are the text; each keeps the white space after it. Whether
a mark ends a sentence depends on what surrounds it:

::

    "It is 3.5 km. Really?! Ask Dr. Hill, e.g. now…"
                  ▲        ▲
"""

from __future__ import annotations

import re

LONGEST = 200
"""Characters; a longer sentence is cut at a comma, at a space, or there."""

_WINDOW = 2 * LONGEST  # characters after which a sentence no longer waits for what follows
_LEAST = 40  # characters before a comma that is a place to cut
_CLOSERS = "\"')\\]}”’»›"
_MARK = re.compile(
    rf"(?P<mark>[.!?…]+[{_CLOSERS}]*)(?P<space>\s+)"  # an end where a space follows
    r"|[。！？｡]+[」』）”’】》]*\s*"  # languages without spaces
    r"|[^\S\n]*\n\s*"  # end of a line
)
_UNDECIDED = re.compile(rf"(?P<mark>[.!?…]+[{_CLOSERS}]*)\Z")
_BREATH = re.compile(r"[,;:–—،、，；：][" + _CLOSERS + r"]*\s*")
_LAST_WORD = re.compile(r"[^\W\d_](?:[^\W\d_]|\.)*\Z")
_ABBREVIATIONS = frozenset(
    re.findall(
        r"\S+",
        "approx apr aug ave bldg blvd capt cf co col corp dec dept dr e.g est etc feb fig gen gov "
        "hon i.e inc jan jr jul jun lt ltd maj mar messrs mr mrs ms mt nov oct op p.m a.m prof rep "
        "rev sen sep sept sgt sr st vol vs z.b bzw ca d.h dipl evtl frl hr inkl jh nr usw u.a",
    )
)
_BEFORE_NUMBERS = frozenset(("no", "p", "pp", "art", "abs", "ch", "sec"))


class Sentences:
    """Splits one streamed text."""

    def __init__(self) -> None:
        self._rest = ""

    def feed(self, text: str) -> list[str]:
        """Take the next chunk of the text; return the sentences that are complete now."""
        self._rest += text
        return self._cut(last=False)

    def pause(self) -> list[str]:
        """Nothing has come for a while: return the rest if it looks like complete sentences."""
        mark = _UNDECIDED.search(self._rest.rstrip())
        if mark is None or not _ends(self._rest, mark, ""):
            return []
        return self._cut(last=True)

    def finish(self) -> list[str]:
        """The text is complete: return the rest of it."""
        return self._cut(last=True)

    def _cut(self, *, last: bool) -> list[str]:
        sentences = []
        start = 0
        while window := self._rest[start : start + _WINDOW]:
            end = _first_end(window, last=last or len(window) == _WINDOW)
            if end is None:
                break
            sentences.append(window[:end])
            start += end
        self._rest = self._rest[start:]
        return sentences


def _first_end(text: str, *, last: bool) -> int | None:
    """Return where the first sentence ends; None if that is not known yet."""
    for found in _MARK.finditer(text):
        if found.start() >= LONGEST:
            break
        if found.end() == len(text):  # it depends on what follows
            return len(text) if last else None
        if found["mark"] is None or _ends(text, found, text[found.end()]):
            return found.end()
    if len(text) > LONGEST:
        if not last and (open_mark := _UNDECIDED.search(text)) and open_mark.start() < LONGEST:
            return None
        return _breath(text[:LONGEST])
    return len(text) if last else None


def _ends(text: str, found: re.Match[str], following: str) -> bool:
    """Whether a mark ends a sentence; ``following`` is the character after its white space."""
    if found.re is _MARK and "\n" in found["space"]:
        return True
    if following.islower():
        return False
    if found["mark"] != ".":
        return True
    word = _LAST_WORD.search(text, 0, found.start())
    return word is None or not _abbreviates(word[0], following)


def _abbreviates(word: str, following: str) -> bool:
    if len(word) == 1 and word.isupper():
        return word != "I"  # others are initials
    if word.lower() in _BEFORE_NUMBERS:
        return following.isdigit()
    return word.lower() in _ABBREVIATIONS


def _breath(text: str) -> int:
    """Return the best place to cut a text without a sentence end."""
    breaths = [found.end() for found in _BREATH.finditer(text, _LEAST)]
    spaces = [found.end() for found in re.finditer(r"\s+", text) if found.start()]
    return (breaths or spaces or [len(text)])[-1]
