"""An agent that hears itself is noticed, whatever the rates and however far apart the sides are."""

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.devices.streams.near_end import CallFrames, NearEnd
from retell_voice.devices.streams.output import Output, Sound
from retell_voice.devices.streams.own_voice import OwnVoice

SECONDS = 14


def syllables(rate: int, seed: int) -> Samples:
    """Return noise that is as loud as speech is, in syllables of 0.2 s."""
    random = np.random.default_rng(seed)
    loudness = np.repeat(random.uniform(0.0, 1.0, SECONDS * 5) ** 3, rate // 5)
    return np.rint(random.normal(0, 8000, len(loudness)) * loudness).astype(np.int16)


class Both:
    """Near end and output of one call, and what compares them."""

    def __init__(self, near_rate: int, far_rate: int) -> None:
        self.near_end = NearEnd(near_rate, lambda _: None, can_block=True)
        self.near_end.connect(
            CallFrames(AudioFormat(rate=near_rate), near_rate, 20, lambda _: None)
        )
        self.output = Output(far_rate)
        self.output.play(Sound(syllables(far_rate, 1), lambda: None))
        self.own_voice = OwnVoice(self.near_end, self.output)
        self.found: list[float] = []

    def run(self, heard: Samples, *, clears: tuple[float, ...] = (), far_first: int = 3) -> None:
        """Play, and let the microphone hear this; the speaker pulls some blocks ahead."""
        near_size, far_size = self.near_end.rate // 100, self.output.rate // 100
        out = np.zeros(far_size, np.int16)
        for _ in range(far_first):
            self.output.fill_rt(out)
        for number in range(len(heard) // near_size):
            self.output.fill_rt(out)
            self.near_end.write_rt(heard[number * near_size : (number + 1) * near_size])
            if number / 100 in clears:
                self.own_voice.cleared()
            if number % 20 == 0 and self.own_voice.look():
                self.found.append(number / 100)


def late(samples: Samples, seconds: float, rate: int) -> Samples:
    return np.concatenate((np.zeros(round(seconds * rate), np.int16), samples))[: len(samples)]


@pytest.mark.parametrize(("near_rate", "far_rate"), [(16000, 24000), (24000, 16000), (44100, 8000)])
def test_a_server_that_clears_at_its_own_voice_is_noticed_once(
    near_rate: int, far_rate: int
) -> None:
    both = Both(near_rate, far_rate)
    echo = late(syllables(near_rate, 1) // 2, 0.1, near_rate)
    # The same syllables at another rate: only their loudness is alike, as behind a loudspeaker.
    both.run(echo, clears=(3.0, 4.0, 6.0, 8.0))
    assert len(both.found) == 1
    assert 4.0 <= both.found[0] <= 4.2


def test_a_user_who_interrupts_is_not_taken_for_the_agent() -> None:
    both = Both(16000, 24000)
    both.run(syllables(16000, 2), clears=(3.0, 4.0, 6.0, 8.0))
    assert both.found == []


def test_a_side_that_stood_still_is_aligned_again() -> None:
    both = Both(16000, 16000)
    out = np.zeros(160, np.int16)
    for _ in range(100):  # a second of the far end without a near end
        both.output.fill_rt(out)
    both.own_voice.look()
    echo = syllables(16000, 1)[16000:]
    both.run(late(echo, 0.1, 16000), clears=(4.0, 5.0, 6.0))
    assert len(both.found) == 1


def test_once_stopped_nobody_listens() -> None:
    both = Both(16000, 16000)
    both.own_voice.stop()
    both.own_voice.stop()
    both.run(syllables(16000, 1), clears=(3.0, 4.0, 5.0))
    assert both.found == []
