"""Where the threads of audio and the event loop meet.

::

    microphone ─▶ CaptureBridge.write_rt ─▶ ring ─▶ capture thread ─▶ post(frame) ─▶ event loop
    speaker    ◀─ PlayoutBridge.fill_rt  ◀─ turn (queue) ◀─ push, clear ◀─ event loop
                        └─▶ reports ─▶ poll ─▶ event loop

Single values and deques cross without locks: each has one thread that writes and one that
reads, and CPython makes each of those operations atomic. A *turn* is one generation of agent
audio: ``clear`` puts a new one in place with one assignment, which the next callback sees
before anything else, however much of the old turn is still queued.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.framing import Framer
from retell_voice.audio.levels import dbfs, peak
from retell_voice.audio.playout import DEFAULT_TARGET, Playout, Report
from retell_voice.audio.resample import Resampler
from retell_voice.errors import DeviceLost
from retell_voice.events import Event, InputFinished

_RING_SECONDS = 1.0
_READY_SECONDS = 1.0
"""Audio the callback takes over in advance: more would only make a ``clear`` dearer."""
_TEXTS_ALONE = 1000
"""Texts without audio that a turn may hold."""
_STOP_SECONDS = 1.0


Post = Callable[[bytes | Event | DeviceLost], None]
"""Hands a frame, an event without its time, or the end of a device to the event loop; called on
any thread, never blocks."""


class _Ring:
    """The last samples of a stream; one thread writes, another reads.

    A reader gets at most the last ``size``: what it missed before that is lost. The ring is
    twice as long, so that the writer does not overtake a reader in the middle of a copy.
    """

    def __init__(self, size: int) -> None:
        self.written = 0
        self._size = size
        self._samples = np.zeros(2 * size, np.int16)

    def write_rt(self, samples: Samples) -> None:
        """Runs on: audio callback thread. Append samples, shape (n,)."""
        size = len(self._samples)
        written = self.written + len(samples)
        samples = samples[-size:]
        start = (written - len(samples)) % size
        first = min(len(samples), size - start)
        self._samples[start : start + first] = samples[:first]
        self._samples[: len(samples) - first] = samples[first:]
        self.written = written

    def read(self, since: int) -> tuple[Samples, int]:
        """Return a copy of what came after position ``since``, and the position it ends at."""
        size, written = len(self._samples), self.written
        start, stop = max(since, written - self._size) % size, written % size
        if written == since:
            return self._samples[:0], written
        if start < stop:
            return self._samples[start:stop].copy(), written
        return np.concatenate((self._samples[start:], self._samples[:stop])), written


class CaptureBridge:
    """Takes the microphone's samples and posts encoded frames of the wire.

    What the capture thread has not taken within a second is lost, the oldest first, and
    counted.

    Args:
        audio: encoding and rate of the call.
        rate: the microphone's samples a second.
        frame_ms: length of a frame, 20–250 ms.
        post: takes the frames.

    Raises:
        AudioFormatError: the frame length is out of range.
    """

    def __init__(self, audio: AudioFormat, rate: int, frame_ms: int, post: Post) -> None:
        self.muted = False
        """Sends silence instead of what the microphone hears."""
        self.fault: Exception | None = None
        """What went wrong on one of the threads, if anything ever did: a defect."""
        self.sounds = 0
        """Times that something else than digital zeros was heard, muted or not."""
        self._device_xruns = self._ring_xruns = 0  # the callback's and the thread's
        self._size = round(_RING_SECONDS * rate)
        self._ring = _Ring(self._size)
        self._resampler = Resampler(rate, audio.rate)
        self._framer = Framer(audio, frame_ms)
        self._post = post
        self._peak = 0
        self._finished = False
        self._stopping = False
        self._wake = threading.Lock()  # locked: nothing new since the thread last looked
        self._wake.acquire()
        self._thread = threading.Thread(target=self._run, name="retell-voice capture", daemon=True)

    @property
    def xruns(self) -> int:
        """Times the device or the ring lost audio."""
        return self._device_xruns + self._ring_xruns

    @property
    def position(self) -> int:
        """Samples that the device has delivered."""
        return self._ring.written

    def start(self) -> None:
        """Start the capture thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop the capture thread; the device has stopped by now and writes no more."""
        self._stopping = True
        if self._thread.is_alive():
            if self._wake.locked():
                self._wake.release()
            self._thread.join(_STOP_SECONDS)

    def level(self) -> float:
        """Return the peak level sent since the last call, dBFS."""
        magnitude, self._peak = self._peak, 0
        return dbfs(magnitude)

    def write_rt(self, samples: Samples, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Take samples, shape (n,)."""
        try:
            self._ring.write_rt(samples)
            if xrun:
                self._device_xruns += 1
            # No other thread releases this lock now, so one that is locked here stays locked.
            if self._wake.locked():
                self._wake.release()
        except Exception as error:
            self.fault = error

    def finished(self) -> None:
        """Say that nothing more will come."""
        self._finished = True

    def _run(self) -> None:
        try:
            self._capture()
        except Exception as error:
            self.fault = error

    def _capture(self) -> None:
        read = 0
        told = False
        while not self._stopping:
            self._wake.acquire(timeout=0.1)
            finished = self._finished  # looked at before the ring: its last audio goes first
            if self._ring.written - read > self._size:
                self._ring_xruns += 1
            samples, read = self._ring.read(read)
            self.sounds += bool(samples.any())
            if self.muted:
                samples = np.zeros_like(samples)
            self._peak = max(self._peak, peak(samples))
            for frame in self._framer.push(self._resampler.process(samples)):
                self._post(frame)
            if finished and not told:
                told = True
                self._post(InputFinished())


class _Turn:
    """One generation of agent audio on its way to the callback."""

    def __init__(self, pushed_before: int) -> None:
        self.queue: deque[tuple[Samples, str | None]] = deque()
        self.pushed_before = pushed_before
        self.texts = 0
        self.finishing = False


class PlayoutBridge:
    """Takes agent audio on the event loop and gives the speaker what to play.

    Args:
        audio: encoding and rate of the call.
        rate: the speaker's samples a second.
        limit: seconds of audio that may be queued; what is over is dropped, the newest first.
        target: (lowest, highest) depth of the jitter buffer, seconds.
    """

    def __init__(
        self,
        audio: AudioFormat,
        rate: int,
        limit: float,
        target: tuple[float, float] = DEFAULT_TARGET,
    ) -> None:
        self.rate = rate
        self.xruns = 0
        """Times the device ran out of samples."""
        self.fault: Exception | None = None
        """What went wrong in the callback, if anything ever did: a defect."""
        self.playout = Playout(rate, target)
        """The jitter buffer. Read its counters; its audio belongs to the callback."""
        self._audio = audio
        self._resampler = Resampler(audio.rate, rate)
        self._limit = round(limit * rate)
        self._pushed = 0  # samples, all turns
        self._turn = self._current = _Turn(0)  # the event loop's and the callback's
        self._retired: deque[_Turn] = deque()
        self._ready = round(_READY_SECONDS * rate)
        self._lag = 0  # samples between what was pulled last and what is heard now
        self._played = _Ring(rate)
        self._metered = 0

    # Event loop

    def push(self, data: bytes, text: str | None = None) -> float:
        """Queue encoded agent audio; return the seconds of it that had to be dropped."""
        return self._push(self._resampler.process(self._audio.decode(data)), text)

    def clear(self) -> None:
        """Make everything queued so far inaudible from the next block on."""
        self._resampler.reset()
        self._turn = _Turn(self._pushed)

    def finish(self) -> None:
        """Say that no more audio will come: what is left plays without waiting for more."""
        self._push(self._resampler.flush(), None)
        self._turn.finishing = True

    @property
    def depth(self) -> float:
        """Seconds of agent audio queued and not yet played."""
        return self._queued / self.rate

    @property
    def silent(self) -> bool:
        """True when all that was pushed has been heard, to the last sample, and reported."""
        playout = self.playout
        # By the books, which change when a block has been played: between queue and playout a
        # sample is nowhere to be seen.
        played = self._pushed == playout.heard + playout.discarded
        return played and playout.silent and not playout.reports

    def poll(self) -> list[tuple[Report, float]]:
        """Return the reports that have become audible, and how many seconds ago each did."""
        self._retired.clear()
        audible = self.playout.position - self._lag
        reports = self.playout.reports
        heard = []
        while reports and reports[0].position <= audible:
            report = reports.popleft()
            heard.append((report, (audible - report.position) / self.rate))
        return heard

    def level(self) -> float:
        """Return the peak level played since the last call, dBFS."""
        samples, self._metered = self._played.read(self._metered)
        return dbfs(peak(samples))

    @property
    def _queued(self) -> int:
        # What a clear throws away is gone, whether or not the callback has seen the clear yet.
        done = self.playout.heard + self.playout.discarded
        return self._pushed - max(done, self._turn.pushed_before)

    def _push(self, samples: Samples, text: str | None) -> float:
        taken = samples[: max(0, self._limit - self._queued)]
        if text and not len(taken):  # text alone goes with the audio that follows
            self._turn.texts += 1
        if len(taken) or (text and self._turn.texts <= _TEXTS_ALONE):
            self._pushed += len(taken)
            self._turn.queue.append((taken, text))
        return (len(samples) - len(taken)) / self.rate

    # Audio callback

    def fill_rt(self, out: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Fill ``out``, shape (n,)."""
        try:
            self._fill_rt(out)
            self._lag = len(out) + round(delay * self.rate)
        except Exception as error:
            out[:] = 0
            self.fault = error
        if xrun:
            self.xruns += 1

    def _fill_rt(self, out: Samples) -> None:
        """Runs on: audio callback thread."""
        playout, turn = self.playout, self._turn
        if turn is not self._current:
            self._retired.append(self._current)  # may be large: freed on the event loop
            self._current = turn
            playout.clear(turn.pushed_before - playout.heard - playout.discarded - playout.depth)
        while turn.queue and playout.depth < self._ready:
            playout.push(*turn.queue.popleft())
        playout.finishing = turn.finishing and not turn.queue
        playout.pull(out)
        self._played.write_rt(out)
