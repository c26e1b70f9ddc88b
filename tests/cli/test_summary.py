"""The summary after a call."""

from __future__ import annotations

from functools import reduce as fold

import pytest

from retell_voice.cli.summary import summary
from retell_voice.cli.view import View, reduce
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Ended,
    Event,
    Levels,
    PacketFigures,
    Response,
    Statistics,
)

FIGURES = Statistics(
    frames_sent=50,
    heard=3.21,
    discarded=0.5,
    underruns=2,
    concealed=0.034,
    frames_dropped=1,
    playout_target=0.04,
    clear_to_silence_p50=0.0213,
    clear_to_silence_p95=0.0288,
    round_trip=0.0421,
)


def test_nothing_is_said_of_a_call_that_did_not_come_about() -> None:
    assert summary(View()) == []


def test_a_call_with_troubles() -> None:
    view = reduce(View(), Ended(by="you", code=1000, reason="", statistics=FIGURES, at=75.0))
    assert summary(view) == [
        "01:15  you hung up (1000)",
        "       length 01:15",
        "       sent 50 frames, heard 3.2 s of the agent, 0.5 s cut short",
        "       1 piece of your speech was not sent: the network was too slow",
        "       2 gaps in the agent's voice: it came late",
        "       jitter buffer 40 ms, round trip 42.1 ms",
        "       silent 21 ms after a clear (median; 95 % within 29 ms)",
    ]


@pytest.mark.parametrize(
    ("packets", "lines"),
    [
        (PacketFigures(received=1500), ["1500 packets received, none lost"]),
        (
            PacketFigures(received=95, lost=6, late=1, recovered=0.06),
            [
                "95 packets received, 6 lost (6.0 %), of these 1 late; 0.06 s of audio",
                "recovered, 0.04 s concealed",
            ],
        ),
    ],
)
def test_what_became_of_the_packets(packets: PacketFigures, lines: list[str]) -> None:
    figures = Statistics(packets=packets, concealed=0.04)
    view = reduce(View(), Ended(by="you", code=1000, reason="", statistics=figures, at=75.0))
    assert [line.strip() for line in summary(view)][3 : 3 + len(lines)] == lines


def test_who_spoke_for_how_long() -> None:
    levels: list[Event] = [
        Levels(at=10 + index / 10, near_end=-20 if 0 < index <= 20 else -70, far_end=-100)
        for index in range(60)
    ]
    events = [
        AgentStarted(at=2.0),
        AgentStopped(at=8.3, silent_since=8.0),
        *levels,
        Ended(by="you", code=1000, reason="", at=16.0),
    ]
    lines = summary(fold(reduce, events, View()))
    assert lines[1:3] == [
        "       length 00:16",
        "       you spoke 2 s (25 %: louder than -40 dBFS), the agent 6 s (75 %)",
    ]


def test_how_quickly_the_agent_answered() -> None:
    figures = Statistics(
        responses=3, response_p50=0.812, response_p95=1.9, barge_ins=1, barge_in_p50=0.4
    )
    answers = [Response(at=at, delay=delay) for at, delay in ((5, 0.81), (65, 1.9), (70, 0.7))]
    ended = Ended(by="you", code=1000, reason="", at=80.0, statistics=figures)
    assert summary(fold(reduce, [*answers, ended], View()))[3:5] == [
        "       the agent answered after 0.81 s (median of 3; 95 % within 1.90 s, slowest",
        "       1.90 s at 01:05)",
    ]
    assert "you interrupted it once: silent 0.40 s after you began" in "\n".join(
        summary(fold(reduce, [*answers, ended], View()))
    )
    once = Statistics(responses=1, response_p50=0.812, response_p95=0.812)
    ended = Ended(by="you", code=1000, reason="", at=80.0, statistics=once)
    lines = summary(fold(reduce, [answers[0], ended], View()))
    assert lines[3] == "       the agent answered after 0.81 s"


def test_no_line_is_too_long_for_80_columns() -> None:
    figures = Statistics(
        device_losses=12345,
        frames_dropped=12345,
        capture_xruns=12345,
        playback_xruns=12345,
        underruns=12345,
        events_dropped=12345,
    )
    reason = "the agent has said all that there was to say, and so has the caller, it seems."
    view = View(recording="a path/" * 20)
    view = reduce(view, Ended(by="server", code=1000, reason=reason, statistics=figures, at=75.0))
    *lines, recorded, report = summary(view)
    assert max(map(len, lines)) <= 80
    assert " ".join(line.strip() for line in lines).count(reason) == 1
    assert recorded.endswith("a path/" * 20)
    assert "a path/" * 20 in report


def test_where_it_was_recorded_and_what_to_do_with_it() -> None:
    view = View(recording="my calls/2026-01-31T12-00-00")
    view = reduce(view, Ended(by="you", code=1000, reason="", at=1.0))
    assert summary(view)[-2:] == [
        "       recorded in my calls/2026-01-31T12-00-00",
        "       hear and see it: retell-voice report --open 'my calls/2026-01-31T12-00-00'",
    ]
