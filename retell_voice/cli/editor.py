"""A line that is being typed. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from rich.cells import cell_len

from retell_voice.cli.keys import Key
from retell_voice.shown import clean

_LONGEST = 1000


@dataclass(frozen=True, slots=True)
class Editor:
    """A text and the place of the cursor in it.

    Attributes:
        text: one line.
        at: characters before the cursor.
    """

    text: str = ""
    at: int = 0

    def after(self, key: Key) -> Editor:  # noqa: PLR0911 - a table of keys
        """Return the line after a key; a key that edits nothing changes nothing."""
        text, at = self.text, self.at
        before, behind = text[:at], text[at:]
        match key.name:
            case "left":
                return replace(self, at=max(at - 1, 0))
            case "right":
                return replace(self, at=min(at + 1, len(text)))
            case "home" | "ctrl-a" | "up":
                return replace(self, at=0)
            case "end" | "ctrl-e" | "down":
                return replace(self, at=len(text))
            case "backspace":
                return Editor(before[:-1] + behind, max(at - 1, 0))
            case "delete":
                return Editor(before + behind[1:], at)
            case "ctrl-u":
                return Editor(behind, 0)
            case "ctrl-k":
                return Editor(before, at)
            case "ctrl-w":
                kept = re.sub(r"\S*\s*\Z", "", before)
                return Editor(kept + behind, len(kept))
            case "paste":
                return self._with(clean(key.text))
        return self._with(clean(key.name)) if len(key.name) == 1 else self

    def window(self, width: int) -> tuple[str, str, str]:
        """Return what is before, under and behind the cursor, in ``width`` columns at most."""
        before, under, behind = self.text[: self.at], self.text[self.at :][:1] or " ", ""
        room = width - cell_len(under)
        while before and cell_len(before) > room:
            before = before[1:]
        room -= cell_len(before)
        for character in self.text[self.at + 1 :]:
            room -= cell_len(character)
            if room < 0:
                break
            behind += character
        return before, under, behind

    def _with(self, more: str) -> Editor:
        more = more[: _LONGEST - len(self.text)]
        return Editor(self.text[: self.at] + more + self.text[self.at :], self.at + len(more))
