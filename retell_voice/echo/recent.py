"""The latest rows of figures, newest first, as one view that nothing is moved for."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_ROOM = 8
"""Times as many rows as are kept: so seldom they are moved."""


class Recent:
    """Keeps so many rows.

    Args:
        shape: rows, and figures in each; only rows for one figure each.
    """

    def __init__(self, *shape: int) -> None:
        rows, *more = shape
        self._rows = rows
        self._room = np.zeros((_ROOM * rows, *more))
        self.clear()

    def clear(self) -> None:
        """All rows are zeros."""
        self._at = len(self._room) - self._rows
        self._room[self._at :] = 0.0
        self.rows: NDArray[np.float64] = self._room[self._at :]
        """The newest first."""

    def push(self, row: NDArray[np.float64] | float) -> None:
        """Take the next row; the oldest goes."""
        if not self._at:
            self._at = len(self._room) - self._rows + 1
            self._room[self._at :] = self._room[: self._rows - 1]
        self._at -= 1
        self._room[self._at] = row
        self.rows = self._room[self._at : self._at + self._rows]
