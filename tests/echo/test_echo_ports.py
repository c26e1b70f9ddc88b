"""Blocks of any size become blocks of 10 ms, both ends in step."""

from itertools import chain, cycle

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import Samples
from retell_voice.echo.ports import Blocks, EchoMeasures, block_samples


class Pairs:
    """Keeps what it is fed and returns their difference."""

    name, delay, gain = "pairs", 0.0, 0.0

    def __init__(self) -> None:
        self.fed: list[tuple[Samples, Samples]] = []
        self.resets = 0

    def process(self, near: Samples, far: Samples) -> Samples:
        self.fed.append((near.copy(), far.copy()))
        return near - far

    def reset(self) -> None:
        self.resets += 1

    def measures(self) -> EchoMeasures:
        return EchoMeasures(erle=30.0)


@pytest.mark.parametrize(
    ("rate", "size"), [(8000, 80), (11025, 110), (22050, 220), (44100, 441), (48000, 480)]
)
def test_a_block_is_a_hundredth_of_a_second(rate: int, size: int) -> None:
    assert block_samples(rate) == size


@pytest.mark.parametrize("rate", [7999, 48001])
def test_other_rates_are_refused(rate: int) -> None:
    with pytest.raises(ValueError, match="outside 8000–48000"):
        block_samples(rate)


@pytest.mark.parametrize("blocks", [1, 2, 5])
def test_whole_blocks_pass_without_delay(blocks: int) -> None:
    control = Pairs()
    feed = Blocks(control, 16000)
    near = np.arange(160 * blocks, dtype=np.int16)
    out = feed.process(near, np.ones_like(near))
    assert np.array_equal(out, near - 1)
    assert len(control.fed) == blocks
    assert feed.held == 0


@given(st.lists(st.integers(0, 700), max_size=30), st.sampled_from([8000, 22050, 24000, 48000]))
def test_every_sample_comes_out_with_its_own_as_soon_as_its_block_is_complete(
    sizes: list[int], rate: int
) -> None:
    control = Pairs()
    feed = Blocks(control, rate)
    near = np.arange(sum(sizes), dtype=np.int16)
    far = near // 2
    out, start = [near[:0]], 0
    for size in sizes:
        out.append(feed.process(near[start : start + size], far[start : start + size]))
        start += size
        done = start // block_samples(rate) * block_samples(rate)
        assert sum(map(len, out)) == done
        assert feed.held == start - done
    whole = np.concatenate(out)
    assert np.array_equal(whole, (near - far)[: len(whole)])
    assert all(len(each) == block_samples(rate) for pair in control.fed for each in pair)


def test_ends_of_different_length_are_refused() -> None:
    with pytest.raises(ValueError, match="10 samples of near end, 9 of far end"):
        Blocks(Pairs(), 16000).process(np.zeros(10, np.int16), np.zeros(9, np.int16))


def test_a_reset_drops_what_waits() -> None:
    control = Pairs()
    feed = Blocks(control, 16000)
    feed.process(np.ones(100, np.int16), np.ones(100, np.int16))
    feed.reset()
    assert (control.resets, feed.held) == (1, 0)
    out = feed.process(np.full(160, 7, np.int16), np.zeros(160, np.int16))
    assert np.array_equal(out, np.full(160, 7))


def test_far_end_whose_near_end_was_lost_passes_with_silence() -> None:
    control = Pairs()
    feed = Blocks(control, 16000)
    feed.process(np.ones(100, np.int16), np.ones(100, np.int16))
    feed.skip(np.arange(400, dtype=np.int16))
    assert [near.any() for near, _ in control.fed] == [False, False]
    assert np.array_equal(np.concatenate([far for _, far in control.fed]), np.arange(80, 400))
    out = feed.process(np.ones(60, np.int16), np.zeros(60, np.int16))
    assert out.tolist() == [0] * 100 + [1] * 60, "nothing of it is heard, and nothing is lost"


def test_the_cost_is_the_mean_of_what_the_clock_says_over_some_seconds() -> None:
    ticks = chain([0.0, 0.002, 1.0, 1.001], cycle([2.0, 2.004]))
    feed = Blocks(Pairs(), 16000, lambda: next(ticks))
    silence = np.zeros(160, np.int16)
    assert feed.measures() == EchoMeasures(erle=30.0)
    feed.process(silence, silence)
    assert feed.measures().cost == pytest.approx(0.002)
    feed.process(silence, silence)
    assert feed.measures().cost == pytest.approx(0.0015)
    for _ in range(6000):  # a minute
        feed.process(silence, silence)
    assert feed.measures().cost == pytest.approx(0.004, rel=0.01)
