"""What the keys do: a fold from keys to the state of the controls. Pure: time is an argument."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from retell_voice.cli.editor import Editor
from retell_voice.cli.keys import Key
from retell_voice.protocol.dialect import DIGITS

Panel = Literal["", "help", "statistics", "devices", "keypad"]
Side = Literal["near_end", "far_end"]

LOUDEST = 200
"""Percent."""
STEP = 10
FIRST_HOLD = 0.75
"""Seconds for which one press of the space bar counts as holding it, if the terminal does not
report releases: then it only repeats presses. The first repeat takes up to two thirds of a
second."""
NEXT_HOLD = 0.25
"""The same for each repeat; repeats come every 30 to 100 ms."""
NOTICE = 4.0
"""Seconds for which an answer to a key shows."""
_PAGE = 5  # utterances
_SENT = 40  # phone keys to show
_ONCE = frozenset(f"mMdDsS?hHqQtT{DIGITS}") | {"f1"}  # keys whose repeats do nothing


@dataclass(frozen=True, slots=True)
class Choice:
    """A device that could be used."""

    side: Side
    name: str
    host_api: str = ""
    in_use: bool = False


@dataclass(frozen=True, slots=True)
class Controls:
    """The state of the controls: how to run the call and what to show of it.

    Attributes:
        has_keys: there is a keyboard.
        has_keypad: the call carries the keys of a telephone.
        no_typing: why nothing can be typed instead of spoken; empty: it can.
        editor: what is being typed.
        muted: the switch; see ``silent``.
        held_until: time until which the space bar counts as held; infinite if its release is
            reported.
        tells_releases: the terminal reports key releases.
        volume: of the agent, percent.
        panel: what covers the conversation.
        choices: the available devices, None while they are being looked up.
        above: how many of them have been scrolled out of sight.
        typed: digits of an incomplete choice.
        pressed: the last phone keys sent.
        upto: utterances shown, when scrolled back; None follows the conversation.
        notice: the answer to a key, and until when to show it.
    """

    has_keys: bool = False
    has_keypad: bool = False
    no_typing: str = "this server takes no typed text"
    editor: Editor | None = None
    muted: bool = False
    held_until: float = 0.0
    tells_releases: bool = False
    volume: int = 100
    panel: Panel = ""
    choices: tuple[Choice, ...] | None = None
    above: int = 0
    typed: str = ""
    pressed: str = ""
    upto: int | None = None
    notice: str = ""
    notice_until: float = 0.0

    def silent(self, now: float) -> bool:
        """Whether to send silence."""
        return self.muted and now >= self.held_until

    def noticed(self, notice: str, now: float, seconds: float = NOTICE) -> Controls:
        """Return it with an answer to show for this long."""
        return replace(self, notice=notice, notice_until=now + seconds)


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call; the second time, at once."""


@dataclass(frozen=True, slots=True)
class Repaint:
    """Redraw everything."""


@dataclass(frozen=True, slots=True)
class ListDevices:
    """List the available devices."""


@dataclass(frozen=True, slots=True)
class Use:
    """Switch to another device."""

    choice: Choice


@dataclass(frozen=True, slots=True)
class Press:
    """Press a phone key."""

    digit: str


@dataclass(frozen=True, slots=True)
class Say:
    """Say a text that was typed."""

    text: str


Command = HangUp | Repaint | ListDevices | Use | Press | Say
"""What a key asks for beyond the controls' state."""


def press(  # noqa: PLR0911, PLR0912 - a table of keys
    controls: Controls, key: Key, now: float, said: int
) -> tuple[Controls, Command | None]:
    """Return the controls after a key, and a command to carry out.

    Args:
        controls: before the key.
        key: the key.
        now: call time, seconds.
        said: utterances in the conversation.
    """
    if key.is_tracked and not controls.tells_releases:
        controls = replace(controls, tells_releases=True)
    is_let_go = key.name == " " and key.action == "release"  # it was held before Enter
    if controls.editor is not None and key.name not in ("unfocus", "ctrl-l") and not is_let_go:
        return _type(controls, controls.editor, key)
    if key.name == " ":
        return _space(controls, key, now), None
    if key.name == "unfocus":
        return replace(controls, held_until=min(controls.held_until, now)), None
    if key.action == "release" or (key.action == "repeat" and key.name in _ONCE):
        return controls, None
    if controls.panel == "devices" and (key.name.isdecimal() or key.name in ("enter", "backspace")):
        return _choose(controls, key.name, now)
    if controls.panel == "keypad" and len(key.name) == 1 and key.name in DIGITS:
        return replace(controls, pressed=(controls.pressed + key.name)[-_SENT:]), Press(key.name)
    match key.name:
        case "m" | "M":
            muted = not controls.muted
            controls = replace(controls, muted=muted, held_until=0.0)
            return controls.noticed("muted" if muted else "you are heard", now), None
        case "+" | "=":
            return _louder(controls, STEP, now), None
        case "-" | "_":
            return _louder(controls, -STEP, now), None
        case "d" | "D":
            opened = _toggle(controls, "devices")
            opened = replace(opened, choices=None, above=0)
            return opened, ListDevices() if opened.panel else None
        case "t" | "T" if controls.has_keypad:
            return _toggle(controls, "keypad"), None
        case "t" | "T":
            return controls.noticed("a web call has no telephone keys: --dialect", now), None
        case "s" | "S":
            return _toggle(controls, "statistics"), None
        case "?" | "h" | "H" | "f1":
            return _toggle(controls, "help"), None
        case "enter" if controls.no_typing:
            return controls.noticed(controls.no_typing, now), None
        case "enter":
            return replace(controls, panel="", upto=None, notice="", editor=Editor()), None
        case "esc":
            return replace(controls, panel="", typed="", upto=None, notice=""), None
        case "q" | "Q":
            return controls, HangUp()
        case "ctrl-l":
            return controls, Repaint()
        case "paste":
            return controls.noticed("pasted text is not sent: this is a voice call", now), None
    if controls.panel == "devices":
        return _scroll(controls, key.name), None
    return _look_back(controls, key.name, said), None


def _type(controls: Controls, editor: Editor, key: Key) -> tuple[Controls, Command | None]:
    if key.action == "release" or (key.action == "repeat" and key.name in ("enter", "esc")):
        return controls, None  # the Enter that opened it may still be held
    if key.name == "esc":
        return replace(controls, editor=None), None
    if key.name == "enter":
        text = editor.text.strip()
        return replace(controls, editor=None), Say(text) if text else None
    return replace(controls, editor=editor.after(key)), None


def _space(controls: Controls, key: Key, now: float) -> Controls:
    if key.action == "release":
        return replace(controls, held_until=min(controls.held_until, now))
    if not controls.muted:
        # Held since before "m": nothing to say.
        if key.action == "repeat" or now < controls.held_until:
            return controls
        return controls.noticed("you are heard; the space bar only works while muted (m)", now)
    if key.is_tracked:
        return replace(controls, held_until=math.inf, notice="")
    held = now < controls.held_until
    until = now + (NEXT_HOLD if held else FIRST_HOLD)
    return replace(controls, held_until=max(controls.held_until, until), notice="")


def _louder(controls: Controls, by: int, now: float) -> Controls:
    volume = min(max(controls.volume + by, 0), LOUDEST)
    return replace(controls, volume=volume).noticed(f"the agent's volume: {volume} %", now)


def _toggle(controls: Controls, panel: Panel) -> Controls:
    return replace(controls, panel="" if controls.panel == panel else panel, typed="")


def _choose(controls: Controls, name: str, now: float) -> tuple[Controls, Command | None]:
    choices = controls.choices or ()
    if name == "backspace":
        return replace(controls, typed=controls.typed[:-1]), None
    typed = controls.typed + (name if name != "enter" else "")
    if not typed:
        return controls, None
    number = int(typed)
    # Another digit could still make a larger number: then Enter completes it.
    if name != "enter" and number and number * 10 <= len(choices):
        return replace(controls, typed=typed), None
    if not 1 <= number <= len(choices):
        return replace(controls, typed="").noticed(f"no device number {typed}", now), None
    choice = choices[number - 1]
    if choice.in_use:
        return replace(controls, typed="", panel="").noticed(f"{choice.name} is in use", now), None
    controls = replace(controls, typed="", panel="").noticed(f"switching to {choice.name} …", now)
    return controls, Use(choice)


def _scroll(controls: Controls, name: str) -> Controls:
    last = max(len(controls.choices or ()) - 1, 0)
    above = controls.above + _steps(last).get(name, 0)
    return replace(controls, above=min(max(above, 0), last))


def _look_back(controls: Controls, name: str, said: int) -> Controls:
    steps = _steps(said)
    if name not in steps or not said:
        return controls
    upto = max((said if controls.upto is None else controls.upto) + steps[name], 1)
    return replace(controls, panel="", upto=None if upto >= said else upto)


def _steps(all_: int) -> dict[str, int]:
    """Return how far the scrolling keys move, among this many."""
    steps = {"up": -1, "k": -1, "down": 1, "j": 1, "pageup": -_PAGE, "pagedown": _PAGE}
    return steps | {"home": -all_, "end": all_}
