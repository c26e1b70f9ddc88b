"""Where a call's events go. Writing happens on a thread, so that a stalled terminal or pipe
(Ctrl-S, a pager, a slow line) never blocks the call.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from retell_voice.cli.plain import Lines, timed
from retell_voice.cli.summary import summary
from retell_voice.cli.view import View
from retell_voice.events import Event, Levels
from retell_voice.program.failure import complain
from retell_voice.program.writer import Line, LineWriter, size_of
from retell_voice.recording import jsonl


class Output(Protocol):
    """Shows a call."""

    @property
    def failure(self) -> OSError | None:
        """Why the output could not be written, a full disk for example."""

    def open(self, view: View, gone: Callable[[], None]) -> None:
        """Start; ``gone`` is called, on any thread, once nobody reads any more."""

    def show(self, event: Event, view: View) -> None:
        """Show an event and the view after it. Never blocks."""

    def remark(self, line: str, at: float | None = None) -> None:
        """Show a line that does not come from an event, with a time of the call. Never blocks."""

    def close(self, view: View) -> None:
        """Write what is left, restore the terminal, then summarise the call."""

    def abandon(self) -> None:
        """Restore the terminal at once. Safe in a signal handler."""


class LineOutput(ABC):
    """Base: lines to standard output."""

    def __init__(self) -> None:
        self._writer = LineWriter()

    @property
    def failure(self) -> OSError | None:
        """Why the output could not be written."""
        return self._writer.failure

    @abstractmethod
    def opening(self, view: View) -> list[str]:
        """Return the first lines."""

    @abstractmethod
    def lines(self, event: Event) -> Sequence[Line]:
        """Return the lines of an event; expensive ones as functions that make them."""

    @abstractmethod
    def closing(self, view: View) -> list[str]:
        """Return the last lines."""

    def open(self, view: View, gone: Callable[[], None]) -> None:
        self._writer.open(gone)
        self._put(self.opening(view))

    def show(self, event: Event, view: View) -> None:  # noqa: ARG002 - the screen needs it
        for line in self.lines(event):
            self._writer.put(line, None if isinstance(line, str) else size_of(event))

    def close(self, view: View) -> None:
        self._put(self.closing(view))
        self._writer.close()

    def remark(self, line: str, at: float | None = None) -> None:
        self._put([timed(line, at)])

    def abandon(self) -> None:
        return  # nothing to restore

    def _put(self, lines: Sequence[Line]) -> None:
        for line in lines:
            self._writer.put(line)


class PlainOutput(LineOutput):
    """Readable lines."""

    def __init__(self) -> None:
        super().__init__()
        self._lines = Lines()

    def opening(self, view: View) -> list[str]:
        return self._lines.opening(view)

    def lines(self, event: Event) -> list[str]:
        return self._lines.feed(event)

    def remark(self, line: str, at: float | None = None) -> None:
        self._put([line if at is None else f"{self._lines.stamp(at)}  {line}"])

    def closing(self, view: View) -> list[str]:
        return summary(view)


class JsonOutput(LineOutput):
    """One JSON object per line; remarks go to standard error.

    Args:
        call: what the first line says about the call.
        levels: whether levels are wanted, too.
    """

    def __init__(self, call: dict[str, object], *, levels: bool = True) -> None:
        super().__init__()
        self._call = call
        self._levels = levels

    def opening(self, view: View) -> list[str]:
        shown = {
            "call_id": view.call_id or None,
            "server": view.server,
            "microphone": view.microphone,
            "speaker": view.speaker,
        }
        return [jsonl.to_json({"event": "call", **shown, **self._call})]

    def lines(self, event: Event) -> list[Callable[[], str]]:
        if isinstance(event, Levels) and not self._levels:
            return []
        return [partial(jsonl.line, event)]

    def remark(self, line: str, at: float | None = None) -> None:
        self._put([partial(complain, timed(line, at))])

    def closing(self, view: View) -> list[str]:
        if not view.recording:
            return []
        return [jsonl.to_json({"event": "recorded", "path": view.recording})]
