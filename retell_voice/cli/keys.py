"""Decodes the bytes from a terminal into keys. Pure: no terminal, no clock.

::

    a, A, ä, +, …      a character is its own name
    enter tab backspace esc up down left right home end pageup pagedown insert delete f1 … f20
    ctrl-a … ctrl-z    alt-a and the like: Esc and a key at once
    paste              pasted text, whatever it is: none of it is a key; ``text`` has it
    unfocus            the window has lost the focus

Some terminals, when asked (see ``key_reports``), also report repeats and releases. Other reports of
a terminal (positions, colours) are not keys and are dropped.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass, field
from typing import Literal

Action = Literal["press", "repeat", "release"]

_CONTROL = {0x08: "backspace", 0x09: "tab", 0x0A: "enter", 0x0D: "enter", 0x7F: "backspace"}
_FINAL = {"A": "up", "B": "down", "C": "right", "D": "left", "H": "home", "F": "end"}
_FINAL |= {"P": "f1", "Q": "f2", "R": "f3", "S": "f4"}
_TILDE = {1: "home", 2: "insert", 3: "delete", 4: "end", 5: "pageup", 6: "pagedown"}
_TILDE |= {7: "home", 8: "end"}
_TILDE |= {11: "f1", 12: "f2", 13: "f3", 14: "f4", 15: "f5", 17: "f6", 18: "f7", 19: "f8"}
_TILDE |= {20: "f9", 21: "f10", 23: "f11", 24: "f12", 25: "f13", 26: "f14", 28: "f15"}
_TILDE |= {29: "f16", 31: "f17", 32: "f18", 33: "f19", 34: "f20"}
_ACTIONS: dict[str, Action] = {"2": "repeat", "3": "release"}
_SHIFT, _ALT, _CTRL = 1, 2, 4

_ESC = 0x1B
_CSI = re.compile(rb"\x1b\[(?:\[.|[0-?]*[ -/]*[@-Z\\-~])")
_CSI_BEGUN = re.compile(rb"\x1b\[(?:\[?|[0-?]*[ -/]*)\Z")
_SS3 = re.compile(rb"\x1bO(.)", re.DOTALL)
_STRING = re.compile(rb"\x1b[P\]X^_].*?(?:\x07|\x1b\\)", re.DOTALL)
_PASTE_END = b"\x1b[201~"
_FLAGS = re.compile(rb"\x1b\[\?(\d{1,4})u")
TELLS_RELEASES = 0b11011
"""The flags of kitty's protocol this needs: every key unambiguous, repeats and releases reported
even for characters, and the text with them."""
_LONGEST = 4096  # bytes of an unterminated sequence


@dataclass(frozen=True, slots=True)
class Key:
    """A key and what happened to it.

    Attributes:
        name: see above.
        action: most terminals report presses only, and a repeat as another press.
        is_tracked: whether its release will be reported, too.
        text: what was pasted.
    """

    name: str
    action: Action = "press"
    is_tracked: bool = False
    text: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class KeyboardFlags:
    """A terminal's answer: the flags of kitty's keyboard protocol now in effect."""

    flags: int


Told = Key | KeyboardFlags
"""What a terminal reports."""


class Decoder:
    """Takes bytes as they come, in any chunks, and returns keys."""

    def __init__(self) -> None:
        self._rest = b""
        self._pasting = False
        self._pasted = b""
        self._tells_releases = False

    @property
    def waiting(self) -> bool:
        """Whether a sequence has begun that may never be completed: see ``flush``."""
        return bool(self._rest) and not self._pasting

    def feed(self, data: bytes) -> list[Told]:
        """Return the keys and answers that ``data`` completes."""
        self._rest += data
        keys: list[Told] = []
        while self._rest and (taken := self._step(keys)):
            self._rest = self._rest[taken:]
        if len(self._rest) > _LONGEST:
            self._rest = b""
        return keys

    def flush(self) -> list[Told]:
        """Return what was waiting for more, after nothing came for a moment: mostly Esc."""
        if not self.waiting:
            return []
        rest, self._rest = self._rest, b""
        if rest == b"\x1b":
            return [Key("esc")]
        return [Key(f"alt-{chr(rest[1])}")] if rest[0] == _ESC and len(rest) == 2 else []

    def _step(self, keys: list[Told]) -> int:
        """Take one key; return its number of bytes, 0 if more must come."""
        rest = self._rest
        if self._pasting:
            return self._paste(keys)
        if rest[0] == _ESC:
            return self._escape(keys)
        if rest[0] < 0x20 or rest[0] == 0x7F:
            keys.append(Key(_CONTROL.get(rest[0]) or f"ctrl-{chr(rest[0] + 0x60)}"))
            return 1
        decoder = codecs.getincrementaldecoder("utf-8")()
        for end in range(1, min(len(rest), 4) + 1):
            try:
                character = decoder.decode(rest[end - 1 : end])
            except UnicodeDecodeError:
                return 1
            if character:
                keys.append(Key(character))
                return end
        return 0

    def _paste(self, keys: list[Told]) -> int:
        end = self._rest.find(_PASTE_END)
        whole = end >= 0  # else the end marker may come in two parts
        taken = end if whole else max(len(self._rest) - len(_PASTE_END) + 1, 0)
        self._pasted = (self._pasted + self._rest[:taken])[:_LONGEST]
        if not whole:
            return taken
        text, self._pasted, self._pasting = self._pasted.decode("utf-8", "replace"), b"", False
        keys.append(Key("paste", text=text))
        return end + len(_PASTE_END)

    def _escape(self, keys: list[Told]) -> int:  # noqa: PLR0911 - a table of beginnings
        rest = self._rest
        if (found := _CSI.match(rest)) or _CSI_BEGUN.match(rest):
            if found is None:
                return 0
            if found[0] == b"\x1b[200~":
                self._pasting = True
            elif answer := _FLAGS.fullmatch(found[0]):
                flags = int(answer[1])
                self._tells_releases = flags & TELLS_RELEASES == TELLS_RELEASES
                keys.append(KeyboardFlags(flags))
            elif key := _sequence(found[0][2:].decode("latin-1"), self._tells_releases):
                keys.append(key)
            return found.end()
        if found := _SS3.match(rest):
            if name := _FINAL.get(chr(found[1][0])):
                keys.append(Key(name))
            return found.end()
        if rest[1:2] in (b"P", b"]", b"X", b"^", b"_"):
            return found.end() if (found := _STRING.match(rest)) else 0
        if len(rest) == 1 or rest[1:2] == b"O":
            return 0
        if rest[1] == _ESC:
            keys.append(Key("esc"))
            return 1
        if rest[1] >= 0x80:  # the lead byte of a character that may be incomplete
            return 1
        keys.append(Key(f"alt-{_CONTROL.get(rest[1]) or chr(rest[1])}"))
        return 2


def _sequence(text: str, tells_releases: bool) -> Key | None:
    """Return the key of a control sequence without its introducer, None if it is not a key.

    In kitty's protocol it is ``CODE:SHIFTED:BASE ; MODIFIERS:ACTION ; TEXT u``: the key in this
    layout and on a US keyboard, what happened to it and the characters it types.
    """
    parameters, final = [each.split(":") for each in text[:-1].split(";")], text[-1]
    code, _, base, *_ = [*parameters[0], "", ""]
    modifiers, action, *_ = [*(parameters[1] if len(parameters) > 1 else []), "", ""]
    typed = parameters[2] if len(parameters) > 2 else []
    held = int(modifiers) - 1 if modifiers.isdecimal() else 0
    if final == "u" and _is_code(code):
        named = int(base) if held & _CTRL and _is_code(base) else int(code)
        name = _character(named, held)
        if not held & (_CTRL | _ALT) and len(typed) == 1 and _is_code(typed[0]):
            name = _character(int(typed[0]), 0) or name
    elif final == "O" and not code:
        name = "unfocus"
    elif final == "~" and code.isdecimal():
        name = _TILDE.get(int(code), "")
    elif final == "Z":
        name = "tab"
    elif code in ("", "1"):
        name = _FINAL.get(final, "")
    else:
        name = ""
    if not name:
        return None
    return Key(name, _ACTIONS.get(action, "press"), tells_releases and final == "u")


def _is_code(text: str) -> bool:
    return text.isdecimal() and int(text[:9]) < 0x110000


def _character(code: int, held: int) -> str:
    if code == _ESC:
        return "esc"
    if 0xD800 <= code < 0xE000 or 57344 <= code <= 63743:  # surrogates; keys with no character
        return ""
    name = _CONTROL.get(code) or (chr(code) if code >= 0x20 else "")
    if held & _CTRL:
        return f"ctrl-{name}"
    if held & _ALT:
        return f"alt-{name}"
    return name.upper() if held & _SHIFT and len(name) == 1 else name
