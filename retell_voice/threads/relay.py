"""Audio work that a device's own thread has no time for.

::

    device's thread ─▶ write_rt ─▶ ring ─▶ relay thread ─▶ work(samples, …)
                          └───────────────────────────────▶ work(samples, …)    if ``inline``

``inline`` may change while audio flows: a block never overtakes one that was written before it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from time import monotonic
from typing import NamedTuple

from retell_voice.audio.format import Samples
from retell_voice.audio.ring import Ring

_STOP_SECONDS = 1.0
_MOST_TIMES = 512


class Block(NamedTuple):
    """Samples on their way.

    Attributes:
        samples: shape (n,), mono int16.
        position: samples of the stream up to and including these, lost ones included.
        spoken_at: when the first of them was spoken, seconds of ``time.monotonic``.
        lost: samples just before these that the relay dropped because nobody took them in time.
        xrun: the device lost audio before these.
        times: of each block that the device wrote, at most the last 512: where it begins in
            ``samples``, and when that was spoken.
    """

    samples: Samples
    position: int
    spoken_at: float
    lost: int = 0
    xrun: bool = False
    times: tuple[tuple[int, float], ...] = ()


class Relay:
    """Hands blocks of samples to a thread of its own, or works on them where they come in.

    What its thread has not taken within a second is dropped, the oldest first, and counted.

    Args:
        name: of the thread.
        rate: samples a second.
        work: takes a block, on the relay's thread or, ``inline``, on that of the device.
        needed: returns how many samples are worth waking up for, asked after each work.
        finished: called after the last audio once ``finish`` was called.
        seconds: how much audio may wait.
        look: seconds after which the thread wakes when not enough has come.
    """

    def __init__(
        self,
        name: str,
        rate: int,
        work: Callable[[Block], None],
        *,
        needed: Callable[[], int] = lambda: 1,
        finished: Callable[[], None] = lambda: None,
        seconds: float = 1.0,
        look: float = 0.1,
    ) -> None:
        self.inline = False
        """Whether to work on the device's own thread, with no ring or thread in between."""
        self.fault: Exception | None = None
        """The exception that ``work`` raised, if any: a defect."""
        self._name = name
        self._rate = rate
        self._look = look
        self._work = work
        self._needed = needed
        self._finished = finished
        self._ring = Ring(round(seconds * rate))
        self._done = 0  # position up to which everything has been worked on
        self._skipped = 0  # samples that went inline, past the ring
        self._due = 0  # position worth waking up for
        # Where blocks begin that have not been worked on yet, and when that was spoken.
        self._begun: deque[tuple[int, float]] = deque(maxlen=_MOST_TIMES)
        self._anchor = (0, 0.0)  # the last of those that have
        self._xruns = 0
        self._has_finished = self._stopping = False
        self._thread: threading.Thread | None = None
        self._wake = threading.Lock()  # locked: nothing due since the thread last looked
        self._wake.acquire()

    @property
    def position(self) -> int:
        """Samples written so far."""
        return self._ring.written + self._skipped

    @property
    def done(self) -> int:
        """Samples worked on so far."""
        return self._done + self._skipped

    def start(self) -> None:
        """Start the thread, unless it runs or is not needed; again after ``inline`` was unset."""
        if self._thread is None and not self.inline:
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            self._thread.start()

    def hurry(self) -> None:
        """Hand over what has come so far, though it may be less than is needed. Runs on: any
        thread."""
        self._due = 0
        self._ring_bell_rt()

    def stop(self, *, wait: bool = True) -> None:
        """Let the thread end; the device has stopped by now and writes no more."""
        self._stopping = True
        if self._thread is not None and self._thread.is_alive():
            self._ring_bell_rt()
            if wait:
                self._thread.join(_STOP_SECONDS)

    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: the device's thread. Take samples, shape (n,); they are copied.

        ``delay``: seconds since ``samples[0]`` was spoken; 0 where unknown, which means that the
        block has just ended. The one clock that near end and far end have in common is the
        machine's, so it is read here.
        """
        try:
            spoken_at = monotonic() - (delay or len(samples) / self._rate)
            # Only this thread adds to the ring: where all of it is done, the other one idles.
            if self.inline and self._done == self._ring.written:
                self._skipped += len(samples)
                self._work(Block(samples, self.position, spoken_at, 0, xrun, ((0, spoken_at),)))
                return
            self._begun.append((self._ring.written, spoken_at))
            self._xruns += xrun
            self._ring.write_rt(samples)
            if self._ring.written >= self._due:
                self._ring_bell_rt()
        except Exception as error:
            self.fault = error

    def skip_rt(self, count: int) -> bool:
        """Runs on: the device's thread. Count samples that need no work, where none wait for
        theirs; return whether that is so."""
        rests = self.inline and self._done == self._ring.written
        if rests:
            self._skipped += count
        return rests

    def finish(self) -> None:
        """Note that nothing more will come from the current device. Runs on: any thread."""
        if self.inline and self._done == self._ring.written:
            self._finished()
        else:
            self._has_finished = True
            self._ring_bell_rt()

    def _ring_bell_rt(self) -> None:
        # No other thread releases this lock for long, and one too many is no harm.
        if self._wake.locked():
            try:
                self._wake.release()
            except RuntimeError:  # two threads at the same moment
                return

    def _times(self, start: int, end: int) -> tuple[tuple[int, float], ...]:
        """Return the times of the blocks in between, see ``Block``."""
        times, begun = [], self._begun
        while begun and begun[0][0] < end:
            self._anchor = at, spoken_at = begun.popleft()
            if at < start:  # lost, at least its beginning
                times = [(0, spoken_at + (start - at) / self._rate)]
            else:
                times.append((at - start, spoken_at))
        return tuple(times)

    def _run(self) -> None:
        try:
            self._pass_on()
        except Exception as error:
            self.fault = error

    def _pass_on(self) -> None:
        xruns = 0
        ring = self._ring
        while not self._stopping:
            # What comes after this look and is due releases the lock.
            if ring.written < self._due and not self._has_finished:
                # While all work is done inline, whoever writes something due wakes this thread.
                self._wake.acquire(timeout=-1 if self.inline else self._look)
            has_finished = self._has_finished  # before the ring: its last audio goes first
            seen, xruns = xruns, self._xruns
            samples, end = ring.read(self._done)
            start = end - len(samples)
            times = self._times(start, end)
            if len(samples) and not self._stopping:
                known, spoken_at = self._anchor
                at = spoken_at + (start - known) / self._rate
                lost = start - self._done
                self._work(Block(samples, end + self._skipped, at, lost, xruns > seen, times))
            self._done = end
            self._due = end + max(1, self._needed())
            if has_finished:
                self._has_finished = False
                self._finished()
