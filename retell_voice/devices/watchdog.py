"""Noticing a device that stopped without saying so."""

from __future__ import annotations

from typing import Protocol

DEVICE_TIMEOUT = 2.0
"""Seconds without a block after which a device is taken for lost."""


class _Watched(Protocol):
    blocks: int

    def lost(self, why: str) -> None: ...


class Watchdog:
    """Watches one side of the bridge.

    Args:
        bridge: the side to watch.
        now: the time, seconds.
    """

    def __init__(self, bridge: _Watched, now: float) -> None:
        self._bridge = bridge
        self._blocks = bridge.blocks
        self._alive = now

    def look(self, now: float) -> None:
        """Report the device lost if no block has passed for too long."""
        if self._bridge.blocks != self._blocks:
            self._blocks, self._alive = self._bridge.blocks, now
        elif now - self._alive > DEVICE_TIMEOUT:
            self._alive = now
            self._bridge.lost(f"no audio has passed for {DEVICE_TIMEOUT:g} s")
