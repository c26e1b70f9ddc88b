"""Opus packets through the far end: turns, clears, books, and a speaker of any rate."""

import numpy as np
import pytest
from support.tones import tone

from retell_voice.audio.opus import CLOCK, OpusEncoder
from retell_voice.audio.playout_reports import Started, Stopped
from retell_voice.devices.streams.packet_far_end import PacketFarEnd

FRAME = CLOCK // 50


def packets(seconds: float, frequency: int = 440) -> list[bytes]:
    encoder = OpusEncoder(48000)
    sound = tone(frequency, seconds, 48000)
    return [
        encoder.encode(sound[at : at + FRAME]) for at in range(0, len(sound) - FRAME + 1, FRAME)
    ]


def play(far_end: PacketFarEnd, rate: int, sent: list[bytes], first: int = 0) -> np.ndarray:
    """Give it a packet each 20 ms, and take two blocks."""
    heard = []
    for number, payload in enumerate(sent, first):
        assert far_end.push_packet(number & 0xFFFF, number * FRAME & 0xFFFFFFFF, payload)
        for _ in range(2):
            out = np.zeros(rate // 100, np.int16)
            far_end.fill_rt(out)
            heard.append(out)
    return np.concatenate(heard)


@pytest.mark.parametrize("rate", [8000, 24000, 44100, 48000])
def test_what_is_sent_is_heard_at_the_rate_of_the_speaker(rate: int) -> None:
    far_end = PacketFarEnd(rate)
    heard = play(far_end, rate, packets(1.0))[rate // 4 :].astype(float)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.argmax(spectrum) * rate / len(heard) == pytest.approx(440, abs=3)
    assert np.abs(heard).max() == pytest.approx(8000, rel=0.15)
    assert far_end.fault is None


def test_an_utterance_is_told_by_its_loudness() -> None:
    far_end = PacketFarEnd(24000)
    silence = [OpusEncoder(48000).encode(np.zeros(FRAME, np.int16))] * 40
    play(far_end, 24000, packets(0.6) + silence)
    assert [type(report) for report, _ in far_end.poll()] == [Started, Stopped]


def test_a_clear_throws_away_what_was_not_heard() -> None:
    far_end = PacketFarEnd(24000)
    sent = packets(1.0)
    play(far_end, 24000, sent[:20])
    for number in range(20, 40):
        far_end.push_packet(number, number * FRAME, sent[number])
    far_end.clear()
    out = np.zeros(2400, np.int16)
    far_end.fill_rt(out)
    assert not out[200:].any()
    assert far_end.depth == 0
    assert far_end.discarded > 0.3 * 24000


def test_the_books_balance_across_loss_and_wrap_around() -> None:
    far_end = PacketFarEnd(24000)
    sent = packets(1.0)
    for number, payload in enumerate(sent, 65530):
        if number % 7:
            far_end.push_packet(number & 0xFFFF, number * FRAME & 0xFFFFFFFF, payload)
        out = np.zeros(480, np.int16)
        far_end.fill_rt(out)
        playout = far_end.playout
        assert far_end._pushed == playout.heard + playout.discarded + playout.depth
    far_end.finish()
    for _ in range(100):
        far_end.fill_rt(np.zeros(480, np.int16))
    far_end.poll()
    assert far_end.silent


@pytest.mark.parametrize("payload", [b"", b"\x03", b"\x03\x00"])
def test_what_is_no_opus_is_refused(payload: bytes) -> None:
    far_end = PacketFarEnd(24000)
    assert not far_end.push_packet(0, 0, payload)
    assert far_end.silent


def test_what_became_of_each_packet_is_counted() -> None:
    far_end, sent = PacketFarEnd(24000), packets(1.0)
    given = {number: payload for number, payload in enumerate(sent) if number not in (10, 20, 21)}
    for number in range(len(sent)):
        if number in given:
            assert far_end.push_packet(number, number * FRAME, given[number])
        if number == 30:  # twice, and one whose turn is over
            assert far_end.push_packet(30, 30 * FRAME, sent[30])
            assert far_end.push_packet(20, 20 * FRAME, sent[20])
        for _ in range(2):
            far_end.fill_rt(np.zeros(240, np.int16))
    figures, playout = far_end.figures(), far_end.playout
    assert (figures.received, figures.lost, figures.late) == (len(sent) - 3 + 2, 3, 1)
    assert (figures.duplicates, figures.undecodable) == (1, 0)
    assert figures.recovered + playout.concealed / 24000 >= 0.06
    assert figures.delay > 0
    accounted = playout.heard + playout.discarded + playout.depth
    assert accounted / 24000 == pytest.approx(figures.received * 0.02)
