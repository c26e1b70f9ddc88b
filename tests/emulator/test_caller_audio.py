"""The caller's packets put in order and decoded, whatever the network did to them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.emulator.gateway.caller_audio import CallerAudio

RATE = 24000
FRAME = RATE // 50
STEP = 960  # of the RTP timestamp
TONE = (8000 * np.sin(2 * np.pi * 300 / RATE * np.arange(50 * FRAME))).astype(np.int16)


def encoded(samples: Samples) -> list[bytes]:
    encoder = OpusEncoder(RATE)
    return [encoder.encode(each) for each in samples.reshape(-1, FRAME)]


PACKETS = encoded(TONE)


def caller() -> CallerAudio:
    return CallerAudio(RATE, OpusDecoder(RATE))


def heard(audio: CallerAudio, order: list[int], first: int = 65530) -> Samples:
    """Send packets by number; sequence numbers wrap around on the way."""
    return np.concatenate(
        [
            audio.receive((first + n) & 0xFFFF, (n * STEP - 5000) & 0xFFFFFFFF, PACKETS[n])
            for n in order
        ]
    )


def test_packets_in_order_are_heard_at_once() -> None:
    audio, decoder = caller(), OpusDecoder(RATE)
    for n, packet in enumerate(PACKETS):
        out = audio.receive(n, n * STEP, packet)
        assert out.tolist() == decoder.decode(packet).tolist()
    assert audio.lost == 0


def test_packets_out_of_order_and_twice_are_heard_as_they_were_sent() -> None:
    in_order = heard(caller(), list(range(20)))
    mixed = heard(caller(), [0, 2, 1, 1, 3, 6, 5, 4, 7, 7, *range(8, 20)])
    assert mixed.tolist() == in_order.tolist()


def test_a_lost_packet_is_given_up_after_three_and_its_time_is_kept() -> None:
    audio = caller()
    assert len(heard(audio, list(range(10)))) == 10 * FRAME
    assert [len(heard(audio, [n])) for n in (11, 12, 13)] == [0, 0, 0]
    late = heard(audio, [14])
    assert len(late) == 5 * FRAME
    assert audio.lost == 1
    assert np.abs(late).max() < 9000
    # Concealed or recovered, not silent: a tone goes on through it.
    missing = late[:FRAME]
    assert np.sqrt(np.mean(missing.astype(float) ** 2)) > 2000
    assert len(heard(audio, [10])) == 0  # too late


def test_a_microphone_that_was_off_leaves_silence_ten_seconds_at_most() -> None:
    audio = caller()
    audio.receive(0, 0, PACKETS[0])
    after = audio.receive(1, 48000, PACKETS[1])  # one second on, none lost
    assert len(after) == RATE
    assert not after[RATE // 2 : -FRAME].any()
    hour = audio.receive(2, 48000 * 3600, PACKETS[2])
    assert len(hour) == 10 * RATE + FRAME


def test_what_is_not_opus_is_counted() -> None:
    audio = caller()
    assert len(audio.receive(0, 0, b"")) == 0
    assert len(audio.receive(1, 960, b"\xff")) == 0
    assert audio.broken == 2


def test_a_sender_that_begins_to_count_elsewhere_is_heard_again() -> None:
    audio = caller()
    heard(audio, list(range(5)))
    out = [audio.receive(30000 + n, 10**6 + n * STEP, PACKETS[n]) for n in range(3)]
    assert [len(each) for each in out] == [0, FRAME, FRAME]  # the first might be a stray one


@given(st.lists(st.tuples(st.integers(0, 49), st.booleans()), max_size=80))
def test_no_order_of_packets_breaks_it(sent: list[tuple[int, bool]]) -> None:
    audio = caller()
    for n, whole in sent:
        out = audio.receive(n, n * STEP, PACKETS[n] if whole else PACKETS[n][:1])
        assert out.dtype == np.int16
        assert len(out) <= 11 * RATE


@pytest.mark.parametrize("lost", [range(10, 12), range(10, 17), range(10, 40)])
def test_the_samples_keep_the_callers_time(lost: range) -> None:
    out = heard(caller(), [n for n in range(50) if n not in lost])
    assert len(out) == 50 * FRAME
