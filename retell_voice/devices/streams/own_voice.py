"""Whether the agent hears itself: what a call sends, compared with what it plays.

::

    near end ─▶ Tap ─┐
                     ├─▶ OwnVoice.look ─▶ SelfHearing      now and then, on the event loop
    output   ─▶ Tap ─┘

Positions are enough to align them: what is sent may follow by half a second.
"""

from __future__ import annotations

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.echo.measure import SelfHearing

_APART_SECONDS = 0.2
"""By how much one side may be ahead of the other. Blocks are shorter; anything more is clock drift,
or a device that was switched, and is dropped."""


class OwnVoice:
    """Listens to both sides of a call; for one thread."""

    def __init__(self, near_end: NearEnd, output: Output) -> None:
        self._near_end, self._output = near_end, output
        self._near_tap, self._far_tap = near_end.tap(), output.tap()
        self._hearing = SelfHearing(near_end.rate)
        self._near_read = self._far_read = 0
        self._near: Samples = np.zeros(0, np.int16)
        self._far: Samples = np.zeros(0, np.int16)

    def look(self) -> bool:
        """Return True once: when the agent seems to hear itself. Called several times a second."""
        near, self._near_read = self._near_tap.read(self._near_read)
        played, self._far_read = self._far_tap.read(self._far_read)
        self._near = np.concatenate((self._near, near))
        self._far = np.concatenate((self._far, played))
        rate, far_rate = self._near_end.rate, self._output.rate
        both = min(len(self._near), len(self._far) * rate // far_rate)
        far = self._far
        if far_rate != rate:
            # Only levels are compared, so aliasing from picking samples does not matter.
            far = far[np.arange(both) * far_rate // rate]
        found = self._hearing.step(self._near[:both], far[:both])
        self._near = _rest(self._near[both:], rate)
        self._far = _rest(self._far[both * far_rate // rate :], far_rate)
        return found

    def cleared(self) -> None:
        """Note that the server has cleared."""
        self._hearing.cleared()

    def stop(self) -> None:
        """Stop listening; safe to call twice."""
        self._near_end.untap(self._near_tap)
        self._output.untap(self._far_tap)


def _rest(samples: Samples, rate: int) -> Samples:
    return samples if len(samples) <= _APART_SECONDS * rate else samples[:0]
