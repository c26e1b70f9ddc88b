"""The live screen: a view rendered line by line. Pure, except for the terminal's encoding.

::

    status                   ┐                           1  always
    you, agent: meters       ┘ head                      4  lines of height or more
    ──────────
    conversation, or a panel                             what is left
    ──────────
    captions, warnings       ┐
    quality                  │ foot                      7
    keys                     ┘                           2

A smaller terminal drops what matters least first.
"""

from __future__ import annotations

from dataclasses import dataclass

from rich.cells import cell_len
from rich.console import Console, ConsoleOptions, RenderResult
from rich.text import Text

from retell_voice.cli.controls import Controls
from retell_voice.cli.editor import Editor
from retell_voice.cli.panels import hint, panel
from retell_voice.cli.quality import quality
from retell_voice.cli.view import SILENCE, Meter, View
from retell_voice.events import CallState, Role
from retell_voice.shown import clock

_FLOOR = -60.0  # dBFS at the left end of a meter
_LOUD, _TOO_LOUD = -9.0, -3.0
_EIGHTHS = " ▏▎▍▌▋▊▉"
_STATES = {
    CallState.CONNECTING: "yellow",
    CallState.LIVE: "green",
    CallState.DRAINING: "yellow",
    CallState.ENDED: "red",
}
_ROLES: dict[Role, tuple[str, str]] = {"agent": ("agent", "cyan"), "user": ("you", "green")}
_TURNS: dict[Role, str] = {"agent": "agent's turn", "user": "your turn"}
_QUALITY = {"good": "green", "fair": "yellow", "poor": "bold red"}
_SHORTEST = 6  # columns, the least for the name of a device
_LONGEST = 12  # columns of "agent speaks"
_LABEL = 6  # columns of "agent " and "you   "
_CLOCK = 7  # of "00:00  "
_BLOCK = 4096  # characters by which the start of a very long utterance is cut
_KEYS = (("+-", "volume"), ("d", "devices"), ("s", "statistics"))


@dataclass(frozen=True, slots=True)
class Screen:
    """A view as exactly ``height`` lines of at most ``width`` columns, for rich to print."""

    view: View
    controls: Controls
    width: int
    height: int

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        fancy = not options.ascii_only
        for line in _Picture(self, console, fancy).lines():
            line.no_wrap = True
            line.truncate(self.width, overflow="ellipsis" if fancy else "crop")
            yield line if fancy else _encodable(line, options.encoding)


def render(view: View, controls: Controls, width: int, height: int) -> Screen:
    """Return a view, for rich to print in ``width`` columns and ``height`` lines."""
    return Screen(view, controls, width, height)


def speaking(view: View) -> str:
    """Return who is speaking, for people."""
    if view.agent_speaking:
        return "both speak" if view.you_speaking else "agent speaks"
    return "you speak" if view.you_speaking else "silence"


class _Picture:
    def __init__(self, screen: Screen, console: Console, fancy: bool) -> None:
        self._view, self._controls = screen.view, screen.controls
        self._width, self._height = screen.width, screen.height
        self._console, self._fancy = console, fancy

    def lines(self) -> list[Text]:
        head = self._head()
        foot = self._foot() if self._height > 1 else []
        if self._is_cramped(self._height - len(head) - len(foot)):
            head, foot = head[:1], foot[-1:]
        room = max(self._height - len(head) - len(foot), 0)
        body = self._body(room)
        return [*head, *body, *[Text()] * (room - len(body)), *foot][: self._height]

    def _is_cramped(self, room: int) -> bool:
        """Tell whether an open panel needs the space of the meters, too; devices scroll."""
        open_ = self._controls.panel
        if not open_ or self._height < 10:
            return bool(open_)
        return open_ != "devices" and len(panel(self._view, self._controls, self._width)) > room

    # Head

    def _head(self) -> list[Text]:
        lines = [self._status()]
        view = self._view
        if self._height >= 4:
            lines.append(self._meter("user", view.near_end, view.microphone, on=view.you_speaking))
            lines.append(self._meter("agent", view.far_end, view.speaker, on=view.agent_speaking))
        return [*lines, self._rule()] if self._height >= 12 else lines

    def _status(self) -> Text:
        view, controls, width = self._view, self._controls, self._width
        state = "hanging up" if view.hanging_up and view.ended is None else str(view.state)
        text = Text.assemble(
            (f" {state.upper()} ", f"bold reverse {_STATES[view.state]}"), f" {clock(view.at)}"
        )
        if controls.silent(view.at):
            text.append(" ").append("MUTED", "bold reverse red")
        elif controls.muted:
            text.append(" ").append("TALKING", "bold reverse green")
        who = f"  {speaking(view):<{_LONGEST}}"  # fixed width, so that the rest does not move
        if view.state in (CallState.LIVE, CallState.DRAINING) and (
            text.cell_len + len(who.rstrip()) <= width
        ):
            text.append(who[: width - text.cell_len], "bold")
        details = (view.server, view.audio, view.call_id)
        for count in (3, 2, 1):
            detail = " ".join(filter(None, details[:count]))
            if detail and text.cell_len + 3 + cell_len(detail) <= width:
                text.append(" " * (width - text.cell_len - cell_len(detail)))
                return text.append(detail, "dim")
        return text

    def _meter(self, role: Role, meter: Meter, device: str, *, on: bool) -> Text:
        label, colour = _ROLES[role]
        width, fancy = self._width, self._fancy
        shows_level = width >= 30
        bar = min(max(width * 2 // 5, 10), 60) if shows_level else max(width - _LABEL - 2, 1)
        mark = ("●" if fancy else "*") if on else " "
        text = Text.assemble((f"{mark} ", colour), (f"{label:<{_LABEL}}", f"bold {colour}"))
        text.append_text(self._bar(meter, bar, colour))
        if shows_level:
            silent = "  ·" if fancy else "  -"
            heard = round(meter.level)
            level = f"{heard}" if heard > SILENCE else silent
            text.append(f" {level:>3} dB")
        if role == "agent" and self._controls.volume != 100:
            text.append(f"  vol {self._controls.volume} %", "yellow")
        if ("near_end" if role == "user" else "far_end") in self._view.lost:
            text.append("  gone:", "bold yellow")
        if device and text.cell_len + _SHORTEST <= width:
            text.append(f"  {device}", "dim")
        return text

    def _bar(self, meter: Meter, bar: int, colour: str) -> Text:
        def column(level: float) -> float:
            return min(max((level - _FLOOR) / -_FLOOR, 0.0), 1.0) * bar

        fancy = self._fancy
        filled = column(meter.level)
        whole = int(filled) if fancy else round(filled)
        cells = ["█" if fancy else "#"] * whole + ["░" if fancy else "."] * (bar - whole)
        if fancy and whole < bar and (part := int(filled % 1 * 8)):
            cells[whole] = _EIGHTHS[part]
            whole += 1
        peak = round(column(meter.peak)) - 1
        text = Text()
        for index, cell in enumerate(cells):
            level = _FLOOR * (1 - (index + 1) / bar)
            lit = "red" if level > _TOO_LOUD else "yellow" if level > _LOUD else colour
            if index == peak and peak >= whole:
                text.append("│" if fancy else "|", f"bold {lit}")
            else:
                text.append(cell, lit if index < whole else "dim")
        return text

    def _rule(self) -> Text:
        return Text(("─" if self._fancy else "-") * self._width, style="dim")

    # Conversation

    def _body(self, room: int) -> list[Text]:
        if self._controls.panel:
            lines = panel(self._view, self._controls, self._width)
            lines = lines[min(self._controls.above, max(len(lines) - room, 0)) :]
            surplus = len(lines) - room
            return (
                [*lines[: room - 1], Text("…", "dim")] if surplus > 0 and room > 1 else lines[:room]
            )
        upto = self._controls.upto
        hidden = 0 if upto is None else len(self._view.said) - upto
        if hidden <= 0 or room < 2:
            return self._said(len(self._view.said), room)
        more = Text(f"{hidden} more below; End follows the conversation", "reverse")
        said = self._said(upto or 0, room - 1)
        return [*said, *[Text()] * (room - 1 - len(said)), more]

    def _said(self, upto: int, room: int) -> list[Text]:
        """Return the last ``room`` lines up to an utterance; wraps only what is visible."""
        view = self._view
        lines: list[Text] = []
        with_clock = self._width >= 60
        indent = _LABEL + _CLOCK * with_clock
        columns = max(self._width - indent, 8)
        for index in range(upto - 1, -1, -1):
            if len(lines) >= room:
                break
            said = view.said[index]
            label, colour = _ROLES[said.role]
            surplus = max(len(said.content) - (room + 1) * columns, 0)
            content = said.content[surplus // _BLOCK * _BLOCK :]
            wrapped = Text(content).wrap(self._console, columns)
            time = f"{clock(view.began[index])}  " if with_clock else ""
            first = Text.assemble((time, "dim"), (f"{label:<{_LABEL}}", f"bold {colour}"))
            block = [Text(" " * indent).append_text(line) for line in wrapped]
            block[:1] = [first.append_text(wrapped[0] if wrapped else Text())]
            lines = [*block, *lines]
        return lines[len(lines) - room :] if len(lines) > room else lines

    # Foot

    def _foot(self) -> list[Text]:
        height = self._height
        lines: list[Text] = []
        if height >= 14:
            lines.append(self._rule())
        if height >= 6 and not self._controls.panel:
            lines += self._captions(2 if height >= 20 else 1)
        shown = 3 if height >= 16 else 1 if height >= 8 else 0
        notes = self._view.fresh_notes[-shown:] if shown else ()
        lines += [Text(f"! {clock(note.at)} {note.text}", "yellow") for note in notes]
        if height >= 7:
            lines.append(self._quality())
        return [*lines, self._keys()]

    def _captions(self, count: int) -> list[Text]:
        """Return ``count`` lines once there was a caption, so that nothing moves; none before."""
        captions = self._view.captions
        before, word, after = captions.parts(self._view.at)
        if not (before + word + after).strip():
            return [Text()] * count * self._view.has_captions
        text = Text.assemble(before, (word.rstrip(), "bold underline"))
        text.append(word[len(word.rstrip()) :]).append(after, "dim")
        if captions.cut is not None:
            text = Text.assemble(before, word.rstrip(), (" —" if self._fancy else " --", "bold"))
        lines = text.wrap(self._console, max(self._width - _LABEL, 8))
        reached, offset = len(before) + len(word.rstrip()), 0
        current = len(lines) - 1
        for index, line in enumerate(lines):
            offset += len(line.plain) + 1
            if offset >= reached:
                current = index
                break
        first = max(current - count + 1, 0)
        block = [Text(" " * _LABEL).append_text(line) for line in lines[first : current + 1]]
        block[0] = Text.assemble(("heard ", "bold cyan"), block[0][_LABEL:])
        return [*block, *[Text()] * (count - len(block))]

    def _quality(self) -> Text:
        view, figures = self._view, self._view.statistics
        grade = quality(view)
        bars = {"good": "▂▄▆█", "fair": "▂▄▆", "poor": "▂"}[grade] if self._fancy else ""
        parts: list[tuple[str, str]] = []
        if view.state is not CallState.CONNECTING:
            parts.append((f"{bars:<4} {grade}".strip(), _QUALITY[grade]))
            if figures.round_trip is not None:
                parts.append((f"round trip {figures.round_trip * 1000:.0f} ms", ""))
            parts.append((f"jitter {figures.playout_target * 1000:.0f} ms", ""))
            gaps = figures.underruns + figures.playback_xruns
            parts.append((f"gaps {gaps}", "yellow" if gaps else ""))
            if view.turn is not None:
                parts.append((_TURNS[view.turn], "bold"))
            if figures.playout_depth >= 0.1:
                parts.append((f"queued {figures.playout_depth:.1f} s", "dim"))
        text = Text()
        for part, style in parts:
            gap = "   " if text else ""
            if text.cell_len + len(gap) + cell_len(part) > self._width:
                break
            text.append(gap).append(part, style)
        return text

    def _keys(self) -> Text:  # noqa: PLR0911 - one return for each state
        view, controls = self._view, self._controls
        if view.hanging_up:
            return Text("Ctrl-C again exits at once", "dim")
        if controls.editor is not None:
            return self._editor(controls.editor)
        if controls.notice and view.at < controls.notice_until:
            return Text(controls.notice, "bold")
        if not controls.has_keys:
            return Text("Ctrl-C hangs up", "dim")
        if controls.panel:
            return hint(controls)
        if controls.upto is not None:
            arrows = "↑↓" if self._fancy else "up down"
            return Text.assemble((arrows, "bold"), " scrolls back   ", ("End", "bold"), " follows")
        text = Text()
        for key, does in self._hints():
            gap = "   " if text else ""
            if text.cell_len + len(gap) + len(key) + 1 + len(does) > self._width:
                break
            text.append(gap).append(key, "bold").append(f" {does}", "dim")
        return text

    def _editor(self, editor: Editor) -> Text:
        before, under, behind = editor.window(max(self._width - _LABEL, 2))
        label = ("say   ", "bold green") if self._width > 2 * _LABEL else ""
        return Text.assemble(label, before, (under, "reverse"), behind)

    def _hints(self) -> list[tuple[str, str]]:
        """Return keys and what they do, the most important first."""
        if not self._controls.muted:
            typing = [] if self._controls.no_typing else [("Enter", "type")]
            return [("q", "hang up"), ("?", "help"), ("m", "mute"), *typing, *_KEYS]
        return [("q", "hang up"), ("space", "hold to talk"), ("m", "unmute"), ("?", "help"), *_KEYS]


def _encodable(line: Text, encoding: str) -> Text:
    plain = line.plain.replace("…", "~")
    line.plain = plain.encode(encoding, "replace").decode(encoding, "replace")
    return line
