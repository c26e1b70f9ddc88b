"""The live screen, drawn on a thread: a stalled terminal never blocks the call."""

from __future__ import annotations

import io
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import ExitStack, redirect_stderr, suppress
from typing import TYPE_CHECKING

from retell_voice.cli.controls import Controls
from retell_voice.cli.keyboard import Keyboard
from retell_voice.cli.keys import Key
from retell_voice.cli.painter import Painter
from retell_voice.cli.plain import Lines, timed
from retell_voice.cli.summary import summary
from retell_voice.cli.terminal import Terminal
from retell_voice.cli.view import View
from retell_voice.events import CallState, Event, Levels
from retell_voice.program import stdout
from retell_voice.program.failure import remark
from retell_voice.shown import clean

if TYPE_CHECKING:
    from rich.console import Console
    from rich.segment import Segment

_IDLE = 0.25  # seconds after which to redraw even if nothing happened: time has passed
_PACE = 0.03  # minimum seconds between redraws


class ScreenOutput:
    """The live screen, on the alternate screen; afterwards the conversation stays."""

    def __init__(self) -> None:
        self._view = View()
        self._controls = Controls()
        self._shown_at = time.monotonic()
        self._terminal = Terminal(self._redraw)
        self._keyboard: Keyboard | None = None
        self._painter = Painter()
        self._spoilt = False
        self._dirty = threading.Event()
        self._over = False
        self.failure: OSError | None = None
        self._defect: Exception | None = None
        self._gone: Callable[[], None] = lambda: None
        self._stderr = ExitStack()
        self._said = io.StringIO()
        self._thread = threading.Thread(target=self._draw, name="screen", daemon=True)

    @property
    def has_keys(self) -> bool:
        """Whether there is a keyboard."""
        return self._terminal.keys is not None

    def listen(self, take: Callable[[Key], None]) -> None:
        """Call ``take`` for each key, on a thread, until the screen is closed."""
        self._keyboard = Keyboard(self._terminal, take)
        self._keyboard.start()

    def open(self, view: View, gone: Callable[[], None]) -> None:
        self._view, self._gone = view, gone
        # Anything logged meanwhile would land in the picture and disappear with it.
        self._stderr.enter_context(redirect_stderr(self._said))
        self._terminal.take()
        self._redraw()
        self._thread.start()

    def show(self, event: Event, view: View) -> None:
        # Levels come twelve times a second and set the pace; drawing more often adds nothing.
        redraw = isinstance(event, Levels) or view.state is not self._view.state
        redraw = redraw or view.hanging_up is not self._view.hanging_up
        self._view, self._shown_at = view, time.monotonic()
        if redraw:
            self._dirty.set()

    def control(self, controls: Controls, *, full: bool = False) -> None:
        """Show the state of the controls; ``full``: redraw everything."""
        self._controls = controls
        self._spoilt = self._spoilt or full
        self._redraw()

    def remark(self, line: str, at: float | None = None) -> None:
        """Keep it for when the call is over; an ``Operator`` shows it meanwhile."""
        self._said.write(f"{timed(line, at)}\n")

    def close(self, view: View) -> None:
        self._over = True
        self._redraw()
        self._thread.join()
        self._end(-1)
        said = self._said.getvalue()
        if said:
            remark(said.rstrip("\n"))
        if self._defect is not None:
            raise self._defect
        lines = Lines()
        for line in [*lines.opening(view), *lines.history(view), *summary(view)]:
            with suppress(OSError):
                stdout.say(line)

    def abandon(self) -> None:
        self._over = True
        self._end(0.2)

    def _end(self, timeout: float) -> None:
        if self._keyboard is not None:
            self._keyboard.stop()
        self._terminal.give_back(timeout)
        self._stderr.close()

    def _redraw(self) -> None:
        self._dirty.set()

    def _draw(self) -> None:
        from rich.console import Console  # saves 60 ms at start-up

        try:
            console = Console(highlight=False, force_terminal=True, legacy_windows=False)
            while not self._over:
                if self._controls.muted and self._view.state is CallState.LIVE:
                    self._terminal.want_releases()
                self._terminal.draw(lambda full: self._paint(console, full))
                time.sleep(_PACE)
                self._dirty.wait(_IDLE)
                self._dirty.clear()
        except OSError:  # the terminal hung up
            stdout.silence()
            self._gone()
        except Exception as error:  # a defect of the screen; reported when the call is over
            self._defect = error
            self._gone()

    def _paint(self, console: Console, full: bool) -> str:
        from retell_voice.cli.screen import render  # as rich

        if full or self._spoilt:
            self._spoilt = False
            self._painter.forget()
        view = self._view.passed(time.monotonic() - self._shown_at)
        width, height = self._terminal.size
        options = console.options.update(width=width, height=height)
        picture = render(view, self._controls, width, height)
        lines = console.render_lines(picture, options, pad=False)
        return self._painter.paint([_encoded(console, line) for line in lines], (width, height))


def _encoded(console: Console, line: Iterable[Segment]) -> tuple[str, str]:
    """Return a line with the colours the terminal supports, and without."""
    from rich.console import COLOR_SYSTEMS  # as rich
    from rich.segment import Segment

    colours = COLOR_SYSTEMS.get(console.color_system or "")
    parts = [
        part._replace(text=clean(part.text))
        for part in (Segment.remove_color(line) if console.no_color else line)
    ]
    plain = "".join(part.text for part in parts)
    return "".join(
        part.style.render(part.text, color_system=colours) if part.style else part.text
        for part in parts
    ), plain
