"""The live screen at several sizes, compared as text."""

from __future__ import annotations

import io
import time
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.console import Console

from retell_voice.cli.screen import render, speaking
from retell_voice.cli.view import Meter, View, reduce
from retell_voice.events import Alignment, CallState, Statistics, Transcript, Utterance

HELLO = "Hello! This sentence of the agent is so long that it does not fit into a line of it."
VIEW = View(
    call_id="…cdef",
    server="voice.example",
    audio="s16le 24000 Hz",
    microphone="USB microphone",
    speaker="Speakers",
    state=CallState.LIVE,
    at=75.0,
    near_end=Meter(-30.0, -15.0, 74.0),
    far_end=Meter(-60.0, -60.0, 74.0),
    you_spoke_at=75.0,
    turn="user",
    utterances=(Utterance("agent", HELLO), Utterance("user", "Grüße!")),
    caption="a line of it",
    warnings=("01:10 something",),
    statistics=Statistics(playout_depth=1.25, round_trip=0.042),
)


class Terminal(io.StringIO):
    encoding = "utf-8"


def picture(
    view: View, width: int, height: int, *, encoding: str = "utf-8", colours: bool = False
) -> list[str]:
    terminal = Terminal()
    terminal.encoding = encoding
    console = Console(
        file=terminal,
        width=width,
        height=height,
        force_terminal=colours,
        color_system="standard" if colours else None,
        legacy_windows=False,
        _environ={},
    )
    console.print(render(view, width, height), end="")
    return terminal.getvalue().split("\n")[:-1]


def test_80_by_24() -> None:
    lines = picture(VIEW, 80, 24)
    assert lines[0].startswith(" LIVE   01:15  speaking: you ")
    assert lines[0].endswith("voice.example s16le 24000 Hz …cdef")
    assert lines[1] == f"you   {'█' * 20}{'░' * 9}│{'░' * 10}  -30 dB  USB microphone"
    assert lines[2] == f"agent {'░' * 40}  -60 dB  Speakers"
    assert (
        lines[4]
        == "agent Hello! This sentence of the agent is so long that it does not fit into a "
    )
    assert lines[5] == "      line of it."
    assert lines[6] == "you   Grüße!"
    assert lines[-4:-2] == ["heard a line of it", "! 01:10 something"]
    assert lines[-1].startswith("Ctrl-C hangs up")
    assert lines[-1].endswith("your turn, queued 1.2 s, round trip 42 ms")


def test_40_by_10() -> None:
    lines = picture(VIEW, 40, 10)
    assert lines[0] == " LIVE   01:15  speaking: you"
    assert lines[1].startswith("you   █")
    assert "-30 dB" in lines[1]
    assert lines[6] == "you   Grüße!"
    assert lines[7:] == ["heard a line of it", "! 01:10 something", "Ctrl-C hangs up"]


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (20, 5), (40, 10), (80, 24), (250, 60)])
@pytest.mark.parametrize("state", CallState)
def test_the_picture_fills_the_terminal_and_no_more(
    size: tuple[int, int], state: CallState
) -> None:
    width, height = size
    said = tuple(Utterance("user", f"日本語 {HELLO} " * 3) for _ in range(30))
    lines = picture(replace(VIEW, utterances=said, state=state), width, height)
    assert len(lines) == height
    assert all(cell_len(line) <= width for line in lines)


def test_the_end_of_a_long_transcript_shows() -> None:
    said = tuple(Utterance("agent", f"number {index}") for index in range(50))
    lines = picture(replace(VIEW, utterances=said, caption="", warnings=()), 80, 24)
    assert lines[-3] == "agent number 49"
    assert "agent number 32" in lines


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "cp437"])
def test_terminals_that_do_not_know_unicode(encoding: str) -> None:
    lines = picture(VIEW, 80, 24, encoding=encoding)
    "\n".join(lines).encode(encoding)
    assert lines[1].startswith(f"you   {'#' * 20}.........|..")
    assert lines[3] == "-" * 80
    assert ("Grüße" in "".join(lines)) == (encoding != "ascii")


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b" not in "".join(picture(VIEW, 80, 24))
    assert "\x1b[32m" in "".join(picture(VIEW, 80, 24, colours=True))


def test_digital_silence_has_no_level() -> None:
    lines = picture(View(), 80, 24)
    assert lines[1] == f"you   {'░' * 40}    · dB"
    assert lines[0].startswith(" CONNECTING   00:00  speaking: nobody")


def test_hanging_up_says_what_ctrl_c_does_now() -> None:
    lines = picture(replace(VIEW, hanging_up=True), 80, 24)
    assert lines[0].startswith(" HANGING UP ")
    assert lines[-1].startswith("Ctrl-C again exits at once")


def test_both_may_speak() -> None:
    assert speaking(replace(VIEW, agent_speaking=True)) == "agent and you"


@given(st.text(), st.text(), st.integers(1, 120), st.integers(1, 40))
@settings(deadline=None)
def test_whatever_is_said_fits(said: str, caption: str, width: int, height: int) -> None:
    view = reduce(VIEW, Transcript(utterances=(Utterance("agent", said),)))
    view = reduce(view, Alignment(text=caption, duration=1.0))
    lines = picture(view, width, height)
    assert len(lines) == height
    assert all(cell_len(line) <= width for line in lines)
    picture(view, width, height, encoding="ascii")


def test_a_long_call_costs_no_more_than_a_short_one() -> None:
    said = tuple(Utterance("agent", HELLO) for _ in range(20_000))
    view = replace(VIEW, utterances=said)
    begun = time.process_time()
    picture(view, 80, 24)
    assert time.process_time() - begun < 0.2
