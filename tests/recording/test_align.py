"""Two streams side by side: to the sample without drift, to milliseconds with it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.measure import find

from retell_voice.recording.align import LOOKS, Pairing, pause

RATE = 8000


def voice(seconds: float, rate: int = RATE, seed: int = 1) -> np.ndarray:
    """Return noise of a voice's bandwidth, which fits itself at one place only."""
    count = round(seconds * rate)
    noise = np.random.default_rng(seed).normal(0, 1, count)
    spectrum = np.fft.rfft(noise)
    spectrum[np.fft.rfftfreq(count, 1 / rate) > 3000] = 0
    wave = np.fft.irfft(spectrum, count)
    return np.rint(wave / np.max(np.abs(wave)) * 20000).astype(np.int16)


@settings(deadline=None, max_examples=50)
@given(st.lists(st.integers(0, 500), min_size=LOOKS + 1, max_size=60), st.integers(-800, 800))
def test_without_drift_no_sample_is_lost_doubled_or_moved(sizes: list[int], ahead: int) -> None:
    """Whatever the chunking, and whichever side began first."""
    pairing = Pairing(RATE, RATE, RATE)
    said = np.arange(1, sum(sizes) + 1601).astype(np.int16)
    # Sample k of `near` was spoken when sample k - ahead of `far` was heard.
    near, far = said[max(0, -ahead) :], said[max(0, ahead) :]
    frames, at = [], 0
    for size in sizes:
        pairing.push(near[at : at + size], far[at : at + size])
        at += size
        pairing.look((at + ahead) / RATE, at / RATE)
        frames.append(pairing.pull())
    frames.append(pairing.pull(last=True))
    stereo = np.concatenate(frames)
    left, right = stereo.T
    assert np.array_equal(left[left != 0], near[:at])
    assert np.array_equal(right[right != 0], far[:at])
    both = (left != 0) & (right != 0)
    assert np.array_equal(left[both], right[both])


@pytest.mark.parametrize("ppm", [-300, -50, 50, 300])
def test_drift_is_stretched_away(ppm: int) -> None:
    seconds, block = 120.0, 80
    pairing = Pairing(RATE, RATE, RATE)
    heard = voice(seconds)
    # The microphone's clock is off: it takes more samples, or fewer, of the same time.
    ratio = 1 + ppm / 1e6
    count = int(len(heard) * ratio)
    spoken = np.interp(np.arange(count) / ratio, np.arange(len(heard)), heard).astype(np.int16)
    frames, near_at, far_at = [], 0, 0
    now = 0.0
    for looks in range(int(seconds * 10)):
        now += pause(looks)
        # Devices work in blocks: what is known of them is up to a block behind.
        near_to = int(now * RATE * ratio) // block * block
        far_to = int(now * RATE) // block * block
        pairing.push(spoken[near_at:near_to], heard[far_at:far_to])
        near_at, far_at = near_to, far_to
        pairing.look(near_at / RATE, far_at / RATE)
        frames.append(pairing.pull())
    left, right = np.concatenate(frames).astype(float).T
    worst = 0
    for at in range(5 * RATE, len(left) - 2 * RATE, 5 * RATE):
        part = left[at : at + RATE]
        around = right[at - 400 : at + RATE + 400]
        worst = max(worst, abs(find(part, around) - 400))
    assert worst <= 0.005 * RATE


@pytest.mark.parametrize("side", [0, 1])
def test_a_device_that_stood_still_is_filled_with_silence(side: int) -> None:
    pairing = Pairing(RATE, RATE, RATE)
    passed = [0, 0]
    frames = []
    for tick in range(100):
        blocks = [0 if each == side and 40 <= tick < 45 else 800 for each in (0, 1)]
        passed = [a + b for a, b in zip(passed, blocks, strict=True)]
        pairing.push(np.full(blocks[0], 5, np.int16), np.full(blocks[1], 7, np.int16))
        pairing.look(passed[0] / RATE, passed[1] / RATE)
        frames.append(pairing.pull())
    stereo = np.concatenate(frames)
    silent = np.flatnonzero(stereo[:, side] == 0)
    assert len(silent) == RATE // 2
    assert 35 * 800 <= silent[0] < silent[-1] < 60 * 800
    assert np.all(stereo[:, 1 - side] != 0)


def test_the_end_is_padded_and_a_short_call_is_kept() -> None:
    pairing = Pairing(RATE, RATE, RATE)
    pairing.push(np.full(100, 5, np.int16), np.full(160, 7, np.int16))
    frames = pairing.pull()
    assert frames.shape == (0, 2)
    frames = pairing.pull(last=True)
    assert frames.shape == (160, 2)
    assert frames[99].tolist() == [5, 7]
    assert frames[100].tolist() == [0, 7]


@pytest.mark.parametrize(("near", "far"), [(48000, 8000), (8000, 44100), (16000, 48000)])
def test_rates_and_the_filters_delay(near: int, far: int) -> None:
    """A click of both sides at the same time stays at the same time."""
    pairing = Pairing(near, far, 24000)
    said = {rate: np.zeros(rate, np.int16) for rate in (near, far)}
    for rate, samples in said.items():
        samples[rate // 2 : rate // 2 + rate // 1000] = 20000
    for _ in range(LOOKS):
        pairing.look(0.0, 0.0)
    pairing.push(said[near], said[far])
    left, right = np.abs(pairing.pull(last=True).astype(float)).T
    middle = [np.sum(side * np.arange(len(side))) / np.sum(side) / 24000 for side in (left, right)]
    assert middle == [pytest.approx(0.5005, abs=0.0002)] * 2
