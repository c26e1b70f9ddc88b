"""Attempts to reach a server, told while more of them follow."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from retell_voice.net.attempts import LOGGER
from retell_voice.shown import logger


class _Teller(logging.Handler):
    def __init__(self, tell: Callable[[str], None]) -> None:
        super().__init__(logging.INFO)
        self._tell = tell

    def emit(self, record: logging.LogRecord) -> None:
        self._tell(record.getMessage())


@contextmanager
def telling_attempts(tell: Callable[[str], None]) -> Iterator[None]:
    """Say which attempts failed and are repeated, for as long as this is entered.

    Args:
        tell: shows a line, on the thread of the attempt.
    """
    attempts, teller = logger(LOGGER), _Teller(tell)
    before = attempts.level
    attempts.addHandler(teller)
    attempts.setLevel(logging.INFO)
    try:
        yield
    finally:
        attempts.removeHandler(teller)
        attempts.setLevel(before)
