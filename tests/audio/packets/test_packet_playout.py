"""The packet playout: the face of a Playout, over any network."""

from collections import deque

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.measure import find
from support.packet_call import Call, without_pauses
from support.packets import CLOCK, PlainDecoder, packets, payload
from support.spectra import log_spectral_distance
from support.speech import babble

from retell_voice.audio.format import Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_playout import PacketPlayout
from retell_voice.audio.packets.packet_stream import Outcome
from retell_voice.audio.playout_reports import Started, Stopped
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER

RATE = 8000
FRAME = RATE // 50
BLOCK = RATE // 100
FADE = round(0.006 * RATE)


def pull(playout: PacketPlayout, count: int, block: int = BLOCK) -> np.ndarray:
    out = np.full(count, -9999, np.int16)
    for start in range(0, count, block):
        playout.pull(out[start : start + block])
    return out


def steepest(samples: np.ndarray) -> int:
    return int(np.abs(np.diff(samples.astype(int))).max())


@pytest.fixture(scope="module")
def caller() -> tuple[Samples, int]:
    return read_wav(CALLER)


def test_with_nothing_pushed_it_plays_silence() -> None:
    playout = PacketPlayout(RATE, PlainDecoder())
    assert not pull(playout, 400).any()
    assert playout.silent
    assert (playout.position, playout.depth, playout.delay) == (400, 0, 0)
    assert not playout.reports


def test_the_first_packet_waits_for_the_target() -> None:
    playout = PacketPlayout(RATE, PlainDecoder(), target=(0.03, 0.5))
    spoken = babble(1.0, RATE, pauses=False)
    sent = packets(spoken, RATE)
    heard = []
    for packet in sent:
        playout.push(packet)
        heard.append(pull(playout, FRAME))
    whole = np.concatenate(heard)
    wait = round(0.03 * RATE)
    assert not whole[:wait].any()
    assert whole[wait:].tolist() == spoken[: len(whole) - wait].tolist()
    assert playout.delay == wait


def test_reports_come_from_loudness() -> None:
    playout = PacketPlayout(RATE, PlainDecoder(), target=(0.02, 0.5))
    quiet, loud = np.zeros(RATE // 2, np.int16), babble(0.5, RATE, pauses=False)
    for packet in packets(np.concatenate((quiet, loud, quiet)), RATE):
        playout.push(packet)
        pull(playout, FRAME)
    started, stopped = playout.reports
    assert started == Started(RATE // 2 + FRAME)
    assert isinstance(stopped, Stopped)
    assert stopped.position == pytest.approx(RATE + FRAME, abs=BLOCK)
    assert not stopped.interrupted


def test_when_nothing_more_will_come_the_end_is_told_at_once() -> None:
    playout = PacketPlayout(RATE, PlainDecoder())
    for packet in packets(babble(0.1, RATE, pauses=False), RATE):
        playout.push(packet)
    playout.finishing = True
    pull(playout, RATE // 10)
    assert [type(report) for report in playout.reports] == [Started, Stopped]
    assert playout.silent
    assert playout.concealed == 0


def level(value: int, first: int, count: int) -> list[Packet]:
    """Return packets that hold one value."""
    made = packets(np.full(count * FRAME, value, np.int16), RATE)
    return [
        Packet(first + index, (first + index) * packet.duration, packet.duration, packet.payload)
        for index, packet in enumerate(made)
    ]


def test_clear_fades_and_then_is_silent() -> None:
    playout = PacketPlayout(RATE, PlainDecoder(), target=(0.0, 0.5))
    for packet in level(10000, 0, 10):
        playout.push(packet)
    pull(playout, 3 * FRAME)
    playout.clear(elsewhere=1000)
    heard = pull(playout, 10 * FRAME)
    assert heard[0] == 10000
    assert heard[:FADE].tolist() == sorted(heard[:FADE], reverse=True)
    assert not heard[FADE:].any()
    assert playout.silent
    stopped = playout.reports[-1]
    assert isinstance(stopped, Stopped)
    assert stopped.interrupted
    assert stopped.position == 3 * FRAME + FADE
    assert stopped.discarded == playout.discarded
    assert playout.heard + playout.discarded == 10 * FRAME + 1000


def test_clears_in_a_row_do_not_click() -> None:
    playout = PacketPlayout(RATE, PlainDecoder(), target=(0.0, 0.5))
    heard = []
    for number in range(12):
        for packet in level(10000, 3 * number, 3):
            playout.push(packet)
        heard.append(pull(playout, 10, block=2))
        playout.clear()
    whole = np.concatenate([*heard, pull(playout, 200)])
    assert steepest(whole[10:]) < 1000


@settings(max_examples=100, deadline=None)
@given(
    before=st.lists(st.integers(0, 30), max_size=30),
    pulled=st.integers(0, 12),
    after=st.lists(st.integers(0, 60), max_size=40),
    block=st.sampled_from([7, 80, 160, 441]),
)
def test_nothing_sent_before_a_clear_sounds_after_its_fade(
    before: list[int], pulled: int, after: list[int], block: int
) -> None:
    playout = PacketPlayout(RATE, PlainDecoder(), target=(0.01, 0.5))
    old, new = level(9000, 0, 31), level(-9000, 31, 70)
    for number in before:
        playout.push(old[number])
        if number % 3 == 0:
            pull(playout, pulled * BLOCK)
    playout.push(old[30])
    playout.clear()
    heard = []
    for number in after:
        # What comes late, and what is new.
        playout.push(old[number] if number < 20 else new[number - 20])
        heard.append(pull(playout, block, block))
    heard.append(pull(playout, 1600))
    assert (np.concatenate(heard)[FADE:] <= 0).all()


class PacketPlayoutMachine(RuleBasedStateMachine):
    """Any order of arrivals, pulls and clears keeps the books and always fills the block."""

    def __init__(self) -> None:
        super().__init__()
        self.decoder = PlainDecoder()
        self.playout = PacketPlayout(RATE, self.decoder, target=(0.02, 0.1))
        self.number = 0
        self.pushed = self.pulled = 0
        self.fading = 0
        """Samples in which what a clear threw away still fades, under what comes next."""

    def _push(self, number: int, broken: bool = False) -> None:
        samples = np.full(FRAME, 100 + number % 200, np.int16)
        data = b"" if broken else payload(samples, samples if number % 3 else None)
        sequence, timestamp = (65000 + number) % 2**16, (2**32 - 9600 + number * 960) % 2**32
        self.playout.push(Packet(sequence, timestamp, 960, data))
        self.pushed += FRAME

    @rule(count=st.integers(1, 12), lost=st.integers(0, 3), broken=st.booleans())
    def arrive(self, count: int, lost: int, broken: bool) -> None:
        self.number += lost
        for _ in range(count):
            self._push(self.number, broken)
            self.number += 1

    @rule(ago=st.integers(1, 60))
    def arrive_late_or_twice(self, ago: int) -> None:
        self._push(max(0, self.number - ago))

    @rule(number=st.integers(0, 60000))
    def arrive_from_elsewhere(self, number: int) -> None:
        self._push(number)

    @rule(block=st.integers(1, 700))
    def pull(self, block: int) -> None:
        out = np.full(block, -9999, np.int16)
        self.playout.pull(out)
        assert (out >= 0).all()
        assert (out[self.fading :] < 300).all()
        self.fading = max(0, self.fading - block)
        self.pulled += block

    @rule()
    def clear(self) -> None:
        self.playout.clear()
        self.fading = FADE
        assert self.playout.depth == 0

    @rule(finishing=st.booleans())
    def finish(self, finishing: bool) -> None:
        self.playout.finishing = finishing

    @invariant()
    def the_books_balance(self) -> None:
        playout = self.playout
        assert playout.heard + playout.depth + playout.discarded == self.pushed
        assert playout.position == self.pulled
        assert 0 <= playout.depth <= 1.3 * RATE
        assert 0.02 * RATE <= playout.target <= 0.1 * RATE

    @invariant()
    def reports_alternate_and_are_in_order(self) -> None:
        reports = list(self.playout.reports)
        assert [type(report) for report in reports] == [
            (Started, Stopped)[index % 2] for index in range(len(reports))
        ]
        positions = [report.position for report in reports]
        assert positions == sorted(positions)


TestPacketPlayoutMachine = PacketPlayoutMachine.TestCase
TestPacketPlayoutMachine.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_any_network_plays_packets_in_order(data: st.DataObject) -> None:
    spoken = np.arange(40 * FRAME).astype(np.int16)
    sent = packets(spoken, RATE, sequence=65520, timestamp=2**32 - 9600)
    delays = data.draw(
        st.lists(st.none() | st.integers(0, 30), min_size=40, max_size=40), label="late by blocks"
    )
    twice = data.draw(st.sets(st.integers(0, 39)), label="come twice")
    arrivals = sorted(
        (2 * index + late + again, index)
        for index, late in enumerate(delays)
        if late is not None
        for again in (0, 3)[: 1 + (index in twice)]
    )
    decoder = PlainDecoder()
    playout = PacketPlayout(RATE, decoder)
    waiting = deque(arrivals)
    for block in range(200):
        while waiting and waiting[0][0] <= block:
            playout.push(sent[waiting.popleft()[1]])
        pull(playout, BLOCK)
    order = [int(np.frombuffer(decoded[2:4], np.int16)[0]) for decoded in decoder.decoded]
    assert order == sorted(set(order))
    here = {index for _, index in arrivals}
    assert len(order) + playout.packets.late == len(here)
    assert playout.packets.duplicates == len(here & twice)
    assert playout.depth == 0


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 2**16 - 1),
            st.integers(0, 2**32 - 1),
            st.integers(1, 5760),
            st.binary(max_size=9),
            st.integers(0, 400),
        ),
        max_size=50,
    )
)
def test_no_packet_does_harm(sent: list[tuple[int, int, int, bytes, int]]) -> None:
    playout = PacketPlayout(RATE, OpusDecoder(RATE))
    pushed = 0
    for sequence, timestamp, duration, data, block in sent:
        packet = Packet(sequence, timestamp, duration, data)
        pushed += playout.packets.samples(packet)
        playout.push(packet)
        pull(playout, block, block or 1)
        assert playout.heard + playout.depth + playout.discarded == pushed
        assert playout.depth <= 1.7 * RATE
    pull(playout, 3 * RATE, RATE // 10)
    assert playout.depth == 0


@pytest.mark.parametrize("ppm", [200, -200])
def test_for_five_minutes_a_clock_that_drifts_is_followed_without_a_click(ppm: float) -> None:
    time = np.arange(300 * RATE) / RATE
    tones = ((8000, 221.0), (3000, 442.0), (1500, 1105.0))
    sound = sum(loud * np.sin(2 * np.pi * pitch * time + pitch) for loud, pitch in tones)
    spoken = np.rint(sound).astype(np.int16)
    playout = PacketPlayout(RATE, PlainDecoder())
    call = Call(packets(spoken, RATE), playout, RATE, ppm=ppm)
    heard = call.run(299)
    off = np.array(call.delays)[200:] - playout.target / RATE
    assert np.abs(off).max() <= 0.02
    counts = playout.counts
    stretched = counts.accelerated if ppm < 0 else counts.expanded
    assert stretched / RATE == pytest.approx(0.06, abs=0.012)
    assert counts.accelerated + counts.expanded == stretched
    assert (counts.concealed, playout.underruns) == (0, 0)
    assert steepest(heard[RATE // 10 :]) <= 1.02 * steepest(spoken)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
def test_after_a_stall_the_delay_is_given_back_while_somebody_speaks(
    rate: int, caller: tuple[Samples, int]
) -> None:
    recording, recorded = caller
    spoken = without_pauses(recording, recorded)
    spoken = np.tile(spoken, 3) if rate == recorded else np.tile(babble(6.0, rate, pauses=False), 3)
    playout = PacketPlayout(rate, PlainDecoder())
    call = Call(packets(spoken, rate), playout, rate, stalls=((8.0, 0.2),))
    calm = call.run(8.0)
    usual = call.delays[-1]
    stalled = call.run(0.21)
    assert call.delays[-1] > usual + 0.15
    assert playout.underruns == 1
    recovering = call.run(3.0)
    assert abs(call.delays[-1] - usual) <= 0.02
    assert playout.counts.outcomes[Outcome.ACCELERATE] > 5
    assert len(calm) + len(stalled) + len(recovering) == playout.position
    # Time is taken out between sounds that are alike: nothing clicks.
    heard = np.concatenate((calm[-rate:], stalled, recovering))
    assert steepest(heard) <= 1.3 * steepest(spoken)
    assert playout.discarded == 0


def test_jitter_is_waited_for_and_calm_is_not() -> None:
    spoken = np.tile(babble(10.0, RATE, pauses=False), 12)
    calm = PacketPlayout(RATE, PlainDecoder())
    call = Call(packets(spoken, RATE), calm, RATE)
    call.run(20)
    assert max(call.delays[200:]) <= 0.03
    assert (calm.concealed, calm.underruns) == (0, 0)
    rough = PacketPlayout(RATE, PlainDecoder())
    call = Call(packets(spoken, RATE), rough, RATE, jitter=0.06)
    call.run(10)
    learnt = rough.concealed
    call.run(90)
    assert 0.03 < rough.target / RATE <= 0.05  # the usual packet comes after 30 ms
    assert rough.concealed - learnt < 0.001 * 90 * RATE


@pytest.fixture(scope="module")
def opus_packets(caller: tuple[Samples, int]) -> list[Packet]:
    recording, recorded = caller
    encoder, size = OpusEncoder(recorded), recorded // 50
    pieces = [recording[at : at + size] for at in range(0, len(recording) - size, size)]
    return [
        Packet(index, index * 960, 960, encoder.encode(piece)) for index, piece in enumerate(pieces)
    ]


def distance(whole: Samples, heard: Samples, rate: int) -> float:
    """Return how far apart the two sound, piece by piece, as the delay may change by 50 ms."""
    first = find(whole[: 5 * rate], heard[: 6 * rate])
    distances, lags, slack, size = [], {0}, rate // 20, rate // 4
    for at in range(0, len(whole) - size, size):
        said, around = whole[at : at + size], heard[at + first : at + first + size + slack]
        lags.add(int(np.clip(find(said, around), 0, slack)))
        each = {lag: log_spectral_distance(around[lag:], said, rate).mean() for lag in lags}
        lags = {min(each, key=lambda lag: each[lag])}
        distances.append(min(each.values()))
    return float(np.mean(distances))


@pytest.mark.parametrize(("loss", "most"), [(0.0, 0.05), (0.02, 0.25), (0.05, 0.4), (0.1, 0.65)])
def test_speech_over_opus_survives_loss(
    opus_packets: list[Packet], loss: float, most: float
) -> None:
    rate = 24000
    decoder = OpusDecoder(rate)
    whole = np.concatenate([decoder.decode(packet.payload).copy() for packet in opus_packets])
    playout = PacketPlayout(rate, OpusDecoder(rate))
    call = Call(opus_packets, playout, rate, loss=loss)
    heard = call.run(len(opus_packets) / 50)
    counts = playout.counts
    assert counts.accelerated + counts.expanded < 0.2 * rate
    assert distance(whole, heard, rate) < most
    if loss:
        assert counts.outcomes[Outcome.RECOVER] > 0
        assert playout.packets.lost == pytest.approx(loss * len(opus_packets), rel=0.4)
        assert loss < 0.1 or playout.target == rate * 35 // 1000, "it waits for the redundancy"
    else:
        assert (counts.concealed, playout.packets.lost) == (0, 0)


def test_how_loud_and_how_deep_is_the_same_at_any_block_size() -> None:
    spoken = babble(4.0, RATE)
    heard = []
    for block in (BLOCK, FRAME):
        playout = PacketPlayout(RATE, PlainDecoder(), target=(0.02, 0.5))
        parts = []
        for packet in packets(spoken, RATE):
            playout.push(packet)
            parts.append(pull(playout, FRAME, block))
        heard.append(np.concatenate(parts).tolist())
    assert heard[0] == heard[1]
    assert CLOCK == 48000
