"""Two streams that take turns: a quick one in use, one of long blocks while nobody is in a hurry.

::

    in use      quick: short blocks ─▶ end
    resting     quick: stopped            long blocks ─▶ end, ten times a second
    waking      quick: being started      long blocks ─▶ nowhere, until they are closed

Almost all that an open stream costs, it costs once for each block, on this side and in the sound
server. The stopped stream stays open: starting it takes some milliseconds, and its first block is
heard sooner than that of one which runs and has filled its buffer. The other one keeps the card
running meanwhile: servers suspend a card that nobody uses, and many swallow what comes first then.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from retell_voice.devices.portaudio import library
from retell_voice.devices.portaudio.callbacks import Run
from retell_voice.devices.portaudio.spinning import guard

BLOCK_SECONDS = 0.085
"""Length of long blocks. Twice as long would save as much again as a tenth of what this saves."""
_FIRST_SECONDS, _BUSY_SECONDS = 1.0, 0.1
_WAKE_SECONDS = 2.0
"""How long the quick stream may take to start again, mostly 15 ms: where its server has just died,
it hangs, and the device comes back the later."""
_POLL_SECONDS = 0.005


class Turns:
    """Which of two streams of one end passes its blocks on: never both.

    Args:
        quick: the run of the stream that is in use.
        native: that stream, PortAudio's.
        long: the run of the other one.
        wanted: tells whether resting is still wanted; once it says no, it always will.
    """

    def __init__(
        self, quick: Run[Any], native: Any, long: Run[Any], wanted: Callable[[], bool]
    ) -> None:
        self.quick = quick
        self.long = long
        self._native = native
        self._wanted = wanted
        self._passes = self._busy = False
        long.longest = 2 * BLOCK_SECONDS

    def guarded(self, callback: Callable[..., None]) -> Callable[..., None]:
        """Return the callback of long blocks, which passes them on only when it is their turn."""
        is_output = hasattr(self.long.end, "fill_rt")

        def _callback_rt(data: Any, frames: int, time: Any, status: Any) -> None:
            """Runs on: audio callback thread."""
            # Busy first, then the look: ``end`` does it the other way round.
            self._busy = True
            if self._passes and self._wanted():
                callback(data, frames, time, status)
            else:
                self.long.called_rt()
                if is_output:
                    data[:] = bytes(len(data))
            self._busy = False

        return _callback_rt

    def begin(self, native: Any) -> bool:
        """Start the stream of long blocks and, once it runs, stop the quick one.

        Returns False if it does not run, or it is wanted no more: nothing has changed then.
        """
        guard().watch(self.long)
        try:
            _noting_hangs(library.start, native)
        except Exception:  # the quick one goes on
            return False
        deadline = time.monotonic() + _FIRST_SECONDS
        while not self.long.calls and self._wanted() and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)
        quick = self.quick
        if not self.long.calls or quick.stopping:
            return False
        # From here on it takes nothing that would be lost with what it has not played yet.
        quick.pausing = True
        if not self._wanted():
            quick.pausing = False
            return False
        try:
            _noting_hangs(library.abort, self._native)
        except Exception as error:
            quick.pausing = False
            quick.lost(f"it does not stop: {error}")
            return False
        guard().forget(quick)  # not earlier: its thread may spin instead of ending
        self._passes = True
        return True

    def end(self) -> None:
        """Start the quick stream again, unless the device was lost: what hangs in it would hold up
        its return. The other stream is to be closed then."""
        self._passes = False
        deadline = time.monotonic() + _BUSY_SECONDS
        while self._busy and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS / 10)
        quick = self.quick
        if not quick.pausing or quick.stopping or self.long.told:
            return
        quick.renew()
        try:
            guard().watch(quick)
            _noting_hangs(partial(library.start, seconds=_WAKE_SECONDS), self._native)
        except Exception as error:
            quick.lost(f"it does not start again: {error}")


def _noting_hangs(work: Callable[[Any], None], native: Any) -> None:
    """Do it to a stream; a sound system that hangs would also hang at the exit."""
    try:
        work(native)
    except library.NoAnswer:
        library.leave_open_at_exit()
        raise
