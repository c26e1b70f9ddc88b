"""Echo control in its seat: fed with what was played at the time, whatever the devices' rates."""

from functools import partial

import numpy as np
import pytest
from support.rooms import Room, microphone

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.streams.echo_stage import EchoStage
from retell_voice.devices.streams.reference import FarReference
from retell_voice.echo.choice import Method, open_control
from retell_voice.echo.ports import EchoMeasures, EchoState

NOON = 12 * 3600.0


class Keeps:
    """An ``EchoControl`` that keeps what it gets and changes nothing."""

    name, delay, gain = "keeps", 0.0, 0.0

    def __init__(self) -> None:
        self.near: list[Samples] = []
        self.far: list[Samples] = []
        self.resets = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        self.near.append(near)
        self.far.append(far)
        return near

    def reset(self) -> None:
        self.resets += 1

    def measures(self) -> EchoMeasures:
        return EchoMeasures(activity=len(self.near) / 100)


def speech_like(seconds: float, rate: int) -> Samples:
    """Return noise in syllables of 0.2 s."""
    random = np.random.default_rng(3)
    loudness = np.repeat(random.uniform(0.0, 1.0, round(seconds * 5)) ** 2, rate // 5)
    return np.rint(random.normal(0, 6000, len(loudness)) * loudness).astype(np.int16)


def play(
    stage: EchoStage,
    reference: FarReference,
    far: Samples,
    near: Samples,
    near_rate: int,
    *,
    jitter: float = 0.002,
) -> Samples:
    """Play and hear, in blocks of 10 ms and with the latencies of a sound server."""
    random = np.random.default_rng(5)
    out, size, far_size = [], near_rate // 100, reference.rate // 100
    for number in range(len(near) // size):
        now = NOON + number / 100
        # Filled 80 ms before it is heard.
        played = far[number * far_size : (number + 1) * far_size]
        reference.write_rt(played, now + 0.08 + random.uniform(-jitter, jitter))
        # The microphone's block came 20 ms after its first sample.
        if number >= 2:
            block = near[(number - 2) * size : (number - 1) * size]
            out.append(stage(block, now - 0.02 + random.uniform(-jitter, jitter)))
    return np.concatenate(out)


@pytest.mark.parametrize(("far_rate", "near_rate"), [(24000, 16000), (16000, 24000)])
def test_echo_of_a_speaker_at_another_rate_is_taken_out(far_rate: int, near_rate: int) -> None:
    far = speech_like(6.0, far_rate)
    control = open_control(Method.WEBRTC, near_rate)
    assert control is not None
    reference = FarReference(far_rate)
    stage = EchoStage(control, reference, near_rate)
    # What is filled at a moment is heard 80 ms later.
    heard = np.concatenate(
        (np.zeros(near_rate * 8 // 100), resample_whole(far, far_rate, near_rate))
    )
    room = Room(delay=0.005)
    near = microphone(room.echo(heard[: 6 * near_rate].astype(np.int16), near_rate))
    done = play(stage, reference, far, near, near_rate)
    late = slice(-2 * near_rate, None)
    erle = 10 * np.log10(np.mean(near[late].astype(float) ** 2) / np.mean(done[late] ** 2.0))
    assert erle > 25
    measures = stage.measures()
    assert measures.state is EchoState.CONVERGED
    assert measures.erle is not None
    assert measures.erle > 20
    assert measures.cost is not None


@pytest.mark.parametrize(("far_rate", "near_rate"), [(24000, 16000), (16000, 16000)])
def test_no_echo_comes_before_what_was_played(far_rate: int, near_rate: int) -> None:
    """With no room at all between speaker and microphone, and times that jitter."""
    far = speech_like(3.0, far_rate)
    near = np.concatenate(
        (np.zeros(near_rate * 8 // 100), resample_whole(far, far_rate, near_rate))
    )
    control, reference = Keeps(), FarReference(far_rate)
    stage = EchoStage(control, reference, near_rate)
    play(stage, reference, far, near.astype(np.int16), near_rate, jitter=0.004)
    heard, given = (np.concatenate(each).astype(float) for each in (control.near, control.far))
    lags = range(-near_rate // 20, near_rate // 10)
    part = slice(near_rate, 2 * near_rate)
    likeness = [float(heard[part] @ given[part.start - lag : part.stop - lag]) for lag in lags]
    late = lags[int(np.argmax(likeness))] / near_rate
    assert 0.03 < late < 0.05


@pytest.mark.parametrize("may_rest", [True, False])
def test_it_rests_where_nothing_is_played_unless_a_call_is_up(may_rest: bool) -> None:
    rate = 16000
    sound, silence = np.full(rate, 100, np.int16), np.zeros(3 * rate, np.int16)
    far = np.concatenate((sound, silence, sound))
    near = np.arange(len(far), dtype=np.int16)
    control, reference = Keeps(), FarReference(rate)
    stage = EchoStage(control, reference, rate, lambda: may_rest)
    heard = play(stage, reference, far, near, rate)
    assert np.array_equal(heard, near[: len(heard)]), "nothing is lost on the way in or out"
    rested = (len(heard) - sum(map(len, control.near))) / rate
    assert rested == pytest.approx(2.0 if may_rest else 0.0, abs=0.03)
    assert np.count_nonzero(np.concatenate(control.far)) >= 2 * rate * 0.9, "no sound is missed"


def test_what_it_knows_of_the_room_outlasts_a_rest() -> None:
    rate = 16000
    far = np.concatenate((speech_like(6.0, rate), np.zeros(4 * rate, np.int16)))
    far = np.concatenate((far, speech_like(2.0, rate)))
    heard = np.concatenate((np.zeros(rate * 8 // 100, np.int16), far))[: len(far)]
    near = microphone(Room(delay=0.005).echo(heard, rate))
    left = []
    for may_rest in (True, False):
        control, reference = open_control(Method.WEBRTC, rate), FarReference(rate)
        assert control is not None
        stage = EchoStage(control, reference, rate, partial(bool, may_rest))
        done = play(stage, reference, far, near, rate).astype(float)
        left.append(float(np.sqrt(np.mean(done[round(10.1 * rate) :] ** 2))))
    rested, awake = left
    assert rested < 1.5 * awake + 5


@pytest.mark.parametrize("hole", [0.05, 1.0, 3600.0])
def test_after_a_hole_of_any_length_both_are_in_step_again(hole: float) -> None:
    """A program that is stopped for an hour has missed an hour of both."""
    rate = 16000
    control, reference = Keeps(), FarReference(rate)
    stage = EchoStage(control, reference, rate)
    for number in range(300):
        now = NOON + number / 100 + (hole if number >= 150 else 0.0)
        block = np.arange(number * 160, (number + 1) * 160).astype(np.int16)
        reference.write_rt(block, now + 0.08)
        stage(block, now + 0.03)
    far = [int(np.median(each)) for each in control.far]
    assert (far[-1] - far[140]) % 65536 == pytest.approx(160 * (299 - 140), abs=5)
    assert len(far) <= 330, "of a long hole, only what a room still holds is processed"


def test_a_reset_takes_place_on_the_thread_that_works_before_its_next_block() -> None:
    control, reference = Keeps(), FarReference(16000)
    stage = EchoStage(control, reference, 16000)
    stage(np.ones(200, np.int16), NOON)
    stage.reset()
    assert control.resets == 0
    assert len(stage(np.ones(120, np.int16), NOON)) == 0  # what waited for its block is gone
    assert control.resets == 1
    assert len(stage(np.ones(40, np.int16), NOON)) == 160
    assert control.resets == 1


def test_measures_are_taken_on_the_thread_that_works() -> None:
    control = Keeps()
    stage = EchoStage(control, FarReference(16000), 16000)
    assert stage.measures().cost is None
    for _ in range(10):
        stage(np.ones(160, np.int16), NOON)
    control.near.clear()
    assert stage.measures().activity == 0.1
    assert stage.measures().cost is not None
