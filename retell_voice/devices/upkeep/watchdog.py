"""Detects a device that silently stopped or went mute. Pure: time is an argument."""

from __future__ import annotations

from dataclasses import dataclass

ZEROS_TIMEOUT = 5.0
"""Seconds of only digital zeros after which a microphone counts as muted."""

_LOOK, _LONG_LOOK = 0.25, 1.25
"""Seconds that one look at blocks or at zeros counts for at most: after a longer sleep, nothing is
known."""


@dataclass(slots=True)
class Watchdog:
    """Checks that blocks keep coming after a start of a device.

    Attributes:
        timeout: seconds without a block after which the device is lost.
        start_timeout: seconds that the first block may take: Bluetooth, for one, is slow to wake.
    """

    timeout: float
    start_timeout: float
    _looked: float | None = None
    _blocks: int = 0
    _silent: float = 0.0

    def look(self, now: float, blocks: int) -> bool:
        """Return whether the device has stopped; ``blocks``: how many have passed in total."""
        elapsed = 0.0 if self._looked is None else min(now - self._looked, _LOOK)
        self._looked = now
        if blocks != self._blocks:
            self._blocks, self._silent = blocks, 0.0
            return False
        self._silent += elapsed
        return self._silent > (self.timeout if blocks else self.start_timeout)


@dataclass(slots=True)
class ZerosWatch:
    """Watches for a microphone that delivers digital zeros, which no real one does for long."""

    _looked: float | None = None
    _sounds: int = 0
    _silent: float = 0.0
    _told: bool = False

    def look(self, now: float, sounds: int, *, listening: bool) -> bool:
        """Return True once if there were only zeros for too long, and again only after sound.

        ``sounds`` changes with every sound; time in which nobody listens does not count.
        """
        elapsed = 0.0 if self._looked is None else min(now - self._looked, _LONG_LOOK)
        self._looked = now
        if sounds != self._sounds:
            self._sounds, self._silent, self._told = sounds, 0.0, False
        elif not listening:
            self._silent = 0.0
        else:
            self._silent += elapsed
        if self._told or self._silent <= ZEROS_TIMEOUT:
            return False
        self._told = True
        return True
