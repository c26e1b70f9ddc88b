"""Audio in messages of any length, in whole samples."""

from __future__ import annotations


class WholeSamples:
    """Joins pieces of audio of any length: a byte that is half a sample waits for the next piece.

    Args:
        sample_width: bytes a sample takes.
    """

    def __init__(self, sample_width: int) -> None:
        self._width = sample_width
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        """Return all that is whole by now."""
        data = self._rest + data if self._rest else data
        whole = len(data) - len(data) % self._width
        self._rest = data[whole:]
        return data[:whole] if self._rest else data

    def reset(self) -> None:
        """Forget what is not whole."""
        self._rest = b""
