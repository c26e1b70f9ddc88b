"""The figures of the last calls, in a file that survives a power cut: SQLite, one write a call."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import asdict, fields
from pathlib import Path

from retell_voice.kiosk.account import Account
from retell_voice.shown import logger
from retell_voice.threads.errands import Errands

_logger = logger("retell_voice.kiosk")

_COLUMNS = tuple(each.name for each in fields(Account))
_BOOLEANS = ("by_voice", "spoken")
_VERSION = 1
_CLOSING_SECONDS = 3.0


class History:
    """Keeps a bounded number of calls. A disk that is full or slow never holds up a call.

    Args:
        path: of the file; its directory is made. None: nothing is kept but in memory, and less.
        most: calls that are kept.
    """

    def __init__(self, path: Path | None, most: int) -> None:
        self.trouble = ""
        """Why calls are not kept, one line with the file's path; empty if they are."""
        self._path = path
        self._most = most
        self._errands = Errands("retell-voice history")
        self._connection: sqlite3.Connection | None = None

    def begin(self) -> None:
        """See whether calls can be written down, and warn now if not; returns at once."""
        if self._path is not None:
            self._errands.run(self._try)

    def add(self, account: Account) -> None:
        """Write a call down, on a thread of its own; returns at once."""
        self._errands.run(lambda: self._add(account))

    def read(self, calls: int, take: Callable[[list[Account]], None]) -> None:
        """Hand the last calls to ``take``, the newest last; it runs on a thread of its own."""
        self._errands.run(lambda: take(self._read(calls)))

    def close(self) -> None:
        """Wait for what is being written, and close the file. Blocks."""
        self._errands.run(self._close)
        self._errands.join(_CLOSING_SECONDS)

    # One thread at a time: that of the errands

    def _try(self) -> None:
        try:
            self._opened()
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        trouble = self._words(error)
        if not self.trouble:
            _logger.warning("figures of calls are not kept: %s", trouble)
        self.trouble = trouble
        self._close()

    def _words(self, error: Exception) -> str:
        """Return what went wrong; SQLite does not say why a file cannot be opened."""
        if self._path is None:
            return str(error)
        if isinstance(error, sqlite3.Error) and self._connection is None:
            try:
                self._path.open("ab").close()
            except OSError as failure:
                error = failure
        why = error.strerror if isinstance(error, OSError) else None
        return f"{self._path}: {why or error}"

    def _add(self, account: Account) -> None:
        values = asdict(account)
        marks = ", ".join(f":{name}" for name in _COLUMNS)
        try:
            connection = self._opened()
            with connection:
                connection.execute(
                    f"INSERT INTO calls ({', '.join(_COLUMNS)}) VALUES ({marks})",  # noqa: S608
                    values,
                )
                connection.execute(
                    "DELETE FROM calls WHERE id <= (SELECT MAX(id) FROM calls) - ?", (self._most,)
                )
            self.trouble = ""
        except (sqlite3.Error, OSError) as error:
            self._fail(error)

    def _read(self, calls: int) -> list[Account]:
        try:
            rows = self._opened().execute(
                f"SELECT {', '.join(_COLUMNS)} FROM calls ORDER BY id DESC LIMIT ?",  # noqa: S608
                (calls,),
            )
            found = [dict(zip(_COLUMNS, row, strict=True)) for row in rows]
        except (sqlite3.Error, OSError) as error:
            self._fail(error)
            return []
        for each in found:
            each.update({name: bool(each[name]) for name in _BOOLEANS})
        return [Account(**each) for each in reversed(found)]

    def _opened(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = self._open()
        return self._connection

    def _open(self) -> sqlite3.Connection:
        if self._path is None:
            return _prepared(sqlite3.connect(":memory:", check_same_thread=False))
        self._path.parent.mkdir(mode=0o750, parents=True, exist_ok=True)
        try:
            return _prepared(sqlite3.connect(self._path, check_same_thread=False))
        except sqlite3.OperationalError:
            raise
        except sqlite3.DatabaseError as error:  # it is none, or was being written by a bad disk
            broken = self._path.with_name(f"{self._path.name}.broken")
            _logger.warning("%s: %s; it is kept as %s", self._path, error, broken.name)
            for suffix in ("-wal", "-shm"):
                with suppress(OSError):
                    self._path.with_name(self._path.name + suffix).unlink()
            self._path.replace(broken)
            return _prepared(sqlite3.connect(self._path, check_same_thread=False))

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with closing(connection), suppress(sqlite3.Error):
                connection.rollback()


def _prepared(connection: sqlite3.Connection) -> sqlite3.Connection:
    """Make the table; closes the connection if that fails."""
    try:
        # Written to the log first and synced when that is folded in: a power cut loses the last
        # call at most, and the card is written to once a call.
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA journal_size_limit = 1048576")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        with connection:
            if version != _VERSION:
                connection.execute("DROP TABLE IF EXISTS calls")
            columns = ", ".join(("id INTEGER PRIMARY KEY AUTOINCREMENT", *_COLUMNS))
            connection.execute(f"CREATE TABLE IF NOT EXISTS calls ({columns})")
            connection.execute(f"PRAGMA user_version = {_VERSION}")
    except BaseException:
        connection.close()
        raise
    return connection
