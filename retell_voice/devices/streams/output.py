"""The output: what the speaker pulls, for as long as it is open.

::

    a call's FarEnd ──┐
    your own sounds, ─┴─▶ mix ─▶ volume ─▶ meter, taps, FarReference ─▶ speaker
    in turn

It outlives calls: a call plugs in its ``FarEnd`` and unplugs it again.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from time import monotonic

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.gain import Gain
from retell_voice.audio.levels import dbfs, peak
from retell_voice.audio.ring import Ring
from retell_voice.devices.streams.far_end import FarEnd
from retell_voice.devices.streams.reference import FarReference
from retell_voice.devices.streams.tap import PATIENCE, Tap

_FADE = 0.006
MOST_SOUNDS = 32
"""Sounds that may wait to be played."""


class Sound:
    """One of your own sounds on its way to the speaker.

    Args:
        samples: shape (n,), mono int16 at the output's rate.
        ended: called once, when its last sample has been heard or it was stopped; runs on: audio
            callback thread; must neither block nor raise.
        yields: it fades out as soon as a call's far end is heard, and is not started while it is.
    """

    def __init__(
        self, samples: Samples, ended: Callable[[], None], *, yields: bool = False
    ) -> None:
        self.samples = samples
        self.ended = ended
        self.yields = yields
        self.is_stopping = False
        """Set on any thread: it fades out within the next block."""
        self.at = 0


class Output:
    """Fills the speaker's blocks.

    Args:
        rate: the speaker's samples a second.
        volume: factor for the amplitude of everything, 0–2.

    Raises:
        ValueError: the volume is out of range.
    """

    def __init__(self, rate: int, volume: float = 1.0) -> None:
        self.rate = rate
        self.xruns = 0
        """Times the device ran out of samples."""
        self.fault: Exception | None = None
        """The exception in the callback, if any: a defect."""
        self.position = 0
        """Samples pulled, silence included."""
        self.gain = Gain(rate, volume)
        """Applies the volume."""
        self._reference: FarReference | None = None
        self.records = True
        """Whether the reference is kept up, where there is one."""
        self._far_end: FarEnd | None = None
        self._sounds: deque[Sound] = deque()  # the first one is playing
        self._ending: deque[tuple[int, Sound]] = deque()  # those still heard, and where each ends
        self._taps: tuple[Tap, ...] = ()
        self._lag = 0  # samples between the last one pulled and the one heard now
        self._played = Ring(rate)
        self._metered = 0
        self._metering = False
        self._mixed = np.zeros(0, np.int32)
        self._fade = np.linspace(1.0, 0.0, round(_FADE * rate), dtype=np.float32)

    # Who is heard, and who listens; on the event loop or any other one thread

    @property
    def reference(self) -> FarReference:
        """What was actually played, with its time; recorded from the first access on."""
        if self._reference is None:
            self._reference = FarReference(self.rate)
        return self._reference

    def connect(self, far_end: FarEnd | None) -> None:
        """Connect a call from the next block on; None: no call is up, and ``level`` starts anew."""
        self._far_end = far_end
        if far_end is None:
            self._metering, self._metered = False, self._played.written

    def play(self, sound: Sound) -> bool:
        """Queue a sound; False: ``MOST_SOUNDS`` are already waiting."""
        if len(self._sounds) >= MOST_SOUNDS:
            return False
        self._sounds.append(sound)
        return True

    @property
    def is_silent(self) -> bool:
        """Whether none of your own sounds is waiting or still audible."""
        return not (self._sounds or self._ending)

    @property
    def is_patient(self) -> bool:
        """Whether nobody minds blocks of a tenth of a second."""
        hurried = self._far_end is not None or self._metering or not self.is_silent
        return not hurried and all(tap.every >= PATIENCE for tap in self._taps)

    @property
    def hearing(self) -> int:
        """Position of what is heard now; exact when a block was filled."""
        return self.position - self._lag

    def level(self) -> float:
        """Return the peak level played since the last call, dBFS; the first starts metering."""
        self._metering = True
        samples, self._metered = self._played.read(self._metered)
        return dbfs(peak(samples))

    def tap(self) -> Tap:
        """Return a tap that hears what is played from here on."""
        tap = Tap(self.rate, self.position)
        self._taps = (*self._taps, tap)
        return tap

    def untap(self, tap: Tap) -> None:
        """Remove a tap; safe to call twice."""
        self._taps = tuple(each for each in self._taps if each is not tap)

    # The speaker

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Fill ``out``, shape (n,); see ``Source``."""
        try:
            self._fill_rt(out, delay)
        except Exception as error:
            out[:] = 0
            self.fault = error
        self.xruns += xrun

    def rest_rt(self, count: int, xrun: bool) -> bool:
        """Runs on: audio callback thread. Count samples of silence, where there is nothing to play
        and nobody to hear it; return whether that is so."""
        if (
            self._far_end is not None
            or self._sounds
            or self._ending
            or self._taps
            or (self.records and self._reference is not None)
            or not self.gain.is_steady
        ):
            return False
        self.position += count
        self.xruns += xrun
        return True

    def _fill_rt(self, out: Samples, delay: float) -> None:
        """Runs on: audio callback thread."""
        far_end = self._far_end
        if far_end is None:
            out.fill(0)
            sounds = False
        else:
            sounds = far_end.fill_rt(out, delay)
        if self._sounds:
            self._mix_rt(out, is_spoken=sounds)
            sounds = True
        self.gain.apply_rt(out)
        if sounds and self._metering:
            self._played.write_rt(out)
        self.position += len(out)
        self._lag = len(out) + round(delay * self.rate)
        if self.records and self._reference is not None:
            # The only clock that near end and far end share is the machine's.
            self._reference.write_rt(out, monotonic() + delay)
        for tap in self._taps:
            tap.write_rt(out, self.position)
        while self._ending and self._ending[0][0] <= self.hearing:
            self._ending.popleft()[1].ended()

    def _mix_rt(self, out: Samples, *, is_spoken: bool) -> None:
        """Runs on: audio callback thread. Add the sounds that are due to ``out``.

        ``is_spoken``: a call is heard in it.
        """
        filled = 0
        while filled < len(out) and self._sounds:
            sound = self._sounds[0]
            if is_spoken and sound.yields:
                sound.is_stopping = True
                if not sound.at:
                    self._sounds.popleft()
                    self._ending.append((self.position + filled, sound))
                    continue
            part = sound.samples[sound.at : sound.at + len(out) - filled]
            if sound.is_stopping:
                fade = self._fade[: len(part)]
                part = np.rint(part[: len(fade)] * fade).astype(np.int16)
            into = out[filled : filled + len(part)]
            np.clip(np.add(into, part, dtype=np.int32), -32768, 32767, out=into, casting="unsafe")
            sound.at += len(part)
            filled += len(part)
            if sound.is_stopping or sound.at >= len(sound.samples):
                self._sounds.popleft()
                self._ending.append((self.position + filled, sound))
