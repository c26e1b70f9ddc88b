"""The pure parts of scripts/bench that are about packets."""

import sys
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts.packet_replay import replay, run
from bench_parts.packet_traces import PacketTrace, Way, dump, examples, parse
from bench_parts.traces import FOLDER, TraceError

EXAMPLES = examples()


@given(
    st.lists(
        st.tuples(st.integers(0, 10**6), st.none() | st.integers(0, 10**6)), min_size=1
    ).filter(lambda rows: any(arrived is not None for _, arrived in rows)),
    st.sampled_from([10, 20, 40, 60]),
    st.text("ab#\n ", max_size=9),
)
def test_a_trace_is_read_back_as_it_was_written(
    rows: list[tuple[int, int | None]], ms: int, comment: str
) -> None:
    ways = tuple(
        Way(sent / 10000, None if arrived is None else arrived / 10000)
        for sent, arrived in sorted(rows, key=lambda row: row[0])
    )
    read = parse(dump(PacketTrace(ms, ways), comment))
    assert read.ms == ms
    assert [way.sent for way in read.ways] == pytest.approx([way.sent for way in ways])
    for way, written in zip(read.ways, ways, strict=True):
        assert way.arrived == pytest.approx(written.arrived)


@given(st.text())
def test_any_text_is_a_trace_or_said_not_to_be(text: str) -> None:
    with suppress(TraceError):
        assert parse(text).ways


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("", "no packet arrives"),
        ("packets 20\n0 lost", "no packet arrives"),
        ("0 1", "packets MS"),
        ("packets 20\npackets 20", "once"),
        ("packets 25", "10, 20, 40 or 60"),
        ("packets 20\n20 30\n0 10", "line 3"),
        ("packets 20\n0 -1", "arrives at 0"),
        ("packets 20\n0 nan", "arrives at 0"),
        ("packets 20\n0 1 2", "line 2"),
    ],
)
def test_a_broken_trace_is_told_where(text: str, why: str) -> None:
    with pytest.raises(TraceError, match=why):
        parse(text)


def test_the_examples_are_those_that_are_checked_in() -> None:
    assert {name: (FOLDER / name).read_text() for name in EXAMPLES} == EXAMPLES


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_sample_of_a_trace_is_accounted_for(name: str) -> None:
    result = replay(parse(EXAMPLES[name]))
    assert result.received > 28
    assert result.received == pytest.approx(result.heard + result.discarded)


def test_a_calm_network_adds_15_ms_and_a_stall_is_over_in_three_seconds() -> None:
    calm = replay(parse(EXAMPLES["calm.packets"]))
    assert max(calm.delays) <= 0.025
    assert (calm.concealed, calm.lost, calm.fixed_late) == (0, 0, 0)
    stalled = replay(parse(EXAMPLES["stall-200ms.packets"]))
    assert max(stalled.delays) > 0.15
    assert 0 < stalled.longest_over < 3
    assert stalled.fixed_late > 3


def test_a_rough_network_costs_little_more_than_what_it_loses() -> None:
    trace = parse(EXAMPLES["jitter-60ms-loss-5.packets"])
    result = replay(trace)
    never = sum(way.arrived is None for way in trace.ways)
    assert result.lost - result.late == pytest.approx(never, abs=3)
    made_up = (result.concealed + result.recovered) / result.played
    assert made_up < 1.6 * never / len(trace.ways)
    assert result.recovered > 0


def test_what_is_printed_says_each_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "mine.packets"
    lines = [f"{index * 20}.0 {index * 20 + 30}.0" for index in range(150)]
    path.write_text("\n".join(["packets 20", *lines]))
    rows = run(path)
    assert "     2 s  delay   15 ms  target   15 ms" in capsys.readouterr().out
    assert rows[0].what == "mine.packets: added delay, median / 95th percentile / most"
    assert not any(row.missed for row in rows)
    assert not run(path, (0.1, 0.2), seconds=False)[-1].missed
    assert not capsys.readouterr().out
