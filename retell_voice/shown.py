"""Makes text safe to show: nothing in it can control a terminal or reverse its direction.

Close reasons, HTTP bodies, names of devices and files: text from outside passes through here on its
way to a terminal, a log, a transcript or a page. Until then it is kept unchanged.
"""

from __future__ import annotations

import logging
import re
import shlex
import sys
import traceback
from typing import IO

# Controls (C0, C1), bidirectional marks, lone surrogates.
_UNSHOWN = (
    "\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u206f\ufeff\ufff9-\ufffb\ud800-\udfff"
)
_BREAKS = "\n\r\t\v\f\x1c\x1d\x1e\x85\u2028\u2029"
_EACH = re.compile(f"[{_UNSHOWN}]")
_ALL_BUT_LINES = re.compile(f"(?!\n)[{_UNSHOWN}]")


def clean(text: str) -> str:
    """Return a text as one line of visible characters and spaces.

    Tabs, line and page breaks become spaces; other invisible characters are dropped.
    """
    if text.isprintable():  # nearly always so, and a server repeats all texts with each word
        return text
    for each in "\n\r\t":  # most of the rest; a pattern would look at each character
        text = text.replace(each, " ")
    return text if text.isprintable() else _EACH.sub(_instead, text)


def clean_lines(text: str) -> str:
    """Return a text of several lines, each made safe as by ``clean``."""
    return _ALL_BUT_LINES.sub(_instead, text)


def _instead(found: re.Match[str]) -> str:
    return " " if found[0] in _BREAKS else ""


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def as_argument(text: str, *, windows: bool = sys.platform == "win32") -> str:
    """Return a text as an argument of a command that people copy into their shell."""
    if not windows:
        return shlex.quote(text)
    # What cmd and PowerShell both take: neither knows the other's escapes.
    return f'"{text}"' if re.search(r"[^\w.:/\\+=-]", text) else text


def escape_json(text: str) -> str:
    """Return equivalent JSON, with escape sequences for what ``clean`` would drop."""
    return _ALL_BUT_LINES.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def logger(name: str) -> logging.Logger:
    """Return a logger whose records are clean, whatever handles them."""
    found = logging.getLogger(name)
    found.addFilter(clean_record)
    return found


def clean_record(record: logging.LogRecord) -> bool:
    """Make a record clean, its traceback included; a filter for loggers and handlers."""
    record.msg, record.args = clean_lines(record.getMessage()), ()
    if record.exc_info and record.exc_info[0] is not None and not record.exc_text:
        # A formatter uses this unchanged.
        record.exc_text = clean_lines(
            "".join(traceback.format_exception(*record.exc_info))
        ).rstrip()
    return True


class CleanStderr(logging.StreamHandler):  # type: ignore[type-arg]  # it has none at run time
    """Writes warnings to whatever standard error is, as ``logging.lastResort`` does."""

    def __init__(self) -> None:
        logging.Handler.__init__(self, logging.WARNING)
        self.addFilter(clean_record)

    @property
    def stream(self) -> IO[str] | None:  # looked up each time
        """Standard error, None where there is none."""
        return sys.stderr

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record, if there is a standard error."""
        if self.stream is not None:
            super().emit(record)
