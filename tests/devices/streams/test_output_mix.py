"""A call and sounds of one's own, mixed, as loud as wanted, for whoever listens."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.streams.far_end import FarEnd
from retell_voice.devices.streams.output import MOST_SOUNDS, Output, Sound

AUDIO = AudioFormat(Encoding.S16LE, 8000)


def speech(count: int, level: int = 1000) -> np.ndarray:
    return np.full(count, level, np.int16)


def call_on(output: Output) -> FarEnd:
    far_end = FarEnd(AUDIO, output.rate, 60.0)
    output.connect(far_end)
    return far_end


def fill(output: Output, blocks: int, delay: float = 0.0, size: int = 80) -> np.ndarray:
    heard = []
    for _ in range(blocks):
        out = np.full(size, -1, np.int16)
        output.fill_rt(out, delay)
        heard.append(out)
    return np.concatenate(heard)


def played(output: Output, samples: np.ndarray) -> tuple[Sound, list[int]]:
    """Play a sound; return it, and a list to which the position of its end is added."""
    ends: list[int] = []
    sound = Sound(samples, lambda: ends.append(output.hearing))
    assert output.play(sound)
    return sound, ends


def test_without_a_call_and_a_sound_it_is_silent() -> None:
    output = Output(8000)
    assert not fill(output, 5).any()
    assert (output.position, output.is_silent) == (400, True)


def test_calls_come_and_go() -> None:
    output = Output(8000)
    for level in (100, 200):
        call_on(output).push(AUDIO.encode(speech(800, level)))
        assert set(fill(output, 8)) == {level}
        output.connect(None)
        assert not fill(output, 5).any()


def test_a_sound_is_heard_whole_and_its_end_is_told_when_it_was_heard() -> None:
    output = Output(8000)
    sound = np.arange(1, 201).astype(np.int16)
    _, ends = played(output, sound)
    heard = fill(output, 3, delay=0.015)
    assert np.array_equal(heard[:200], sound)
    assert not heard[200:].any()
    assert not ends
    assert not output.is_silent
    fill(output, 3, delay=0.015)
    assert output.is_silent
    assert len(ends) == 1
    assert ends[0] >= 200


@settings(deadline=None)
@given(st.lists(st.integers(1, 300), min_size=1, max_size=6), st.integers(20, 200))
def test_sounds_follow_one_another(sizes: list[int], block: int) -> None:
    output = Output(8000)
    sounds = [speech(size, number + 1) for number, size in enumerate(sizes)]
    told = [played(output, each)[1] for each in sounds]
    whole = np.concatenate(sounds)
    heard = fill(output, len(whole) // block + 2, size=block)
    assert np.array_equal(heard[: len(whole)], whole)
    assert not heard[len(whole) :].any()
    assert [len(each) for each in told] == [1] * len(sizes)
    assert output.is_silent


def test_a_sound_is_added_to_the_agents_voice_and_saturates() -> None:
    output = Output(8000)
    call_on(output).push(AUDIO.encode(speech(800, 30000)))
    played(output, speech(100, 1000))
    played(output, speech(100, 10000))
    heard = fill(output, 4)
    assert heard[:100].tolist() == [31000] * 100
    assert heard[100:200].tolist() == [32767] * 100
    assert set(heard[200:]) == {30000}


def test_a_sound_that_is_stopped_fades_and_the_next_one_begins() -> None:
    output = Output(8000)
    sound, ends = played(output, speech(8000, 10000))
    _, others = played(output, speech(40, 7))
    fill(output, 2)
    sound.is_stopping = True
    heard = fill(output, 2)
    faded = heard[:48].astype(int)
    assert faded[0] == 10000
    assert np.all(np.diff(faded) < 0)
    assert faded[-1] == 0
    assert heard[48:88].tolist() == [7] * 40
    assert not heard[88:].any()
    fill(output, 2)
    assert (len(ends), len(others)) == (1, 1)


def test_only_so_many_sounds_wait() -> None:
    output = Output(8000)
    for _ in range(MOST_SOUNDS):
        played(output, speech(10))
    assert not output.play(Sound(speech(10), lambda: None))


def test_the_played_level_is_metered() -> None:
    output = Output(8000)
    far_end = call_on(output)
    far_end.push(AUDIO.encode(speech(800, -16384)))
    assert output.level() == -100
    fill(output, 5)
    assert output.level() == pytest.approx(-6.02, abs=0.01)
    fill(output, 200)
    assert output.level() == pytest.approx(-6.02, abs=0.01)  # the rest of it, and silence
    fill(output, 200)
    assert output.level() == -100
    played(output, speech(80, 16384))
    fill(output, 1)
    assert output.level() == pytest.approx(-6.02, abs=0.01)


def test_taps_the_meter_and_the_reference_hear_it_as_loud_as_it_is_played() -> None:
    output = Output(8000)
    reference = output.reference
    first = output.tap()
    output.level()
    output.gain.value = 0.5
    call_on(output).push(speech(1600).tobytes())
    heard = fill(output, 10)
    second = output.tap()
    heard = np.concatenate((heard, fill(output, 10)))
    output.untap(first)
    fill(output, 1)
    assert np.array_equal(first.read(0)[0], heard)
    assert np.array_equal(second.read(0)[0][:800], heard[800:])
    assert np.array_equal(reference.ring.between(0, 1600), heard)
    assert set(heard[400:1600]) == {500}
    assert output.level() == pytest.approx(20 * np.log10(heard.max() / 32768))


def test_gaps_the_device_reports_are_counted() -> None:
    output = Output(8000)
    out = np.zeros(80, np.int16)
    output.fill_rt(out, xrun=True)
    output.fill_rt(out)
    assert output.xruns == 1


def test_a_fault_in_the_callback_is_silence_and_a_report() -> None:
    output = Output(8000)
    played(output, None)  # type: ignore[arg-type]
    assert not fill(output, 5).any()
    assert isinstance(output.fault, Exception)


def test_a_delay_that_is_no_number_is_a_fault_not_an_exception() -> None:
    output = Output(8000)
    output.fill_rt(np.zeros(80, np.int16), float("nan"))
    assert isinstance(output.fault, ValueError)


def test_a_volume_out_of_range() -> None:
    with pytest.raises(ValueError, match="outside 0–2"):
        Output(8000, 2.5)
