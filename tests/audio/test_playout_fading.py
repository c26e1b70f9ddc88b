"""A jitter buffer that runs dry in the middle of a voice: it fades, goes on and never clicks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.playout import pull

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Stopped


def voice(rate: int, seconds: float, pitch: float = 160.0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    waves = np.sum([np.sin(2 * np.pi * pitch * n * time) / n for n in (1, 2, 3, 5)], axis=0)
    return (6000 * waves).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
@pytest.mark.parametrize("pitch", [90.0, 160.0, 330.0])
def test_running_dry_is_concealed_by_the_voice_fading_away(rate: int, pitch: float) -> None:
    playout = Playout(rate)
    spoken = voice(rate, 0.2, pitch)
    playout.push(spoken)
    heard = np.array(pull(playout, rate * 3 // 10, block=rate // 100)).astype(float)
    made_up = heard[len(spoken) :]
    length = np.flatnonzero(made_up)[-1] + 1
    assert 0.02 < length / rate <= 0.03
    # It goes on as the voice would have, ever quieter, and nowhere clicks.
    goes_on = voice(rate, 0.3, pitch)[len(spoken) :].astype(float)
    first = slice(0, round(0.005 * rate))
    assert np.corrcoef(made_up[first], goes_on[first])[0, 1] > 0.9
    steps = np.abs(np.diff(heard))
    assert steps[len(spoken) - 1 :].max() <= 1.5 * steps[: len(spoken) - 1].max()
    thirds = [np.abs(part).max() for part in np.array_split(made_up[:length], 3)]
    assert thirds == sorted(thirds, reverse=True)


def test_what_was_made_up_counts_once_it_turns_out_to_have_been_a_gap() -> None:
    playout = Playout(8000)
    playout.push(voice(8000, 0.1))
    pull(playout, 1600, block=80)
    assert (playout.concealed, playout.heard) == (0, 800)
    playout.push(voice(8000, 0.1))
    assert (playout.concealed, playout.underruns) == (240, 1)


def test_clear_while_concealing_is_as_quick_as_ever() -> None:
    playout = Playout(8000)
    playout.push(np.full(800, 10000, np.int16))
    pull(playout, 880, block=80)
    playout.clear()
    heard = pull(playout, 400, block=80)
    assert heard[0] > 1000
    assert heard[:48] == sorted(heard[:48], reverse=True)
    assert not any(heard[48:])
    assert playout.silent


def stalled(
    rate: int, stall: int, block: int, then: float = 0.3
) -> tuple[Playout, np.ndarray, np.ndarray]:
    """Return a playout that ran dry for so many samples, with the voice going on in its queue.

    Then what was heard so far, and all that was pushed.
    """
    playout = Playout(rate, (0.0, min(0.1, then)))
    spoken = voice(rate, 0.1 + then)
    before = rate // 10
    playout.push(spoken[:before])
    heard = pull(playout, before + stall, block)
    playout.push(spoken[before:])
    return playout, np.array(heard), spoken


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize("block", [1, 7, 80, 441])
@pytest.mark.parametrize("stall", [0.0005, 0.003, 0.01, 0.026, 0.029, 0.05, 0.18])
def test_going_on_after_a_gap_does_not_click(rate: int, stall: float, block: int) -> None:
    # What matters is where in a period it stops and goes on: try several.
    for more in range(0, rate // 160, rate // 1600):
        gap = round(stall * rate) + more
        playout, heard, spoken = stalled(rate, gap, block)
        heard = np.append(heard, pull(playout, rate // 10, block))
        assert playout.underruns == 1
        assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(spoken.astype(int))).max()
        # It begins as it was sent and goes on at once; but for a fade, all is heard as it was sent.
        before, fade = rate // 10, round(0.006 * rate)
        assert heard[:before].tolist() == spoken[:before].tolist()
        after = rate // 10 - fade
        assert heard[before + gap + fade :].tolist() == spoken[before + fade :][:after].tolist()


def test_going_on_while_the_concealment_sounds_leaves_no_hole() -> None:
    playout, heard, spoken = stalled(8000, 40, 8)
    heard = np.append(heard, pull(playout, 800, 8)).astype(float)
    loudness = np.sqrt(np.convolve(heard**2, np.ones(50) / 50, "valid"))  # of one period each
    usual = np.sqrt(np.mean(spoken.astype(float) ** 2))
    assert loudness[: 800 + 40].min() > 0.6 * usual


@pytest.mark.parametrize("stall", [3, 80, 200, 1440])
@given(blocks=st.lists(st.integers(1, 60), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_fade_in_is_the_same_however_it_is_pulled(stall: int, blocks: list[int]) -> None:
    whole, piecemeal = (stalled(8000, stall, 80)[0] for _ in range(2))
    pieces = [sample for block in blocks for sample in pull(piecemeal, block, block)]
    assert pull(whole, len(pieces), len(pieces)) == pieces
    assert (whole.heard, whole.depth) == (piecemeal.heard, piecemeal.depth)


@pytest.mark.parametrize("stall", [3, 80, 200, 1440])
@pytest.mark.parametrize("pulled", [1, 5, 20, 47, 48, 90])
@pytest.mark.parametrize("more", [0, 10, 400])
def test_clear_while_fading_in_fades_what_would_have_been_heard(
    stall: int, pulled: int, more: int
) -> None:
    (cleared, *_), (other, *_) = (
        stalled(8000, stall, 80, (pulled + more) / 8000) for _ in range(2)
    )
    assert pull(cleared, pulled, pulled) == pull(other, pulled, pulled)
    depth = cleared.depth
    cleared.clear()
    goes_on = np.array(pull(other, 48))
    fade_out = (1 + np.cos(np.pi * np.arange(48) / 47)) / 2
    heard = np.array(pull(cleared, 400))
    assert np.abs(heard[:48] - goes_on * fade_out).max() <= 1
    assert not heard[48:].any()
    assert cleared.silent
    assert (cleared.heard, cleared.discarded) == (other.heard, max(0, depth - 48))


@pytest.mark.parametrize("block", [1, 50, 480])
@pytest.mark.parametrize("stall", [0.002, 0.005, 0.027, 0.05])
@pytest.mark.parametrize("size", [1, 20, 100, 150, 287, 288, 289])
def test_dry_again_before_it_has_faded_in(size: int, stall: float, block: int) -> None:
    rate = 48000
    playout, heard, _ = stalled(rate, round(stall * rate), block, size / rate)
    heard = np.append(heard, pull(playout, size + 240, block))
    assert (playout.heard, playout.depth) == (4800 + size, 0)
    spoken = voice(rate, 0.1)
    playout.push(spoken)
    heard = np.append(heard, pull(playout, len(spoken), block))
    assert playout.underruns == 2
    assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(spoken.astype(int))).max()
    assert np.abs(heard).max() <= np.abs(spoken).max()


def test_what_follows_an_utterance_that_never_faded_in_is_heard_as_it_was_sent() -> None:
    playout, _, _ = stalled(8000, 400, 80, 20 / 8000)
    pull(playout, 3200, 80)
    assert isinstance(playout.reports[-1], Stopped)
    spoken = voice(8000, 0.1)
    playout.push(spoken)
    assert pull(playout, len(spoken), 80) == spoken.tolist()


def test_its_end_while_it_fades_in_is_told_at_once_and_nothing_sounds_after_it() -> None:
    playout, _, _ = stalled(8000, 40, 8, 20 / 8000)
    playout.finishing = True
    heard = pull(playout, 80, 80)
    assert any(heard[20:48])  # what the concealment still had to fade
    assert not any(heard[48:])
    assert playout.reports[-1] == Stopped(860)
    assert playout.silent


def test_silence_is_not_concealed_by_anything() -> None:
    playout = Playout(8000)
    playout.push(np.zeros(800, np.int16))
    assert not any(pull(playout, 1600, block=80))
