import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from retell_voice.audio.format import (
    AudioFormat,
    Encoding,
    described,
    is_samples,
    to_float,
    to_int16,
)
from retell_voice.errors import AudioFormatError

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

SAMPLES = arrays(np.int16, st.integers(0, 50))


@pytest.mark.parametrize(
    ("given", "what"),
    [
        (np.zeros(4, np.int16), None),
        (np.zeros(0, "<i2"), None),
        (np.zeros(8, np.int16)[::2], None),
        (np.zeros(4, ">i2"), ">i2, shape (4,)"),
        (np.zeros(4, np.float32), "float32, shape (4,)"),
        (np.zeros((4, 2), np.int16), "int16, shape (4, 2)"),
        (np.int16(4), "int16"),
        (bytes(4), "bytes"),
        ([0, 0], "list"),
    ],
)
def test_what_samples_are(given: object, what: str | None) -> None:
    assert is_samples(given) is (what is None)
    assert what is None or described(given) == what


def test_the_default_is_what_most_agents_use() -> None:
    assert AudioFormat() == AudioFormat(Encoding.S16LE, 24000)


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000])
def test_rates_in_range_are_accepted(rate: int) -> None:
    assert AudioFormat(Encoding.S16LE, rate).rate == rate


@pytest.mark.parametrize("rate", [7999, 48001, 0, -1, 16000.0, True, "16000", None])
def test_rates_out_of_range_are_refused(rate: object) -> None:
    with pytest.raises(AudioFormatError, match="sample rate"):
        AudioFormat(Encoding.S16LE, rate)  # type: ignore[arg-type]


def test_an_encoding_may_be_given_by_name() -> None:
    assert AudioFormat("mulaw", 8000).encoding is Encoding.MULAW  # type: ignore[arg-type]
    with pytest.raises(AudioFormatError, match="s16le, mulaw"):
        AudioFormat("opus", 8000)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("rate", "ms", "samples"),
    [(8000, 20, 160), (22050, 20, 441), (11025, 20, 221), (44100, 250, 11025), (8001, 250, 2000)],
)
def test_a_frame_is_never_shorter_than_20_ms_nor_longer_than_250(
    rate: int, ms: int, samples: int
) -> None:
    assert AudioFormat(Encoding.S16LE, rate).frame_samples(ms) == samples


@pytest.mark.parametrize("ms", [19, 251, 0, -20])
def test_frame_lengths_out_of_range_are_refused(ms: int) -> None:
    with pytest.raises(AudioFormatError, match=f"{ms} ms is outside 20–250 ms"):
        AudioFormat().frame_samples(ms)


def test_s16le_is_little_endian_on_every_machine() -> None:
    audio = AudioFormat()
    assert audio.encode(np.array([1, -2], np.int16)) == b"\x01\x00\xfe\xff"
    assert audio.decode(b"\x01\x00\xfe\xff").tolist() == [1, -2]


@given(SAMPLES)
def test_s16le_loses_nothing(samples: np.ndarray) -> None:
    audio = AudioFormat()
    assert np.array_equal(audio.decode(audio.encode(samples)), samples)


def test_mulaw_is_g711() -> None:
    audio = AudioFormat(Encoding.MULAW, 8000)
    every = np.arange(-32768, 32768).astype(np.int16)
    assert audio.encode(every) == audioop.lin2ulaw(every.tobytes(), 2)
    # G.711: 0xFF and 0x7F are the zeros, 0x80 and 0x00 the loudest codes.
    assert audio.decode(b"\xff\x7f\x80\x00").tolist() == [0, 0, 32124, -32124]


def test_mulaw_decodes_what_it_encoded_to_the_same_code() -> None:
    audio = AudioFormat(Encoding.MULAW, 8000)
    codes = bytes(set(range(256)) - {0x7F})  # the negative zero becomes the positive one
    assert audio.encode(audio.decode(codes)) == codes


@pytest.mark.parametrize(("encoding", "seconds"), [("s16le", 0.01), ("mulaw", 0.02)])
def test_length_of_encoded_audio(encoding: Encoding, seconds: float) -> None:
    assert AudioFormat(encoding, 8000).seconds(bytes(160)) == seconds


def test_full_scale_never_wraps() -> None:
    loud = np.array([1.0, -1.0, 1.5, -1.5, np.inf, -np.inf, np.nan, 0.99999])
    assert to_int16(loud).tolist() == [32767, -32768, 32767, -32768, 32767, -32768, 0, 32767]


@given(SAMPLES)
def test_float_and_back_loses_nothing(samples: np.ndarray) -> None:
    assert np.array_equal(to_int16(to_float(samples)), samples)
