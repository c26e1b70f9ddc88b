"""Where samples come from: traces of arrivals, one row a pull of 20 ms."""

import numpy as np
import pytest
from support.packets import CLOCK, PlainDecoder, payload
from support.speech import babble

from retell_voice.audio.packets.delay_estimator import DelayEstimator
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_buffer import PacketBuffer
from retell_voice.audio.packets.packet_stream import Outcome, PacketStream

RATE = 8000
FRAME = RATE // 50
UNITS = CLOCK // 50
STARTS = [(0, 0), (65534, 2**32 - UNITS)]
# No piece of it is like another, so that time is never stretched.
NOISE = np.random.default_rng(1).integers(-9000, 9000, 60 * FRAME).astype(np.int16)

# Packets that arrive before a pull, and the last outcome in it. 3+ has the redundancy of 2,
# 3! cannot be decoded, 3~ was sent after a pause of 100 ms without losing a number.
TRACES = {
    "in order": """
        0    silence
        1    normal
        2    normal
        3    normal
    """,
    "in the wrong order, but in time": """
        0    silence
        2    normal
        1    normal
        3    normal
    """,
    "twice": """
        0    silence
        1,1  normal
        0,2  normal
        3    normal
    """,
    "one is lost": """
        0    silence
        1    normal
        3    normal
        4    conceal
        5    normal
    """,
    "one is lost, its successor has redundancy": """
        0    silence
        1    normal
        3+   normal
        4    recover
        5    normal
    """,
    "two are lost: redundancy restores the last": """
        0    silence
        1    normal
        4+   normal
        5    conceal
        6    recover
        7    normal
    """,
    "three are lost, nothing is there: redundancy restores the last": """
        0    silence
        1    normal
        -    normal
        -    conceal
        -    conceal
        5+   recover
        6    normal
    """,
    "one comes after its concealment": """
        0    silence
        1    normal
        3    normal
        4    conceal
        2,5  normal
        6    normal
    """,
    "one is late": """
        0    silence
        -    normal
        -    conceal
        1,2  merge
        3    normal
    """,
    "one is lost, and its successor late": """
        0    silence
        -    normal
        -    conceal
        2    normal
        3    normal
    """,
    "one is lost, and its successor late, but has redundancy: none of it is due any more": """
        0    silence
        -    normal
        -    conceal
        2+   normal
        3    normal
    """,
    "nothing comes for 160 ms": """
        0    silence
        1    normal
        -    normal
        -    conceal
        -    conceal
        -    conceal
        -    conceal
        -    conceal
        -    conceal
        -    silence
        -    silence
        2,3,4,5,6,7,8,9,10    merge
        11   normal
    """,
    "one cannot be decoded": """
        0    silence
        1    normal
        2!   normal
        3    conceal
        4    normal
    """,
    "the sender pauses": """
        0    silence
        -    normal
        -    conceal
        -    conceal
        -    conceal
        -    conceal
        1~   conceal
        2~   merge
        3~   normal
    """,
}
COUNTS = {
    "twice": {"duplicates": 2},
    "one is lost": {"lost": 1},
    "one is lost, its successor has redundancy": {"lost": 1},
    "two are lost: redundancy restores the last": {"lost": 2},
    "three are lost, nothing is there: redundancy restores the last": {"lost": 3},
    "one comes after its concealment": {"lost": 1, "late": 1},
    "one is late": {"underruns": 1},
    "one is lost, and its successor late": {"lost": 1},
    "one is lost, and its successor late, but has redundancy: none of it is due any more": {
        "lost": 1
    },
    "nothing comes for 160 ms": {"underruns": 1},
    "one cannot be decoded": {"undecodable": 1},
}


class Delays(DelayEstimator):
    """Its target changes by hand alone."""

    def _learn(self, delay: int) -> None: ...


class Stream:
    def __init__(self, samples: np.ndarray, target: float = 0.02) -> None:
        self.decoder = PlainDecoder()
        self.packets = PacketBuffer(RATE, CLOCK, RATE)
        self.delays = Delays(RATE, (target, 0.5))
        self.stream = PacketStream(RATE, self.decoder, self.packets, self.delays)
        self.samples = samples
        self.position = 0

    def arrive(self, word: str, first: tuple[int, int] = (0, 0)) -> None:
        number = int(word.rstrip("+!~"))
        piece = self.samples[number * FRAME : (number + 1) * FRAME]
        before = self.samples[(number - 1) * FRAME : number * FRAME] if "+" in word else None
        pause = 5 * UNITS if "~" in word else 0
        _put, queued = self.packets.put(
            Packet(
                (first[0] + number) % 2**16,
                (first[1] + number * UNITS + pause) % 2**32,
                UNITS,
                b"" if "!" in word else payload(piece, before),
            )
        )
        self.delays.arrived(self.position, queued.start)

    def pull(self, count: int = FRAME) -> np.ndarray:
        out, filled = np.zeros(count, np.int16), 0
        while filled < count:
            if not len(self.stream.sync):
                filled += self.stream.produce(self.position + filled)
            if len(self.stream.sync):
                filled += self.stream.sync.take(out[filled:])
        self.position += count
        return out


@pytest.mark.parametrize("first", STARTS, ids=["", "wrapping around"])
@pytest.mark.parametrize("name", TRACES)
def test_a_trace(name: str, first: tuple[int, int]) -> None:
    stream = Stream(NOISE)
    rows = [line.split() for line in TRACES[name].strip().splitlines()]
    outcomes = []
    for arrivals, _ in rows:
        for word in arrivals.split(",") if arrivals != "-" else ():
            stream.arrive(word, first)
        stream.pull()
        outcomes.append(stream.stream.outcome)
    assert outcomes == [outcome for _, outcome in rows]
    played = [decoded for decoded in stream.decoder.decoded if decoded]
    numbers = [
        index
        for decoded in played
        for index in range(40)
        if decoded.endswith(NOISE[index * FRAME : (index + 1) * FRAME].tobytes())
    ]
    assert numbers == sorted(set(numbers)), "each packet once and in order"
    packets, counts = stream.packets, stream.stream.counts
    found = {
        "lost": packets.lost,
        "late": packets.late,
        "duplicates": packets.duplicates,
        "underruns": counts.underruns,
        "undecodable": counts.undecodable,
    }
    assert {key: value for key, value in found.items() if value} == COUNTS.get(name, {})


def test_what_comes_in_time_is_played_as_it_was_sent() -> None:
    stream = Stream(NOISE)
    heard = []
    for number in range(10):
        stream.arrive(str(number))
        heard.append(stream.pull())
    assert np.concatenate(heard)[FRAME:].tolist() == NOISE[: 9 * FRAME].tolist()


def test_recovered_samples_are_those_that_were_lost() -> None:
    stream = Stream(NOISE)
    heard = []
    for word in ("0", "1", "3+", "4", "5"):
        stream.arrive(word)
        heard.append(stream.pull())
    assert np.concatenate(heard)[FRAME:].tolist() == NOISE[: 4 * FRAME].tolist()
    assert stream.stream.counts.recovered == FRAME


def test_redundancy_that_comes_in_the_middle_of_a_concealment_restores_the_rest() -> None:
    stream = Stream(NOISE, target=0.0)
    stream.arrive("0")
    stream.pull(FRAME + FRAME // 2)  # and half of packet 1 has been concealed
    assert stream.stream.outcome is Outcome.CONCEAL
    stream.arrive("2+")
    heard = stream.pull(FRAME // 2)
    assert stream.stream.outcome is Outcome.RECOVER
    merged = RATE // 200
    assert heard[merged:].tolist() == NOISE[FRAME + FRAME // 2 + merged : 2 * FRAME].tolist()
    heard = stream.pull()
    assert stream.stream.outcome is Outcome.NORMAL
    assert heard.tolist() == NOISE[2 * FRAME : 3 * FRAME].tolist()


def test_concealment_fades_and_is_silent_after_120_ms() -> None:
    stream = Stream(np.full(FRAME, 9000, np.int16), target=0.0)
    stream.arrive("0")
    heard = stream.pull(FRAME + RATE // 5)[FRAME:]
    assert heard[: RATE * 6 // 100].min() == 9000
    fading = heard[RATE * 6 // 100 : RATE * 12 // 100]
    assert fading.tolist() == sorted(fading, reverse=True)
    assert not heard[RATE * 12 // 100 :].any()
    assert stream.stream.counts.concealed == RATE * 12 // 100


VOICE = babble(4.0, RATE, pauses=False)


def test_a_delay_that_is_too_long_comes_down_while_somebody_speaks() -> None:
    stream = Stream(VOICE)
    for number in range(10):  # all at once: the last is the fastest
        stream.arrive(str(number))
    for number in range(10, 150):
        stream.pull()
        stream.arrive(str(number))
    assert stream.stream.delay(stream.position) < 0.03 * RATE
    assert stream.stream.counts.outcomes[Outcome.ACCELERATE] > 10
    assert stream.stream.counts.expanded == 0
    assert 0.15 < stream.stream.counts.accelerated / RATE < 0.19


def test_a_delay_that_is_too_short_goes_up_while_somebody_speaks() -> None:
    stream = Stream(VOICE)
    for number in range(150):
        stream.arrive(str(number))
        stream.pull()
        if number == 10:
            stream.delays.target = round(0.08 * RATE)  # it has learnt of jitter
    assert 0.075 * RATE <= stream.stream.delay(stream.position) < 0.09 * RATE
    assert stream.stream.counts.outcomes[Outcome.PREEMPTIVE_EXPAND] > 3
    assert stream.stream.counts.concealed == 0


@pytest.mark.parametrize("target", [0.02, 0.1])
def test_silence_is_stretched_to_the_target_at_once(target: float) -> None:
    stream = Stream(np.zeros(60 * FRAME, np.int16))
    for number in range(4):
        stream.arrive(str(number))
    stream.delays.target = round(target * RATE)
    for number in range(4, 30):
        stream.pull()
        stream.arrive(str(number))
    assert stream.stream.delay(stream.position) == pytest.approx(target * RATE, abs=0.01 * RATE)


def test_when_nothing_more_will_come_nothing_is_made_up() -> None:
    stream = Stream(NOISE)
    stream.arrive("0")
    stream.stream.finishing = True
    heard = stream.pull(2 * FRAME)
    assert heard[:FRAME].tolist() == NOISE[:FRAME].tolist()
    assert not heard[FRAME:].any()
    assert stream.stream.counts.concealed == 0


@pytest.mark.parametrize("jump", [10**6, -(10**6), 2**31, 144000, -144000, 30000])
def test_after_timestamps_that_jump_it_soon_plays_on(jump: int) -> None:
    stream = Stream(NOISE)
    normal = 0
    for number in range(40):
        first = (0, 0 if number < 10 else jump)
        stream.arrive(str(number), first)
        stream.pull()
        normal += number > 15 and stream.stream.outcome is Outcome.NORMAL
    assert normal == 24
    assert stream.stream.delay(stream.position) < 0.06 * RATE
