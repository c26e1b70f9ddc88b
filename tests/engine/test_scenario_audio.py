"""Audio that comes in odd pieces, late, or to be cleared: real calls against scenarios."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from support.scenarios import GOODBYE, NORMAL, perform

from retell_voice.audio.format import Samples
from retell_voice.devices.files import WavSpeaker, WavWriter, read_wav


def write_ramp(path: Path, count: int) -> Samples:
    """Write a WAV file at 8 kHz in which no two samples are alike, and return them."""
    ramp = np.arange(10001, 10001 + count, dtype=np.int16)
    with closing(WavWriter(path, 8000)) as writer:
        writer.write(ramp)
    return ramp


@pytest.mark.parametrize("delivery", ["chunk_bytes = 333", "chunk_bytes = 7", "chunk_ms = 60000"])
async def test_odd_bytes_and_one_large_frame_are_heard_to_the_sample(
    tmp_path: Path, delivery: str
) -> None:
    ramp = write_ramp(tmp_path / "ramp.wav", 4000)
    call = await perform(
        f"""
        [[step]]
        play = "{(tmp_path / "ramp.wav").as_posix()}"
        {delivery}
        """
        + GOODBYE,
        speed=2,
        speaker=WavSpeaker(tmp_path / "agent.wav", 8000, speed=2),
        jitter=(1.0, 1.0),  # a thousand frames take their time: none may be late
    )
    assert call.how == NORMAL
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert heard[heard > 10000].tolist() == ramp.tolist()
    assert call.figures.heard == 0.5


async def test_every_byte_in_a_frame_of_its_own() -> None:
    call = await perform("[[step]]\ntone = {seconds = 0.1}\nchunk_bytes = 1" + GOODBYE)
    assert call.how == NORMAL
    assert call.figures.heard == 0.1
    assert call.figures.bytes_received == 1600


async def test_minutes_in_one_frame_are_taken_and_cleared() -> None:
    call = await perform(
        """
        [[step]]
        tone = {seconds = 500}
        chunk_ms = 600000
        [[step]]
        wait = {microphone_seconds = 1}
        [[step]]
        clear = true
        """
        + GOODBYE
    )
    assert call.how == NORMAL
    assert call.figures.heard + call.figures.discarded == pytest.approx(500)
    assert call.figures.bytes_received == 500 * 16000


async def test_after_a_clear_in_the_same_piece_only_what_follows_is_heard(tmp_path: Path) -> None:
    """Half a sample, a clear twice over and whole samples, all in one TCP segment."""
    ramp = write_ramp(tmp_path / "ramp.wav", 2000)
    call = await perform(
        f"""
        [[step]]
        tone = {{seconds = 60, hz = 200, dbfs = -20}}
        [[step]]
        wait = {{microphone_seconds = 0.5}}
        [[step]]
        together = true
        step = [
            {{tone = {{seconds = 1, hz = 200, dbfs = -20}}}},
            {{send = {{hex = "7f"}}}},
            {{clear = true}},
            {{clear = true}},
            {{play = "{(tmp_path / "ramp.wav").as_posix()}"}},
        ]
        """
        + GOODBYE,
        speaker=WavSpeaker(tmp_path / "agent.wav", 8000),
    )
    assert call.how == NORMAL
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert heard[heard > 10000].tolist() == ramp.tolist()
    first = np.flatnonzero(heard > 10000)[0]
    assert not heard[first + len(ramp) :].any()
    assert call.figures.clears == 2
    assert call.figures.heard + call.figures.discarded == pytest.approx(61.25)


@pytest.mark.parametrize(
    "delivery",
    [
        "pace = 0.8",
        "pace = 1\njitter_ms = 300",
        "burst_seconds = 1",
    ],
)
async def test_audio_that_comes_late_is_heard_all_the_same(delivery: str) -> None:
    # Twice: if a busy machine sends one part late and all at once, nothing of it comes too late.
    part = f"[[step]]\ntone = {{seconds = 2}}\nchunk_ms = 20\n{delivery}\n"
    pause = "[[step]]\nwait = {heard = true}\n[[step]]\nwait = {seconds = 1}\n"
    call = await perform(2 * (part + pause) + GOODBYE, speed=4)
    assert call.how == NORMAL
    assert call.figures.heard == 4
    if "burst" not in delivery:
        assert call.figures.underruns > 0
