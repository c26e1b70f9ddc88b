"""Several attempts to reach a server, told where they take so long that people wonder."""

from __future__ import annotations

from retell_voice.errors import RetellVoiceError
from retell_voice.shown import logger

LOGGER = "retell_voice.attempts"
_LONG = 1.0
"""Seconds of an attempt from which on it is told."""
_logger = logger(LOGGER)


class Attempts:
    """What came of attempts to reach a server.

    Each that failed, took long and is followed by another is a record of the logger ``LOGGER``, at
    level INFO; the error of the last says which it was.

    Args:
        most: how many there may be.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._is_long = False

    def failed(self, error: RetellVoiceError, number: int, seconds: float, *, last: bool) -> None:
        """Note that an attempt failed.

        Args:
            error: its error; the last one of several is changed to tell its number.
            number: of the attempt, from 1.
            seconds: that it took.
            last: there is no other.
        """
        self._is_long |= seconds >= _LONG
        if not self._is_long:
            return
        which = f"{error} (attempt {number} of {self._most})"
        if not last:
            _logger.info("%s; trying again", which)
        elif number > 1:
            error.args = (which,)
