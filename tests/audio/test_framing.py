import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.audio.framing import Framer


@given(st.lists(st.integers(0, 700) | st.just(160), max_size=12), st.sampled_from([20, 33, 250]))
def test_frames_are_whole_and_in_order_whatever_the_chunking(sizes: list[int], ms: int) -> None:
    audio = AudioFormat(Encoding.S16LE, 8000)
    framer = Framer(audio, ms)
    samples = np.arange(sum(sizes)).astype(np.int16)
    length, frames = audio.frame_samples(ms), []
    for part in np.split(samples, np.cumsum(sizes)[:-1]) if sizes else []:
        missing = framer.missing
        new = framer.push(part)
        assert bool(new) == (len(part) >= missing)
        frames += new
    assert all(len(frame) == 2 * length for frame in frames)
    assert b"".join(frames) == samples[: len(samples) // length * length].tobytes()
