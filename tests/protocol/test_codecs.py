"""Codecs of phone calls."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.protocol.codecs import PCMU, Codec, transcode


@pytest.mark.parametrize(
    ("text", "codec"),
    [
        ("PCMU", PCMU),
        ("pcma", Codec("PCMA", 8000)),
        ("L16", Codec("L16", 16_000)),
        (" l16be/8000 ", Codec("L16BE", 8000)),
    ],
)
def test_a_codec_is_read_and_written(text: str, codec: Codec) -> None:
    assert Codec.parse(text) == codec
    assert Codec.parse(str(codec)) == codec


@given(st.text())
def test_any_other_text_is_refused_in_words(text: str) -> None:
    said = ""
    try:
        rate = Codec.parse(text).rate
    except ConfigError as error:
        rate, said = 0, str(error)
    assert rate or "codec" in said or "has no rate" in said


@given(st.binary(max_size=64).map(lambda data: data[: len(data) // 2 * 2]))
def test_16_bit_audio_survives_either_order(audio: bytes) -> None:
    for name in ("L16", "L16BE"):
        codec = Codec(name, 16_000)
        assert codec.decode(codec.encode(audio)) == audio
        assert codec.seconds(audio) == len(audio) / 32_000


@given(st.binary(max_size=64))
def test_a_law_and_mulaw_survive_16_bits(data: bytes) -> None:
    a_law = Codec("PCMA")
    assert a_law.encode(a_law.decode(data)) == data
    # µ-law has two zeros, of which one comes back.
    data = data.replace(b"\x7f", b"\xff")
    linear = transcode(data, is_mulaw=True, to_mulaw=False)
    assert transcode(linear, is_mulaw=False, to_mulaw=True) == data
    assert transcode(data, is_mulaw=True, to_mulaw=True) is data
