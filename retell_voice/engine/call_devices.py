"""The devices of one call: its own, which live as long as it does, or borrowed ones.

::

    find ──▶ start ──▶ release          safe from anywhere on the way, also twice
      │        └ its own are opened, borrowed ones lent
      └ its own are looked for
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.lease import Lease
from retell_voice.threads.detached import run_to_completion

_T = TypeVar("_T")


class CallDevices:
    """Finds what a call hears and speaks with, and gives it back or closes it.

    Args:
        borrowed: open devices, left open; None: the call's own.
        own: makes the call's own, not yet open; may take a while. Not called if some are borrowed.
        volume: what to set borrowed devices to; None leaves them as they are.
        lease: makes the call's lease of them.
    """

    def __init__(
        self,
        borrowed: AudioIO | None,
        *,
        own: Callable[[], AudioIO],
        volume: float | None,
        lease: Callable[[AudioIO], Lease],
    ) -> None:
        self._borrowed = borrowed
        self._own = own
        self._volume = volume
        self._make_lease = lease
        self._io: AudioIO | None = None
        self._lease: Lease | None = None

    @property
    def io(self) -> AudioIO:
        """The devices, once they are found; before, RuntimeError is raised."""
        return opened(self._io)

    @property
    def lease(self) -> Lease:
        """The call's use of them; as above."""
        return opened(self._lease)

    async def find(self) -> None:
        """Find the devices and make the lease; raises what making either raises."""
        await run_to_completion(self._find)

    async def start(self) -> None:
        """Open the call's own devices, or take the borrowed ones: audio flows.

        Raises:
            DeviceError: one cannot be opened, or is away.
            RuntimeError: the borrowed ones are not open, or another call has them.
        """
        if self._borrowed is None:
            await run_to_completion(partial(self.io.open, self.lease))
        else:
            self.lease.begin()

    def release(self) -> None:
        """Give the devices back, or close them. Blocks. Runs on: its own thread."""
        try:
            if self._lease is not None:
                self._lease.end()
        finally:
            if self._io is not None and self._borrowed is None:
                self._io.close()

    def _find(self) -> None:
        if (io := self._borrowed) is None:
            io = self._own()
        elif self._volume is not None:
            io.volume = self._volume
        self._io = io
        self._lease = self._make_lease(io)


def opened(part: _T | None) -> _T:
    """Return a part that a call has once it is open; raises RuntimeError before."""
    if part is None:
        raise RuntimeError("the call is not open: use it inside 'async with'")
    return part
