"""Echo control as a stage of the near end, together with what was played at the same time.

::

    near end ──────────────────────────▶ Blocks ─▶ EchoControl ─▶ near end, no echo
    FarReference ─▶ ReferenceReader ───────┘

Where the near end has lost samples, the far end of that time is processed without them, so that
near and far stay as far apart as the control has learned.
"""

from __future__ import annotations

from collections.abc import Callable
from time import thread_time

from retell_voice.audio.format import Samples
from retell_voice.devices.streams.holes import Holes
from retell_voice.devices.streams.reference import LEAD_SECONDS, FarReference, ReferenceReader
from retell_voice.echo.ports import Blocks, EchoControl, EchoMeasures

_MEASURE_SECONDS = 0.1
_LONGEST_HOLE, _HEARD_SECONDS = 2.0, 0.3
"""Seconds of a hole that are made good; after a longer one, the reference finds its place itself.
The control hears the last of them: what was played before is no longer heard."""
_WAKING_SECONDS = 1.0
"""Seconds after devices have rested for which times are believed at once."""
_REST_SECONDS = 1.0
"""Longer than a room reverberates."""


class EchoStage:
    """A ``Stage`` of the near end.

    Args:
        control: removes the echo.
        reference: what is played.
        rate: the near end's samples a second.
        may_rest: tells whether the near end may pass as it is while nothing has been played for a
            second: no call is up, and whoever listens then needs no more. What is known of the room
            is kept. Runs on: near-end thread.
    """

    def __init__(
        self,
        control: EchoControl,
        reference: FarReference,
        rate: int,
        may_rest: Callable[[], bool] = lambda: False,
    ) -> None:
        # The thread's CPU time: other load on the machine is not a cost of echo control.
        self._blocks = Blocks(control, rate, thread_time)
        self._reference = reference
        self._reader = ReferenceReader(reference, rate)
        self._holes = Holes(rate)
        self._rate = rate
        self._must_reset = self._has_woken = False
        self._may_rest = may_rest
        self._silent = 0  # samples for which nothing was played
        self._measures = self._blocks.measures()
        self._unmeasured = 0  # samples since then

    def __call__(self, samples: Samples, spoken_at: float) -> Samples:
        """Runs on: near-end thread. Return the near end without echo; see ``Stage``."""
        if self._must_reset:
            self._must_reset = False
            self._blocks.reset()
            self._reader = ReferenceReader(self._reference, self._rate)
            self._holes = Holes(self._rate)
        if self._has_woken:
            self._has_woken = False
            self._holes = Holes(self._rate)
            self._silent = 0
            self._reader.trust(_WAKING_SECONDS)
        if missing := self._holes.note_rt(spoken_at, len(samples)):
            self._make_good(min(missing, _LONGEST_HOLE), spoken_at - missing)
        far = self._reader.read(len(samples), spoken_at + LEAD_SECONDS)
        self._silent = 0 if far.any() else self._silent + len(far)
        if self._silent > _REST_SECONDS * self._rate and self._may_rest():
            return samples
        done = self._blocks.process(samples, far)
        self._unmeasured += len(samples)
        if self._unmeasured >= _MEASURE_SECONDS * self._rate:
            self._unmeasured = 0
            self._measures = self._blocks.measures()
        return done

    def _make_good(self, missing: float, spoken_at: float) -> None:
        """Let the far end go by while ``missing`` seconds of the near end were lost."""
        far = self._reader.read(round(missing * self._rate), spoken_at + LEAD_SECONDS)
        self._blocks.skip(far[-round(_HEARD_SECONDS * self._rate) :])

    def reset(self) -> None:
        """Forget the room before the next block: a device was switched, or is back.

        Runs on: any thread. Not after a ``clear`` or a call: the room has not changed.
        """
        self._must_reset = True

    def woken(self) -> None:
        """Note that devices have rested: their times begin anew. Runs on: any thread."""
        self._has_woken = True

    def measures(self) -> EchoMeasures:
        """Return the measures, at most 0.1 s old. Runs on: any thread."""
        return self._measures
