"""The near end: one path from the microphone to all consumers.

::

    device ─▶ gate ─▶ write_rt ─▶ Relay ─▶ echo control ─▶ mute ─▶ meter ─▶ taps
                                                                      └─▶ CallFrames: resample,
                                                                          encode, frame ─▶ post
                                    ▲
    speaker ─▶ FarReference ────────┘ what was actually played, with its time

It outlives calls: a call plugs in its ``CallFrames`` and unplugs them again. Everything happens on
the relay's thread, or, if no stage takes more time than a copy (no echo control, and the call has
the microphone's rate), on the microphone's own thread, which saves waking another.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.audio.framing import Framer
from retell_voice.audio.levels import dbfs, peak
from retell_voice.audio.resample import Resampler
from retell_voice.audio.speech_spans import SpeechSpans
from retell_voice.devices.streams.notices import Post
from retell_voice.devices.streams.tap import EVERY, PATIENCE, Tap
from retell_voice.events import InputFinished
from retell_voice.threads.relay import Block, Relay

_SPEECH = 200
"""A peak of −44 dBFS: a room is quieter, a voice is louder."""
_ALONE_SECONDS = 0.1
"""How often the thread wakes where only echo control listens, to keep what it knows of the room."""

Stage = Callable[[Samples, float], Samples]
"""The slot for echo control: takes near-end samples, shape (n,), and when the first was spoken
(seconds of ``time.monotonic``); returns as many or fewer. Runs on the near-end thread."""


class CallFrames:
    """What one call takes from the near end: frames of its own format.

    Args:
        audio: encoding and rate of what is sent.
        rate: the near end's samples a second.
        frame_ms: length of a frame, 20–250 ms.
        post: takes the frames.

    Raises:
        AudioFormatError: the frame length is out of range.
    """

    def __init__(self, audio: AudioFormat, rate: int, frame_ms: int, post: Post) -> None:
        self.is_copy = audio.rate == rate
        """Whether no resampling is needed."""
        self._resampler = Resampler(rate, audio.rate)
        self._framer = Framer(audio, frame_ms)
        self._post = post

    @property
    def needed(self) -> int:
        """Near-end samples that complete the next frame."""
        return self._resampler.needed(self._framer.missing)

    def take(self, samples: Samples) -> None:
        """Post the frames that become complete."""
        for frame in self._framer.push(self._resampler.process(samples)):
            self._post(frame)


class NearEnd:
    """Takes what the microphone hears and passes it on to taps and to the call.

    What its thread has not taken within a second is dropped, the oldest first, counted and
    reported.

    Args:
        rate: the microphone's samples a second.
        post: notified when the input has finished.
        can_block: the microphone's thread may take the time to resample and encode.
    """

    def __init__(self, rate: int, post: Post, *, can_block: bool = False) -> None:
        self.rate = rate
        self.muted = False
        """Passes on silence instead of what the microphone hears."""
        self.sounds = 0
        """Times that anything but digital zeros was heard, muted or not."""
        self.attentive = False
        """Whether to tell speech from silence, see ``quiet``."""
        self.xruns = 0
        """Times the device or the relay lost audio."""
        self.lost = 0
        """Samples that the relay lost."""
        self.speech = SpeechSpans(rate)
        """When somebody spoke while a call was up, seconds of ``time.monotonic``."""
        self._can_block = can_block
        self._is_started = False
        self._choosing = threading.Lock()  # calls and devices change on threads of their own
        self._echo: Stage | None = None
        self._taps: tuple[Tap, ...] = ()
        self._call: CallFrames | None = None
        self._peak = 0
        self._metering = False
        self._loud_at = 0  # as position
        self._relay = Relay(
            "retell-voice near end",
            rate,
            self._take,
            needed=self._needed,
            finished=lambda: post(InputFinished()),
        )

    @property
    def fault(self) -> Exception | None:
        """The exception on one of the threads, if any: a defect."""
        return self._relay.fault

    @property
    def position(self) -> int:
        """Samples that the device has delivered."""
        return self._relay.position

    @property
    def quiet(self) -> float:
        """Seconds for which nobody has spoken, while attentive."""
        return (self.position - self._loud_at) / self.rate

    @property
    def is_patient(self) -> bool:
        """Whether nobody minds blocks of a tenth of a second."""
        hurried = self._call is not None or self._metering
        return not hurried and all(tap.every >= PATIENCE for tap in self._taps)

    def level(self) -> float:
        """Return the peak level passed on since the last call, dBFS; the first starts metering."""
        self._metering = True
        magnitude, self._peak = self._peak, 0
        return dbfs(magnitude)

    # Who listens; on the event loop or any other one thread

    def start(self) -> None:
        """Start; before the microphone is started."""
        self._is_started = True
        self._choose_thread()

    def stop(self) -> None:
        """Stop; the device has stopped by now and writes no more."""
        self._relay.stop()

    def connect(self, call: CallFrames | None) -> None:
        """Connect a call from here on; None: no call is up, and ``level`` starts anew."""
        self._call = call
        if call is None:
            self._metering, self._peak = False, 0
        self._is_started = True
        self._choose_thread()
        self._relay.hurry()

    def use_echo_control(self, stage: Stage | None) -> None:
        """Route everything through this stage first."""
        self._echo = stage
        self._choose_thread()

    def tap(self) -> Tap:
        """Return a tap that hears what is passed on from here on."""
        tap = Tap(self.rate, self._relay.done)
        self._taps = (*self._taps, tap)
        self._relay.hurry()
        return tap

    def untap(self, tap: Tap) -> None:
        """Remove a tap; safe to call twice."""
        self._taps = tuple(each for each in self._taps if each is not tap)

    def _choose_thread(self) -> None:
        with self._choosing:
            is_cheap = self._can_block or self._call is None or self._call.is_copy
            self._relay.inline = is_cheap and self._echo is None
            if self._is_started:
                self._relay.start()

    # The microphone

    def write_rt(self, samples: Samples, delay: float = 0.0, xrun: bool = False) -> None:
        """Runs on: audio callback thread. Take samples, shape (n,); see ``Sink``."""
        self._relay.write_rt(samples, delay, xrun)

    def rest_rt(self, count: int, heard: bool, xrun: bool) -> bool:
        """Runs on: audio callback thread. Count samples, where nobody listens; return whether that
        is so. ``heard``: they are not all zeros."""
        if (
            self._call is not None
            or self._taps
            or self._echo is not None
            or self._metering
            or not self._relay.skip_rt(count)
        ):
            return False
        self.sounds += heard
        self.xruns += xrun
        return True

    def finished(self) -> None:
        """Note that nothing more will come from the current device."""
        self._relay.finish()

    # The near-end thread

    def _needed(self) -> int:
        call = self._call
        if call is None:
            every = min((_ALONE_SECONDS, *(tap.every for tap in self._taps)))
            return round(every * self.rate)
        return call.needed if self._echo is None else min(call.needed, round(EVERY * self.rate))

    def _without_echo(self, stage: Stage, block: Block) -> Samples:
        samples, times = block.samples, block.times
        if self._call is None or len(times) < 2 or times[0][0]:
            return stage(samples, block.spoken_at)
        # In one go, as each wake-up finds the processor's caches cold; but with the time of each,
        # which tells where the microphone has lost sound.
        ends = *(begin for begin, _ in times[1:]), len(samples)
        parts = [
            stage(samples[begin:end], spoken_at)
            for (begin, spoken_at), end in zip(times, ends, strict=True)
        ]
        return np.concatenate(parts)

    def _take(self, block: Block) -> None:
        """Runs on: near-end thread, or the microphone's. Pass a block through all stages."""
        samples = block.samples
        self.xruns += block.xrun + (block.lost > 0)
        self.lost += block.lost
        heard = np.count_nonzero(samples)
        self.sounds += int(heard > 0)  # of the microphone, before any processing
        if (stage := self._echo) is not None:  # it may go meanwhile
            samples = self._without_echo(stage, block)
            heard = np.count_nonzero(samples)
        if heard:
            if self.attentive and peak(samples) > _SPEECH:
                self._loud_at = block.position
            if self.muted:
                samples = np.zeros_like(samples)
            elif self._metering:
                self._peak = max(self._peak, peak(samples))
        for tap in self._taps:
            tap.write_rt(samples, block.position)
        call = self._call
        if call is not None:
            call.take(samples)
            self.speech.listen(samples, block.spoken_at)  # last: nothing waits for it
