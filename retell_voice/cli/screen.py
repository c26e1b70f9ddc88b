"""The live screen: a picture of a view, line by line. Pure, but for the terminal's encoding."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from retell_voice.cli.view import SILENCE, Meter, View, clock
from retell_voice.events import CallState, Role

_FLOOR = -60.0  # dBFS at the left end of a meter
_STATES = {
    CallState.CONNECTING: "yellow",
    CallState.LIVE: "green",
    CallState.DRAINING: "yellow",
    CallState.ENDED: "red",
}
_ROLES: dict[Role, tuple[str, str]] = {"agent": ("agent", "cyan"), "user": ("you", "green")}
_TURNS: dict[Role, str] = {"agent": "agent's turn", "user": "your turn"}
_LABEL = 6  # columns of "agent " and "you   "


@dataclass(frozen=True, slots=True)
class Screen:
    """A view as exactly ``height`` lines of at most ``width`` columns; rich prints it."""

    view: View
    width: int
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fancy = not options.ascii_only
        head = _head(self.view, self.width, fancy)
        foot = _foot(self.view, self.width, self.height, fancy)
        room = max(self.height - len(head) - len(foot), 0)
        said = _transcript(self.view, console, self.width, room)
        lines = [*head, *said, *[Text()] * (room - len(said)), *foot][: self.height]
        for line in lines:
            line.no_wrap = True
            line.truncate(self.width, overflow="ellipsis" if fancy else "crop")
            yield line if fancy else _encodable(line, options.encoding)


def render(view: View, width: int, height: int) -> Screen:
    """Return a view as something rich prints in ``width`` columns and ``height`` lines."""
    return Screen(view, width, height)


def speaking(view: View) -> str:
    """Return who is speaking, for people."""
    who = [name for name, on in (("agent", view.agent_speaking), ("you", view.you_speaking)) if on]
    return " and ".join(who) or "nobody"


def _head(view: View, width: int, fancy: bool) -> list[Text]:
    state = "hanging up" if view.hanging_up and view.ended is None else str(view.state)
    first = Text.assemble(
        (f" {state.upper()} ", f"bold reverse {_STATES[view.state]}"),
        f"  {clock(view.at)}  ",
        ("speaking: ", "dim"),
        (speaking(view), "bold"),
    )
    detail = " ".join(filter(None, (view.server, view.audio, view.call_id)))
    if first.cell_len + 3 + len(detail) <= width:
        first.append(" " * (width - first.cell_len - len(detail)))
        first.append(detail, "dim")
    return [
        first,
        _meter("user", view.near_end, view.microphone, width, fancy),
        _meter("agent", view.far_end, view.speaker, width, fancy),
        Text(("─" if fancy else "-") * width, style="dim"),
    ]


def _meter(role: Role, meter: Meter, device: str, width: int, fancy: bool) -> Text:
    label, colour = _ROLES[role]
    bar = max(min(40, width - _LABEL - 11, width // 2), 5)
    full, rest, peak = ("█", "░", "│") if fancy else ("#", ".", "|")
    filled, mark = _cells(meter.level, bar), _cells(meter.peak, bar)
    text = Text.assemble(
        (f"{label:<{_LABEL}}", f"bold {colour}"),
        (full * filled, "red" if meter.level > -3 else colour),
        (rest * (bar - filled), "dim"),
    )
    if mark > filled:
        start = _LABEL + mark - 1
        text = Text.assemble(text[:start], (peak, "bold"), text[start + 1 :])
    text.append(
        f" {meter.level:4.0f} dB"
        if meter.level > SILENCE
        else "    · dB".replace("·", "·" if fancy else "-")
    )
    return text.append(f"  {device}", "dim") if device else text


def _cells(level: float, bar: int) -> int:
    return round(min(max((level - _FLOOR) / -_FLOOR, 0.0), 1.0) * bar)


def _transcript(view: View, console: Console, width: int, room: int) -> list[Text]:
    """Return the last ``room`` lines of the transcript; wraps no more of it than is seen."""
    lines: list[Text] = []
    for said in reversed(view.utterances):
        if len(lines) >= room:
            break
        label, colour = _ROLES[said.role]
        wrapped: Iterable[Text] = Text(said.content).wrap(console, max(width - _LABEL, 8))
        block = [Text(" " * _LABEL).append_text(line) for line in wrapped] or [Text()]
        label = f"{label:<{_LABEL}}"
        block[0] = Text.assemble((label, f"bold {colour}"), block[0][_LABEL:])
        lines = [*block, *lines]
    return lines[len(lines) - room :] if len(lines) > room else lines


def _foot(view: View, width: int, height: int, fancy: bool) -> list[Text]:
    lines: list[Text] = []
    if view.caption:
        lines.append(
            Text.assemble(("heard ", "bold cyan"), (_tail(view.caption, width - 6), "italic"))
        )
    shown = 1 if height < 16 else 3
    lines += [Text(f"! {warning}", "yellow") for warning in view.warnings[-shown:]]
    keys = Text("Ctrl-C hangs up" if not view.hanging_up else "Ctrl-C again exits at once", "dim")
    figures = view.statistics
    extra = f"queued {figures.playout_depth:.1f} s"
    if view.turn is not None:
        extra = f"{_TURNS[view.turn]}, {extra}"
    if figures.round_trip is not None:
        extra += f", round trip {figures.round_trip * 1000:.0f} ms"
    if keys.cell_len + len(extra) + 2 <= width:
        keys.append(" " * (width - keys.cell_len - len(extra)) + extra)
    if height >= 16:
        lines.append(Text(("─" if fancy else "-") * width, style="dim"))
    lines.append(keys)
    return lines


def _tail(text: str, width: int) -> str:
    """Return the end of a text, at most ``width`` columns of it."""
    while cell_len(text) > width > 0:
        text = text[max(cell_len(text) - width, 1) // 2 or 1 :]
    return text.lstrip()


def _encodable(line: Text, encoding: str) -> Text:
    plain = line.plain.replace("…", "~")
    line.plain = plain.encode(encoding, "replace").decode(encoding, "replace")
    return line
