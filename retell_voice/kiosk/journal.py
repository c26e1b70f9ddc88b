"""What a kiosk writes down for people: to the journal with fields of its own, else to stderr."""

from __future__ import annotations

import logging
import os
import socket
import struct
import sys
from pathlib import Path

from retell_voice.program.failure import remark
from retell_voice.shown import clean_record

NAME = "retell_voice.kiosk"
_SOCKET = Path("/run/systemd/journal/socket")
_PRIORITIES = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
    (logging.DEBUG, 7),
)
FIELDS = ("state", "source", "result", "dialled", "lasted")
"""What a record may have as ``extra``: fields of the journal, with KIOSK_ before them."""


def priority(level: int) -> int:
    """Return syslog's number for a level of logging."""
    return next((number for least, number in _PRIORITIES if level >= least), 7)


def datagram(message: str, fields: dict[str, str]) -> bytes:
    """Return an entry in the journal's own form, see systemd.journal-fields(7)."""
    parts = []
    for name, value in {"MESSAGE": message, **fields}.items():
        data = value.encode("utf-8", "replace")
        if b"\n" in data:  # then its length goes before it
            parts.append(name.encode() + b"\n" + struct.pack("<Q", len(data)) + data + b"\n")
        else:
            parts.append(name.encode() + b"=" + data + b"\n")
    return b"".join(parts)


class JournalHandler(logging.Handler):
    """Sends records to the journal's socket; those it does not take go to stderr."""

    def __init__(self, path: Path = _SOCKET) -> None:
        super().__init__()
        self._path = str(path)
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.setblocking(False)
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send a record. Never blocks."""
        try:
            level = str(priority(record.levelno))
            fields = {"PRIORITY": level, "SYSLOG_IDENTIFIER": "retell-voice"}
            for name in FIELDS:
                if (value := getattr(record, name, None)) is not None:
                    fields[f"KIOSK_{name.upper()}"] = str(value)
            text = self.format(record)
            try:
                self._socket.sendto(datagram(text, fields), self._path)
            except OSError:
                remark(f"<{level}>{text}")
        except Exception:
            self.handleError(record)

    def close(self) -> None:
        """Close the socket."""
        self._socket.close()
        super().close()


class StderrHandler(logging.Handler):
    """Writes records to standard error; what a reader that stands still does not take is lost."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a record."""
        try:
            remark(self.format(record))
        except Exception:
            self.handleError(record)


def begin_logging(*, debug: bool = False) -> logging.Handler:
    """Have the kiosk's records written; returns what writes them.

    To the journal if that is where stderr goes, which systemd says in JOURNAL_STREAM.
    """
    handler: logging.Handler
    if _is_journal():
        handler = JournalHandler()
    else:
        handler = StderrHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
    handler.addFilter(clean_record)
    logger = logging.getLogger("retell_voice")
    logger.addHandler(handler)
    logger.setLevel(logging.DEBUG if debug else logging.INFO)
    return handler


def end_logging(handler: logging.Handler) -> None:
    """Undo ``begin_logging``."""
    logging.getLogger("retell_voice").removeHandler(handler)
    handler.close()


def _is_journal() -> bool:
    device, _, inode = os.environ.get("JOURNAL_STREAM", "").partition(":")
    try:
        found = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return (device, inode) == (str(found.st_dev), str(found.st_ino)) and _SOCKET.exists()
