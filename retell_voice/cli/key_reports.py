"""Asking a terminal to report key releases, with kitty's keyboard protocol. Pure.

::

    off ──ask──▶ asked ──any answer──▶ pushed ──all flags set──▶ on
                   │                     └──not all──▶ refused
                   └─ no answer, ever: most terminals

It is off again when the screen has been left, by us or by a shell. A terminal keeps a stack of
settings for each of its two screens: what is pushed on ours cannot outlive it.

With this protocol Ctrl-C, Ctrl-Z and Ctrl-\\ are ordinary keys and no longer signals, so it is
requested only when somebody holds the space bar to talk.
"""

from __future__ import annotations

from typing import Literal

from retell_voice.cli.keys import TELLS_RELEASES

State = Literal["off", "asked", "pushed", "on", "refused"]

_ALTERNATES = 0b100  # the key in the base layout, for Ctrl with non-Latin letters
_QUERY = "\x1b[?u"
_PUSH = f"\x1b[>{TELLS_RELEASES | _ALTERNATES}u"
_POP = "\x1b[<u"
_FOCUS_ON, _FOCUS_OFF = "\x1b[?1004h", "\x1b[?1004l"
"""A release while another window has the focus is not reported here, but the lost focus is."""


class KeyReports:
    """What to send to a terminal, and how to take its answers."""

    def __init__(self) -> None:
        self.state: State = "off"

    def ask(self) -> str:
        """Return what to send first; nothing the second time."""
        if self.state != "off":
            return ""
        self.state = "asked"
        return _QUERY

    def answered(self, flags: int) -> str:
        """Return what to send after the terminal has reported its settings."""
        if self.state == "asked":
            self.state = "pushed"
            return _PUSH + _FOCUS_ON + _QUERY
        if self.state != "pushed":
            return ""
        if flags & TELLS_RELEASES == TELLS_RELEASES:
            self.state = "on"
            return ""
        self.state = "refused"
        return _POP + _FOCUS_OFF

    def leave(self) -> str:
        """Return what restores the terminal; then it may be asked again."""
        pushed = self.state in ("pushed", "on")
        self.state = "off"
        return _POP + _FOCUS_OFF if pushed else ""
