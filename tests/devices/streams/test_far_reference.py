"""What was played can be read in step with what the microphone hears."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.devices.streams.reference import FarReference, ReferenceReader

RATE = 8000
BLOCK = 80
SECONDS = 150


def sine(count: int, rate: int, frequency: float = 300.0) -> np.ndarray:
    return np.rint(8000 * np.sin(2 * np.pi * frequency * np.arange(count) / rate)).astype(np.int16)


def test_before_anything_was_played_it_is_silence() -> None:
    reader = ReferenceReader(FarReference(RATE), RATE)
    assert reader.read(80, 5.0).tolist() == [0] * 80


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 2**32 - 1), st.floats(0.0, 0.004))
def test_times_that_jitter_make_no_step_but_of_a_sample(seed: int, jitter: float) -> None:
    """A block of the far end is heard at t; a microphone hears it then, and finds it again."""
    random = np.random.default_rng(seed)
    played = np.arange(1, RATE + 1).astype(np.int16)
    reference, found = FarReference(RATE), []
    reader = ReferenceReader(reference, RATE)
    for number in range(100):
        at = 100.0 + number * BLOCK / RATE
        block = played[number * BLOCK : (number + 1) * BLOCK]
        reference.write_rt(block, at + random.uniform(-jitter, jitter))
        if number >= 2:  # what the microphone hears now was played 20 ms ago
            found.append(reader.read(BLOCK, at - 0.02 + random.uniform(-jitter, jitter)))
    read = np.concatenate(found).astype(int)
    steps = np.diff(read[read > 0])
    assert np.isin(steps, (0, 1, 2)).all()
    assert np.count_nonzero(steps != 1) <= 2  # towards the mean of the times
    off = read[-1] - played[98 * BLOCK - 1]
    assert abs(off) <= 2 * jitter * RATE + 1
    assert reader.jumps == 0


@pytest.mark.parametrize(("far", "near"), [(24000, 16000), (8000, 48000), (44100, 24000)])
def test_another_rate_is_resampled_and_stays_in_step(far: int, near: int) -> None:
    reference = FarReference(far)
    reader = ReferenceReader(reference, near)
    played, wanted = sine(far, far), sine(near, near)
    found = []
    size, read = far // 100, near // 100
    for number in range(100):
        reference.write_rt(played[number * size : (number + 1) * size], 10.0 + number / 100)
        if number >= 2:
            found.append(reader.read(read, 10.0 + (number - 2) / 100))
    got = np.concatenate(found)[near // 10 :].astype(int)
    expected = wanted[near // 10 : near // 10 + len(got)].astype(int)
    assert np.abs(got - expected).max() < 200


@pytest.mark.parametrize("late", [0.05, -0.05])
def test_when_the_times_really_move_it_follows(late: float) -> None:
    """The device was opened again: it plays later from there on, or sooner."""
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    played = np.arange(1, 3 * RATE + 1).astype(np.int16)
    for number in range(300):
        at = 10.0 + number * BLOCK / RATE
        moved = late if number >= 100 else 0.0
        reference.write_rt(played[number * BLOCK : (number + 1) * BLOCK], at + moved)
        got = reader.read(BLOCK, at - 0.06)
    assert got[0] == pytest.approx(played[299 * BLOCK] - 0.06 * RATE - late * RATE, abs=2)


@pytest.mark.parametrize("drift", [200e-6, -200e-6])
@pytest.mark.parametrize("jitter", [0.0, 0.003])
def test_where_clocks_drift_it_follows_by_single_samples(drift: float, jitter: float) -> None:
    random = np.random.default_rng(3)
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    played = (np.arange(SECONDS * RATE) % 30011).astype(np.int16)
    found = []
    for number in range(len(played) // BLOCK):
        at = 10.0 + number * BLOCK / RATE
        late = random.uniform(-jitter, jitter)
        reference.write_rt(played[number * BLOCK : (number + 1) * BLOCK], at + late)
        spoken = 10.0 + number * BLOCK / RATE * (1 + drift) - 0.1
        found.append(reader.read(BLOCK, spoken))
    read = np.concatenate(found[20:]).astype(int)
    steps = np.diff(read) % 30011
    assert set(np.unique(steps)) <= {0, 1, 2}
    assert np.count_nonzero(steps != 1) == pytest.approx(SECONDS * 200e-6 * RATE, rel=0.2)
    assert reader.jumps == 0
    wanted = len(played) - BLOCK + (SECONDS * drift - 0.1) * RATE
    assert (wanted - read[-BLOCK] + 15000) % 30011 - 15000 == pytest.approx(0, abs=0.006 * RATE)


@pytest.mark.parametrize(("trusts", "reads"), [(True, 1), (False, 20)])
def test_a_stream_that_begins_anew_is_found_at_once_where_that_is_known(
    trusts: bool, reads: int
) -> None:
    """One of long blocks was given 150 ms ahead of what is heard; the quick one is not."""
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    reference.write_rt(np.zeros(RATE, np.int16), 10.0)
    for number in range(40):
        reader.read(BLOCK, 10.4 + number / 100)
    if trusts:
        reader.trust(1.0)
    late = 0
    for number in range(40):
        at = 10.85 + number / 100
        reference.write_rt(np.full(BLOCK, 7, np.int16), at)
        late += not reader.read(BLOCK, at).all()
    assert late == pytest.approx(reads, abs=2)
    assert reader.jumps == 1


def test_what_a_speaker_misses_is_heard_as_silence() -> None:
    """And so it is in the reference, at once: nothing has to jump for it."""
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    played = np.arange(1, RATE + 1).astype(np.int16)
    found = []
    for number in range(100):
        at = 10.0 + number * BLOCK / RATE + (0.025 if number >= 50 else 0.0)
        reference.write_rt(played[number * BLOCK : (number + 1) * BLOCK], at)
        found.append(reader.read(BLOCK, 10.0 + (number - 6) * BLOCK / RATE))
    read = np.concatenate(found)
    assert reader.jumps == 0
    steps = np.diff(read[np.flatnonzero(read)[0] :].astype(int))
    silence = np.flatnonzero(steps != 1)
    assert np.count_nonzero(read[np.flatnonzero(read)[0] :] == 0) == 0.025 * RATE
    assert len(silence) == 0.025 * RATE + 1


def test_what_was_played_too_long_ago_or_not_yet_is_silence() -> None:
    reference = FarReference(RATE)
    for number in range(300):
        reference.write_rt(np.full(BLOCK, 5, np.int16), 10.0 + number / 100)
    old, new = ReferenceReader(reference, RATE), ReferenceReader(reference, RATE)
    assert not old.read(BLOCK, 10.0).any()
    assert not new.read(BLOCK, 13.3).any()


def test_who_always_looks_too_far_ahead_soon_looks_less_far_and_finds_no_hole() -> None:
    """A speaker without a latency takes 10 ms at a time: 40 ms ahead, there is nothing yet."""
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    played = np.arange(1, RATE + 1).astype(np.int16)
    found = []
    for number in range(100):
        at = 10.0 + number * BLOCK / RATE
        reference.write_rt(played[number * BLOCK : (number + 1) * BLOCK], at)
        if number >= 1:
            found.append(reader.read(BLOCK, at - 0.01 + 0.03))
    read = np.concatenate(found).astype(int)[RATE // 2 :]
    assert np.all(np.diff(read) == 1)
    assert 0 <= RATE - read[-1] <= 0.01 * RATE, "it ends with what was played last"


def test_a_speaker_that_stalls_for_a_moment_changes_nothing() -> None:
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    played = np.arange(1, RATE + 1).astype(np.int16)
    for number in range(90):
        at = 10.0 + number * BLOCK / RATE
        if not 40 <= number < 48:  # 80 ms later it makes up for it, as a buffer allows
            first = 40 if number == 48 else number
            reference.write_rt(played[first * BLOCK : (number + 1) * BLOCK], 10.02 + first / 100)
        got = reader.read(BLOCK, at)
    assert reader.jumps == 0
    assert got[-1] == played[88 * BLOCK - 1]


def test_a_speaker_that_stands_still_is_silent() -> None:
    reference = FarReference(RATE)
    reader = ReferenceReader(reference, RATE)
    reference.write_rt(np.full(RATE // 10, 1000, np.int16), 10.0)
    read = [reader.read(BLOCK, 10.0 + number / 100) for number in range(60)]
    assert read[-1].tolist() == [0] * BLOCK
