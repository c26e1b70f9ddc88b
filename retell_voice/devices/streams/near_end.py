"""The microphone's way to the event loop; see ``bridge``."""

from __future__ import annotations

import threading

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.framing import Framer
from retell_voice.audio.levels import dbfs, peak
from retell_voice.audio.resample import Resampler
from retell_voice.devices.streams.far_end import Post
from retell_voice.devices.streams.ring import Ring
from retell_voice.devices.streams.tap import Tap
from retell_voice.events import InputFinished

_RING_SECONDS = 1.0
_LOOK_SECONDS = 0.1
"""The thread wakes when a frame is complete, and this often when none is: levels, the end."""
_STOP_SECONDS = 1.0
_SPEECH = 200
"""A peak of −44 dBFS: a room is quieter, a voice is louder."""


class NearEnd:
    """Takes the microphone's samples and posts encoded frames of the wire.

    What the capture thread has not taken within a second is lost, the oldest first, and
    counted.

    Args:
        audio: encoding and rate of the call.
        rate: the microphone's samples a second.
        frame_ms: length of a frame, 20–250 ms.
        post: takes the frames.
        can_block: the microphone's thread may take the time to resample and to encode; then there
            is no capture thread and no ring.

    Raises:
        AudioFormatError: the frame length is out of range.
    """

    def __init__(
        self, audio: AudioFormat, rate: int, frame_ms: int, post: Post, *, can_block: bool = False
    ) -> None:
        self.muted = False
        """Sends silence instead of what the microphone hears."""
        self.fault: Exception | None = None
        """What went wrong on one of the threads, if anything ever did: a defect."""
        self.sounds = 0
        """Times that something else than digital zeros was heard, muted or not."""
        self.position = 0
        """Samples that the device has delivered."""
        self.attentive = False
        """Whether it is to tell speech from silence, see ``quiet``."""
        self.tap: Tap | None = None
        """Gets what is sent, at the microphone's rate, if somebody listens in."""
        self._device_xruns = self._ring_xruns = 0  # the callback's and the thread's
        self._resampler = Resampler(rate, audio.rate)
        self._framer = Framer(audio, frame_ms)
        self._post = post
        self._rate = rate
        self._peak = 0
        self._metering = False
        self._loud_at = 0  # as position
        self._can_block = can_block
        if can_block:
            return
        self._size = round(_RING_SECONDS * rate)
        self._ring = Ring(self._size)
        self._due = self._resampler.needed(self._framer.missing)  # completes the next frame
        self._finished = False
        self._stopping = False
        self._wake = threading.Lock()  # locked: nothing due since the thread last looked
        self._wake.acquire()
        self._thread = threading.Thread(target=self._run, name="retell-voice capture", daemon=True)

    @property
    def xruns(self) -> int:
        """Times the device or the ring lost audio."""
        return self._device_xruns + self._ring_xruns

    def start(self) -> None:
        """Start the capture thread, where there is one."""
        if not self._can_block:
            self._thread.start()

    def stop(self) -> None:
        """Stop the capture thread; the device has stopped by now and writes no more."""
        if self._can_block:
            return
        self._stopping = True
        if self._thread.is_alive():
            if self._wake.locked():
                self._wake.release()
            self._thread.join(_STOP_SECONDS)

    @property
    def quiet(self) -> float:
        """Seconds for which nobody has spoken, as far as it was attentive."""
        return (self.position - self._loud_at) / self._rate

    def level(self) -> float:
        """Return the peak level sent since the last call, dBFS; the first begins to meter."""
        self._metering = True
        magnitude, self._peak = self._peak, 0
        return dbfs(magnitude)

    def write_rt(
        self,
        samples: Samples,
        delay: float = 0.0,  # noqa: ARG002 - as the port has it
        xrun: bool = False,
    ) -> None:
        """Runs on: audio callback thread. Take samples, shape (n,)."""
        try:
            if xrun:
                self._device_xruns += 1
            if self._can_block:
                self._take(samples, self.position + len(samples))
                self.position += len(samples)
                return
            self._ring.write_rt(samples)
            self.position = self._ring.written
            # No other thread releases this lock now, so one that is locked here stays locked.
            if self.position >= self._due and self._wake.locked():
                self._wake.release()
        except Exception as error:
            self.fault = error

    def finished(self) -> None:
        """Say that nothing more will come from the device that writes now."""
        if self._can_block:
            self._post(InputFinished())
        else:
            self._finished = True

    def _run(self) -> None:
        try:
            self._capture()
        except Exception as error:
            self.fault = error

    def _capture(self) -> None:
        read = 0
        while not self._stopping:
            # What comes after this look and is due releases the lock.
            if self.position < self._due:
                self._wake.acquire(timeout=_LOOK_SECONDS)
            finished = self._finished  # looked at before the ring: its last audio goes first
            if self._ring.written - read > self._size:
                self._ring_xruns += 1
            samples, read = self._ring.read(read)
            self._take(samples, read)
            self._due = read + self._resampler.needed(self._framer.missing)
            if finished:
                self._finished = False
                self._post(InputFinished())

    def _take(self, samples: Samples, position: int) -> None:
        """Post the frames that become complete with the samples up to a position.

        Runs on: capture thread, or a can_block one.
        """
        if np.count_nonzero(samples):
            self.sounds += 1
            if self.attentive and peak(samples) > _SPEECH:
                self._loud_at = position
            if self.muted:
                samples = np.zeros_like(samples)
            elif self._metering:
                self._peak = max(self._peak, peak(samples))
        if self.tap is not None:
            self.tap.write_rt(samples, position)
        for frame in self._framer.push(self._resampler.process(samples)):
            self._post(frame)
