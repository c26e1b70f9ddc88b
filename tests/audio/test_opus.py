"""Opus, with the real libopus: what goes in comes out, and what is lost is made up."""

import contextlib
import ctypes
import itertools
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.measure import compare
from support.spectra import log_spectral_distance

from retell_voice.audio import opus
from retell_voice.audio.format import Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder, has_redundancy, packet_duration
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER
from retell_voice.errors import ConfigError


def caller(rate: int) -> Samples:
    samples, recorded = read_wav(CALLER)
    return resample_whole(samples, recorded, rate)


def encode(samples: Samples, rate: int, ms: int = 20) -> list[bytes]:
    encoder, size = OpusEncoder(rate), rate * ms // 1000
    pieces = range(0, len(samples) - size + 1, size)
    return [encoder.encode(samples[start : start + size]) for start in pieces]


def decode(packets: list[bytes], rate: int) -> Samples:
    decoder = OpusDecoder(rate)
    return np.concatenate([decoder.decode(packet).copy() for packet in packets])


SPOKEN = caller(24000)
PACKETS = encode(SPOKEN, 24000)


@pytest.mark.parametrize("rate", opus.RATES)
def test_speech_comes_out_as_it_went_in_at_any_rate(rate: int) -> None:
    heard = decode(PACKETS, rate)
    said = caller(rate)
    assert len(heard) == len(PACKETS) * rate // 50
    match = compare(said[: len(heard)], heard, rate)
    assert match.snr > 8
    assert 0.004 < match.delay < 0.008  # lookahead
    delay = round(match.delay * rate)
    distance = log_spectral_distance(heard[delay:], said, rate)
    assert distance.mean() < 3


@pytest.mark.parametrize("ms", [10, 20, 40, 60])
def test_packets_say_how_long_they_are(ms: int) -> None:
    packets = encode(SPOKEN[:28800], 24000, ms)
    assert {packet_duration(packet) for packet in packets} == {48 * ms}
    assert len(decode(packets, 16000)) == 19200


def test_packets_of_speech_stay_within_the_bit_rate_and_silence_takes_less() -> None:
    assert sum(map(len, PACKETS)) * 8 / (len(PACKETS) * 0.02) < 32000
    silence = encode(np.zeros(24000, np.int16), 24000)
    assert all(3 <= len(packet) < 40 for packet in silence[5:])  # sent, not held back: no DTX


def distance_of_lost(recover: bool) -> float:
    """Lose one packet in four; return the mean distance of those that can be recovered, dB."""
    whole, decoder = decode(PACKETS, 24000), OpusDecoder(24000)
    heard, lost = [], []
    for index, (packet, following) in enumerate(itertools.pairwise(PACKETS)):
        if index % 4 != 3 or not has_redundancy(following):
            heard.append(decoder.decode(packet).copy())
            continue
        lost.append(index)
        found = decoder.recover(following, 480) if recover else decoder.conceal(480)
        assert found is not None
        heard.append(found.copy())
    assert len(lost) > 20
    distance = log_spectral_distance(np.concatenate(heard), whole, 24000)
    return float(np.mean([distance[2 * index : 2 * index + 2] for index in lost]))


def test_redundancy_restores_a_lost_packet_better_than_concealment() -> None:
    recovered, concealed = distance_of_lost(True), distance_of_lost(False)
    assert recovered < 0.75 * concealed
    assert concealed < 15


def test_concealment_may_have_any_length() -> None:
    decoder = OpusDecoder(24000)
    for packet in PACKETS[:60]:
        decoder.decode(packet)
    for count in (1, 59, 60, 61, 480, 777, 2880):
        assert len(decoder.conceal(count)) == count
    assert len(decoder.conceal(5000)) == 2880


def test_only_packets_with_redundancy_are_recovered_from() -> None:
    decoder = OpusDecoder(24000)
    packet = next(packet for packet in PACKETS if has_redundancy(packet))
    found = decoder.recover(packet, 480)
    assert found is not None
    assert len(found) == 480
    plain = next(packet for packet in PACKETS if not has_redundancy(packet))
    assert decoder.recover(plain, 480) is None
    assert decoder.recover(b"", 480) is None


def test_libopus_agrees_about_the_redundancy() -> None:
    library = opus._libopus()
    if not hasattr(library, "opus_packet_has_lbrr"):  # before 1.4
        pytest.fail("the libopus of the tests is the bundled one, which has this")
    asked = library["opus_packet_has_lbrr"]
    asked.argtypes = (ctypes.c_char_p, ctypes.c_int32)
    answers = [bool(asked(packet, len(packet))) for packet in PACKETS]
    assert [has_redundancy(packet) for packet in PACKETS] == answers
    assert 0.1 < np.mean(answers) < 0.9


def test_a_reset_decoder_has_nothing_to_hold() -> None:
    decoder = OpusDecoder(24000)
    for packet in PACKETS[:60]:
        decoder.decode(packet)
    decoder.reset()
    assert not decoder.conceal(480).any()


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=40))
def test_any_bytes_are_a_packet_or_said_not_to_be(payload: bytes) -> None:
    has_redundancy(payload)
    try:
        duration = packet_duration(payload)
    except ValueError:
        duration = 0
    decoder = OpusDecoder(8000)
    with contextlib.suppress(ValueError):
        assert len(decoder.decode(payload)) * 6 == duration
    recovered = decoder.recover(payload, 160)
    assert recovered is None or len(recovered) == 160


def test_what_opus_does_not_have_is_refused() -> None:
    with pytest.raises(ValueError, match="44100"):
        OpusDecoder(44100)
    with pytest.raises(ValueError, match="44100"):
        OpusEncoder(44100)
    with pytest.raises(ValueError, match="77 samples"):
        OpusEncoder(24000).encode(np.zeros(77, np.int16))
    with pytest.raises(ValueError, match="empty"):
        OpusDecoder(24000).decode(b"")


def test_the_systems_libopus_serves_where_there_is_no_bundled_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bundled = opus._libopus()._name
    monkeypatch.setitem(sys.modules, "opuslib_next.api", None)
    monkeypatch.setattr(opus, "find_library", lambda name: bundled if name == "opus" else None)
    opus._libopus.cache_clear()
    try:
        assert len(OpusDecoder(24000).decode(PACKETS[0])) == 480
    finally:
        opus._libopus.cache_clear()


@pytest.mark.parametrize("found", [None, "libopus-that-is-not.so"])
def test_without_any_libopus_it_says_what_to_install(
    monkeypatch: pytest.MonkeyPatch, found: str | None
) -> None:
    monkeypatch.setitem(sys.modules, "opuslib_next.api", None)
    monkeypatch.setattr(opus, "find_library", lambda _: found)
    opus._libopus.cache_clear()
    try:
        with pytest.raises(ConfigError, match="libopus") as error:
            OpusEncoder(24000)
        assert "[webrtc]" in error.value.hint
    finally:
        opus._libopus.cache_clear()


def test_libopus_is_loaded_when_it_is_needed() -> None:
    code = (
        "import sys; from retell_voice.audio.opus import OpusDecoder, packet_duration;"
        "packet_duration(bytes(9)); print('opuslib_next' in sys.modules)"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "False"
