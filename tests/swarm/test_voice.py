"""What callers of a swarm say."""

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.errors import ConfigError
from retell_voice.swarm.voice import loud_blocks, utterance_ends, voice_of

RATE = 8000
MULAW = AudioFormat(Encoding.MULAW, RATE)


def spoken(*seconds: float) -> np.ndarray:
    """Speech and silence by turns, speech first."""
    parts = [
        np.full(round(each * RATE), 0 if number % 2 else 5000, np.int16)
        for number, each in enumerate(seconds)
    ]
    return np.concatenate(parts)


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [
        ((1.0,), (1.0,)),
        ((1.0, 2.0), (1.0,)),
        ((0.5, 0.5, 0.5), (1.5,)),  # that was a breath
        ((0.5, 0.7, 0.5, 1.0), (0.5, 1.7)),
        ((0.0, 2.0), ()),
    ],
)
def test_utterances_end_where_a_pause_begins(
    seconds: tuple[float, ...], ends: tuple[float, ...]
) -> None:
    assert utterance_ends(spoken(*seconds), RATE) == pytest.approx(ends)


def test_noise_of_a_room_is_no_speech() -> None:
    noise = np.random.default_rng(1).normal(0, 60, 3 * RATE)
    samples = (spoken(1.0, 1.0, 1.0) + noise).astype(np.int16)
    assert utterance_ends(samples, RATE) == pytest.approx((1.0, 3.0))
    assert not loud_blocks(noise.astype(np.int16), RATE).any()


def test_a_voice_is_frames_of_one_length() -> None:
    voice = voice_of(spoken(0.25), MULAW, 20)
    assert (len(voice.frames), voice.frame, voice.seconds) == (13, 0.02, pytest.approx(0.26))
    assert {len(frame) for frame in (*voice.frames, voice.silence)} == {160}
    assert b"".join(voice.frames)[:2000] == MULAW.encode(spoken(0.25))
    assert MULAW.decode(voice.silence).any() == np.False_


def test_a_recording_without_speech_is_refused() -> None:
    with pytest.raises(ConfigError, match="nobody speaks"):
        voice_of(spoken(0.0, 1.0), MULAW, 20)
    with pytest.raises(ConfigError, match="nobody speaks"):
        voice_of(np.zeros(0, np.int16), MULAW, 20)
