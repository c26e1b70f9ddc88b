"""The pure parts of scripts/bench: what it hears, counts and reads."""

import json
import math
import sys
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts.farm import is_late, lateness
from bench_parts.figures import Row, latency, percentile, table
from bench_parts.listen import Gap, gaps, glitches, sounds
from bench_parts.phone import PhoneServer
from bench_parts.replay import replay
from bench_parts.server import last_statistics
from bench_parts.soak import slope
from bench_parts.stalls import schedule
from bench_parts.traces import Arrival, Trace, TraceError, dump, examples, parse

from retell_voice.protocol.phone import Caller
from retell_voice.protocol.twilio import TwilioClient

RATE = 48000
TONE = 441.0


def tone(seconds: float, phase: float = 0.0) -> np.ndarray:
    place = np.arange(round(seconds * RATE)) / RATE
    return np.rint(12000 * np.cos(2 * np.pi * TONE * place + phase)).astype(np.int16)


def silence(seconds: float) -> np.ndarray:
    return np.zeros(round(seconds * RATE), np.int16)


def test_percentiles_lie_between_their_neighbours() -> None:
    assert percentile([4, 1, 3, 2], 50) == 2.5
    assert percentile([1, 2, 3], 0) == 1
    assert percentile([1, 2, 3], 100) == 3
    assert percentile([7], 95) == 7
    assert math.isnan(percentile([], 50))


def test_a_table_marks_what_was_missed() -> None:
    rows = [latency("a", [0.03, 0.05], 0.028, [0.02]), Row("b", "1")]
    plain, marked = table(rows), table(rows, markdown=True)
    assert "40.0 / 49.0 / 50.0 ms  ≤ 28 ms MISSED  2.00" in plain
    assert marked.splitlines()[1:] == [
        "|---|---|---|---|",
        "| a | 40.0 / 49.0 / 50.0 ms | ≤ 28 ms MISSED | 2.00 |",
        "| b | 1 |  |  |",
    ]


def test_nothing_measured_is_a_miss() -> None:
    assert latency("a", [], 0.03, [0.02]).missed


def test_a_measuring_server_hears_what_a_provider_sends() -> None:
    client = TwilioClient(Caller(stream="MZ1"))
    with PhoneServer() as server:
        assert [server.heard(message) for message in client.opening()] == [None, None]
        assert server.heard(client.audio(b"\xff" * 160)) == bytes(320)
        assert server.heard(client.digit("1")) is None
        assert json.loads(server.dialect.clear())["streamSid"] == "MZ1"


def test_sounds_and_the_gaps_between_them() -> None:
    said = np.concatenate(
        [silence(0.1), tone(0.2), silence(0.02), tone(0.2), silence(1.0), tone(0.1), silence(0.1)]
    )
    found = gaps(said, RATE)
    assert len(found) == 1
    assert abs(found[0].start - round(0.3 * RATE)) < 20
    assert abs(found[0].length - round(0.02 * RATE)) < 40
    assert len(sounds(said, RATE // 10)) == 2
    assert gaps(silence(1), RATE) == []
    assert Gap(0, 1) not in found


def test_a_whole_tone_has_no_glitch() -> None:
    assert glitches(np.concatenate([silence(0.3), tone(2.0), silence(0.3)]), RATE, TONE) == 0
    assert glitches(silence(1.0), RATE, TONE) == 0


@pytest.mark.parametrize(
    "between",
    [silence(0.01), silence(0.05), tone(0.0), tone(0.005, 1.0), np.full(1, 12000, np.int16)],
    ids=["10 ms lost", "50 ms lost", "phase jump", "repeat", "click"],
)
def test_each_disturbance_is_one_glitch(between: np.ndarray) -> None:
    said = np.concatenate([tone(0.5), between, tone(0.5, 0.4)])
    assert glitches(said, RATE, TONE) == 1
    again = np.concatenate([said, between, tone(0.5, 0.9)])
    assert glitches(again, RATE, TONE) == 2


def test_lateness_counts_from_the_frame_that_came_soonest() -> None:
    assert lateness([10.0, 10.025, 10.04]) == pytest.approx([0, 0.005, 0])
    assert lateness([10.03, 10.02]) == pytest.approx([0.03, 0])
    assert not is_late([0.001] * 1000)
    assert is_late([0.001] * 1000 + [0.11])
    assert is_late([0.001] * 95 + [0.03] * 5)
    assert is_late([])


def test_a_stall_holds_frames_up_and_lets_them_come_at_once_or_later() -> None:
    at_once = schedule(2, 0.18)
    later = schedule(2, 0.18, shift=True)
    for plan in (at_once, later):
        times = [at for at, _ in plan]
        assert times == sorted(times)
        steps = np.diff(times[:100])
        assert steps.max() == pytest.approx(0.2)
        assert np.count_nonzero(steps > 0.021) == 1
    assert at_once[99][0] == pytest.approx(99 * 0.02)
    assert later[99][0] == pytest.approx(99 * 0.02 + 0.18)
    assert all(at == pytest.approx(number * 0.02) for at, number in schedule(1, 0.0))


def test_the_slope_of_a_line() -> None:
    assert slope([(0, 1), (1, 3), (2, 5)]) == pytest.approx(2)
    assert slope([(1, 1)]) == 0
    assert slope([(1, 1), (1, 2)]) == 0


def test_the_last_statistics_are_those_of_the_end() -> None:
    lines = [
        '{"event": "statistics", "clears": 1}',
        '{"event": "ended", "statistics": {"clears": 2}}',
    ]
    assert last_statistics("\n".join(lines)) == {"clears": 2}
    assert last_statistics(lines[0])["clears"] == 1
    assert last_statistics("") == {}


arrivals = st.lists(
    st.tuples(st.integers(0, 10**6), st.one_of(st.none(), st.integers(1, 10**6)))
).map(lambda rows: tuple(Arrival(at / 10000, samples) for at, samples in sorted(rows, key=_time)))


def _time(row: tuple[int, int | None]) -> int:
    return row[0]


@given(arrivals, st.integers(1000, 192000), st.text("ab#\n ", max_size=9))
def test_a_trace_is_read_back_as_it_was_written(
    rows: tuple[Arrival, ...], rate: int, comment: str
) -> None:
    read = parse(dump(Trace(rate, rows), comment))
    assert read.rate == rate
    assert [each.samples for each in read.arrivals] == [each.samples for each in rows]
    assert [each.at for each in read.arrivals] == pytest.approx([each.at for each in rows])


@given(st.text())
def test_any_text_is_a_trace_or_said_not_to_be(text: str) -> None:
    with suppress(TraceError):
        assert parse(text).rate


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "rate"),
        ("0 480", "rate"),
        ("rate 24000\nrate 24000", "once"),
        ("rate 1", "1000 to"),
        ("rate 24000\n5 480\n4 480", "line 3"),
        ("rate 24000\nnan clear", "do not go back"),
        ("rate 24000\n0 0", "at least one"),
        ("rate 24000\n0 480 x", "line 2"),
    ],
)
def test_a_broken_trace_is_told_where(text: str, why: str) -> None:
    with pytest.raises(TraceError, match=why):
        parse(text)


def test_the_examples_are_those_that_are_checked_in() -> None:
    folder = Path(__file__).parents[2] / "scripts" / "traces"
    made = examples()
    assert {name: (folder / name).read_text() for name in made} == made


def test_of_a_recorded_trace_every_sample_is_accounted_for() -> None:
    folder = Path(__file__).parents[2] / "scripts" / "traces"
    recorded = {path.name for path in folder.glob("*.trace")} - examples().keys()
    assert recorded == {"emulator-bad-network.trace"}
    for name in recorded:
        result = replay(parse((folder / name).read_text()))
        assert result.received > 10
        assert result.received == pytest.approx(result.heard + result.discarded)
        assert result.gaps, "it comes too slowly for any buffer"


def test_a_steady_trace_has_no_gap_and_loses_nothing() -> None:
    frames = tuple(Arrival(number * 0.02, 160) for number in range(100))
    result = replay(Trace(8000, (*frames, Arrival(4.0, 800), Arrival(4.02, None))))
    assert result.gaps == []
    assert result.underruns == 0
    assert len(result.turns) == 2
    assert result.received == pytest.approx(2.1)
    assert result.received == pytest.approx(result.heard + result.discarded)
    assert 0 < max(result.turns[0].delays) < 0.06


def test_a_stall_longer_than_the_buffer_is_a_gap() -> None:
    frames = tuple(Arrival(number * 0.02 + (number > 49) * 0.18, 160) for number in range(100))
    result = replay(Trace(8000, frames), (0.04, 0.04))
    assert len(result.gaps) == 1
    assert 0.1 < result.gaps[0] < 0.18
    assert result.underruns == 1
    assert result.received == pytest.approx(result.heard)
