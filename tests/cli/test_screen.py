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

from retell_voice.cli.captions import Captions
from retell_voice.cli.controls import Choice, Controls, Panel
from retell_voice.cli.editor import Editor
from retell_voice.cli.screen import render, speaking
from retell_voice.cli.view import Meter, Note, Talk, View, reduce
from retell_voice.events import (
    Alignment,
    CallState,
    PacketFigures,
    Statistics,
    Transcript,
    Utterance,
)

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
    you=Talk(since=74.0, until=75.0),
    turn="user",
    said=(Utterance("agent", HELLO), Utterance("user", "Grüße!")),
    began=(0.5, 71.0),
    captions=Captions(before="a line ", piece="of it now", start=74.5, duration=1.0),
    has_captions=True,
    notes=(Note(70.0, "something"),),
    statistics=Statistics(playout_depth=1.25, playout_target=0.06, round_trip=0.042),
)
KEYS = Controls(has_keys=True)
PANELS: tuple[Panel, ...] = ("", "help", "statistics", "devices", "keypad")


class Terminal(io.StringIO):
    encoding = "utf-8"


def picture(
    view: View,
    width: int,
    height: int,
    controls: Controls = KEYS,
    *,
    encoding: str = "utf-8",
    colours: bool = False,
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
    console.print(render(view, controls, width, height), end="")
    return [line.rstrip() for line in terminal.getvalue().split("\n")[:-1]]


def test_80_by_24() -> None:
    lines = picture(VIEW, 80, 24)
    assert lines[0].startswith(" LIVE  01:15  you speak   ")
    assert lines[0].endswith("voice.example s16le 24000 Hz …cdef")
    assert lines[1] == f"● you   {'█' * 16}{'░' * 7}│{'░' * 8} -30 dB  USB microphone"
    assert lines[2] == f"  agent {'░' * 32} -60 dB  Speakers"
    assert lines[3] == lines[18] == "─" * 80
    assert lines[4] == f"00:00  agent {HELLO[:65]}"
    assert lines[5] == f"             {HELLO[66:]}"
    assert lines[6] == "01:11  you   Grüße!"
    assert lines[7:18] == [""] * 11
    assert lines[19:] == [
        "heard a line of it now",
        "",
        "! 01:10 something",
        "▂▄▆█ good   round trip 42 ms   jitter 60 ms   gaps 0   your turn   queued 1.2 s",
        "q hang up   ? help   m mute   +- volume   d devices   s statistics",
    ]


def test_40_by_10() -> None:
    assert picture(VIEW, 40, 10) == [
        " LIVE  01:15  you speak",
        "● you   ████████░░░│░░░░ -30 dB  USB mi…",
        "  agent ░░░░░░░░░░░░░░░░ -60 dB  Speake…",
        "      is so long that it does not fit",
        "      into a line of it.",
        "you   Grüße!",
        "heard a line of it now",
        "! 01:10 something",
        "▂▄▆█ good   round trip 42 ms",
        "q hang up   ? help   m mute   +- volume",
    ]


def test_18_by_4_says_how_to_hang_up() -> None:
    assert picture(VIEW, 18, 4) == [
        " LIVE  01:15",
        "● you   █████░░│░░",
        "  agent ░░░░░░░░░░",
        "q hang up   ? help",
    ]
    assert picture(VIEW, 18, 4, Controls())[-1] == "Ctrl-C hangs up"
    assert picture(VIEW, 18, 4, Controls(muted=True))[0] == " LIVE  01:15 MUTED"
    assert picture(VIEW, 18, 2)[-1] == "q hang up   ? help"


def test_200_by_60() -> None:
    lines = picture(VIEW, 200, 60)
    assert len(lines) == 60
    assert lines[1].startswith(f"● you   {'█' * 30}")
    assert lines[4] == f"00:00  agent {HELLO}"


@pytest.mark.parametrize("size", [(1, 1), (10, 3), (18, 4), (40, 10), (80, 24), (250, 60)])
@pytest.mark.parametrize("state", CallState)
@pytest.mark.parametrize("panel", PANELS)
def test_the_picture_fills_the_terminal_and_no_more(
    size: tuple[int, int], state: CallState, panel: Panel
) -> None:
    width, height = size
    said = tuple(Utterance("user", f"日本語 {HELLO} " * 3) for _ in range(30))
    view = replace(VIEW, said=said, began=(1.0,) * 30, state=state)
    devices = tuple(Choice("far_end", f"日本語 {HELLO}", "ALSA") for _ in range(30))
    for upto in (None, 7):
        controls = Controls(panel=panel, choices=devices, upto=upto)
        lines = picture(view, width, height, controls)
        assert len(lines) == height
        assert all(cell_len(line) <= width for line in lines)


def test_the_end_of_a_long_conversation_shows() -> None:
    said = tuple(Utterance("agent", f"number {index}") for index in range(50))
    view = replace(
        VIEW, said=said, began=(0.0,) * 50, has_captions=False, captions=Captions(), notes=()
    )
    lines = picture(view, 80, 24)
    assert lines[20] == "00:00  agent number 49"
    assert lines[4] == "00:00  agent number 33"
    looking_back = picture(view, 80, 24, Controls(upto=20))
    assert looking_back[19] == "00:00  agent number 19"
    assert looking_back[20] == "30 more below; End follows the conversation"


def test_the_end_of_a_long_utterance_shows() -> None:
    content = " ".join(f"word{index}" for index in range(20_000))
    view = replace(VIEW, said=(Utterance("agent", content),), began=(0.0,))
    begun = time.process_time()
    lines = picture(view, 80, 24)
    assert time.process_time() - begun < 0.2
    assert lines[17].endswith("word19999")
    # However much it grows, the lines above stay where they broke.
    grown = replace(view, said=(Utterance("agent", f"{content} more"),))
    assert picture(grown, 80, 24)[4:17] == lines[4:17]


@pytest.mark.parametrize("encoding", ["ascii", "iso8859-1", "cp437"])
def test_terminals_that_do_not_know_unicode(encoding: str) -> None:
    for panel in PANELS:
        lines = picture(VIEW, 80, 24, Controls(panel=panel), encoding=encoding)
        "\n".join(lines).encode(encoding)
        assert lines[1].startswith(f"* you   {'#' * 16}.......|..")
        assert lines[3] == "-" * 80
    assert ("Grüße" in "".join(picture(VIEW, 80, 24, encoding=encoding))) == (encoding != "ascii")


def test_colours_only_where_they_are_wanted() -> None:
    assert "\x1b" not in "".join(picture(VIEW, 80, 24))
    assert "\x1b[32m" in "".join(picture(VIEW, 80, 24, colours=True))


def test_the_word_that_is_heard_stands_out() -> None:
    heard = picture(VIEW, 80, 24, colours=True)[19]
    assert "\x1b[1;4mit\x1b[0m" in heard
    assert "\x1b[2mnow\x1b[0m" in heard


def test_an_interruption_is_seen() -> None:
    cut = replace(VIEW, captions=VIEW.captions.stopped(75.0, interrupted=True))
    assert picture(cut, 80, 24)[19] == "heard a line of it —"
    assert picture(cut, 80, 24, encoding="ascii")[19] == "heard a line of it --"


def test_nothing_moves_when_somebody_speaks_or_a_caption_comes() -> None:
    quiet = replace(VIEW, you=Talk(), captions=Captions())
    agent = replace(VIEW, you=Talk(), agent=Talk(since=70.0, until=75.0))
    for width, height in ((80, 24), (60, 15), (40, 10), (200, 50)):
        pictures = [picture(view, width, height) for view in (quiet, VIEW, agent)]
        assert len({line[0].rstrip()[27:] for line in pictures}) == 1
        quality = [next(n for n, line in enumerate(each) if "good" in line) for each in pictures]
        rules = [[n for n, line in enumerate(each) if line[:1] == "─"] for each in pictures]
        assert len(set(quality)) == 1
        assert rules[0] == rules[1] == rules[2]


def test_a_panel_takes_the_room_it_needs() -> None:
    panels: dict[Panel, str] = {"help": "audio lost.", "statistics": "devices lost"}
    for panel, last in panels.items():
        roomy = picture(VIEW, 80, 24, Controls(panel=panel))
        assert "●" in roomy[1], "the meters stay"
        tight = picture(VIEW, 80, 18, Controls(panel=panel))
        assert any(last in line for line in tight)
    narrow = "\n".join(picture(VIEW, 50, 24, Controls(panel="help"))[1:])
    assert "…" not in narrow, "no word is cut"


def test_long_captions_show_the_word_that_is_heard() -> None:
    piece = " ".join(f"word{index:02}" for index in range(60))
    view = replace(VIEW, captions=Captions(piece=piece, start=74.0, duration=2.0))
    shown = picture(view, 80, 24, colours=True)
    assert sum("\x1b[1;4mword30" in line or "\x1b[1;4mword29" in line for line in shown) == 1


def test_digital_silence_has_no_level() -> None:
    lines = picture(View(), 80, 24)
    assert lines[1] == f"  you   {'░' * 32}   · dB"
    assert lines[0].startswith(" CONNECTING  00:00")


def test_a_level_just_above_silence_moves_nothing() -> None:
    lines = picture(replace(VIEW, near_end=Meter(-99.6, -99.6), far_end=Meter(-99.4)), 80, 24)
    assert lines[1].index(" dB") == lines[2].index(" dB")
    assert "-99 dB" in lines[2]


def test_hanging_up_says_what_ctrl_c_does_now() -> None:
    lines = picture(replace(VIEW, hanging_up=True), 80, 24)
    assert lines[0].startswith(" HANGING UP ")
    assert lines[-1].startswith("Ctrl-C again exits at once")


def test_who_speaks() -> None:
    agent = Talk(since=70.0, until=75.0)
    assert speaking(VIEW) == "you speak"
    assert speaking(replace(VIEW, agent=agent)) == "both speak"
    assert speaking(replace(VIEW, agent=agent, you=Talk())) == "agent speaks"
    assert speaking(replace(VIEW, you=Talk(since=70.0, until=74.0))) == "silence"


def test_muted_is_seen_without_colours() -> None:
    lines = picture(VIEW, 80, 24, Controls(has_keys=True, muted=True))
    assert " MUTED " in lines[0]
    assert "space hold to talk" in lines[-1]
    assert "m unmute" in lines[-1]
    held = picture(VIEW, 80, 24, Controls(muted=True, held_until=76.0))
    assert " TALKING " in held[0]


def test_volume_and_lost_devices_stand_at_the_meters() -> None:
    lines = picture(replace(VIEW, lost=frozenset({"near_end"})), 80, 24, Controls(volume=120))
    assert lines[1].endswith("dB  gone:  USB microphone")
    assert lines[2].endswith("dB  vol 120 %  Speakers")


def test_an_answer_to_a_key_shows_for_a_while() -> None:
    controls = KEYS.noticed("muted", 73.0)
    assert picture(VIEW, 80, 24, controls)[-1] == "muted"
    assert picture(replace(VIEW, at=78.0), 80, 24, controls)[-1].startswith("q hang up")


def test_help_says_what_every_key_does() -> None:
    controls = Controls(has_keys=True, panel="help")
    text = "\n".join(picture(VIEW, 80, 24, controls))
    for key in ("m ", "space ", "+ - ", "d ", "s ", "Up Down ", "q ", "Ctrl-L "):
        assert f"\n{key}" in text
    all_of_it = replace(controls, has_keypad=True, no_typing="")
    more = "\n".join(picture(VIEW, 80, 30, all_of_it))
    for key in ("t ", "Enter "):
        assert f"\n{key}" in more
        assert f"\n{key}" not in text, "it would do nothing"
    assert "0.75 s" in text
    assert "audio lost." in text, "it is whole on 80 by 24"
    assert text.endswith("Esc closes   q hangs up")


def test_what_is_typed_shows_with_its_cursor() -> None:
    controls = replace(KEYS, no_typing="", editor=Editor("who are you", 3))
    assert picture(VIEW, 80, 24, controls)[-1] == "say   who are you"
    narrow = picture(VIEW, 12, 4, replace(controls, editor=Editor("who are you", 11)))[-1]
    assert narrow.rstrip().endswith("you")
    assert "Enter type" in picture(VIEW, 80, 24, replace(controls, editor=None))[-1]


def test_statistics() -> None:
    figures = Statistics(
        frames_sent=506,
        bytes_sent=486_000,
        capture_drift=-12.0,
        playback_latency=0.012,
        clear_to_silence_p50=0.121,
        clear_to_silence_p95=0.125,
        responses=4,
        response_last=0.92,
        response_p50=0.81,
        response_p95=1.4,
        barge_ins=1,
        barge_in_p50=0.35,
        echo="webrtc",
        echo_state="converged",
        echo_erle=38.2,
        echo_cost=0.0117,
    )
    view = replace(VIEW, statistics=figures)
    text = "\n".join(picture(view, 80, 24, Controls(panel="statistics")))
    for line in (
        "sent             506 frames, 486 kB",
        "-12 ppm",
        "12 ms",
        "not known yet",
        "clear to silence 121 ms (95 %: 125)",
        "answers after    0.92 s",
        "median, 95 %   0.81 s, 1.40 s",
        "gives way after  0.35 s (median)",
        "echo control     webrtc",
        "echo removed     38 dB, converged",
        "echo CPU         1.2 % of a core",
    ):
        assert line in text
    assert "…" not in text.partition("\n")[2], "nothing is cut off"
    narrow = "\n".join(picture(view, 76, 24, Controls(panel="statistics")))
    assert "(95 %: 125)" in narrow, "the narrowest of two columns"
    assert picture(view, 40, 29, Controls(panel="statistics"))[1] == "Network"
    packets = PacketFigures(received=950, lost=51, late=1, recovered=0.5, expanded=0.012)
    view = replace(VIEW, statistics=replace(figures, packets=packets))
    text = "\n".join(picture(view, 80, 24, Controls(panel="statistics")))
    for line in (
        "lost, late       51 (5.1 %), 1",
        "recovered        500 ms",
        "delay            0 ms",
    ):
        assert line in text
    assert "clear" not in text, "a web call has none"


def test_devices() -> None:
    assert "looking for devices …" in picture(VIEW, 80, 24, Controls(panel="devices"))
    choices = (
        Choice("near_end", "Head\x1bset", "ALSA", in_use=True),
        Choice("far_end", "Speakers", "ALSA"),
    )
    controls = Controls(has_keys=True, panel="devices", choices=choices)
    lines = picture(VIEW, 80, 24, controls)
    assert lines[-1] == "1-2 selects it   Esc closes   q hangs up"
    assert lines[4] == "Microphones"
    assert lines[5] == f"  1  {'Headset':<34}ALSA  in use"
    assert lines[6:8] == ["Speakers", f"  2  {'Speakers':<34}ALSA"]
    assert lines[9] == "Devices plugged in since the program started are not listed."
    assert picture(VIEW, 80, 24, replace(controls, above=1)) == lines, "all of it is to be seen"
    typed = picture(VIEW, 80, 24, replace(controls, typed="1"))
    assert typed[-1] == "number 1   Enter selects it"
    assert "     none" in picture(VIEW, 80, 24, Controls(panel="devices", choices=()))


def test_a_long_list_of_devices_scrolls() -> None:
    many = tuple(Choice("far_end", f"Speaker {index}") for index in range(1, 31))
    controls = Controls(has_keys=True, panel="devices", choices=many)
    lines = picture(VIEW, 80, 24, controls)
    assert lines[4:8] == ["Microphones", "     none", "Speakers", "  1  Speaker 1"]
    assert lines[19] == "…"
    scrolled = picture(VIEW, 80, 24, replace(controls, above=4))
    assert scrolled[4] == "  2  Speaker 2"
    assert "not listed." in picture(VIEW, 80, 24, replace(controls, above=29))[19]


@given(st.text(), st.text(), st.integers(1, 120), st.integers(1, 40))
@settings(deadline=None)
def test_whatever_is_said_fits(said: str, caption: str, width: int, height: int) -> None:
    view = reduce(VIEW, Transcript(utterances=(Utterance("agent", said),)))
    view = reduce(view, Alignment(text=caption, duration=1.0, at=74.5))
    lines = picture(view, width, height)
    assert len(lines) == height
    assert all(cell_len(line) <= width for line in lines)
    picture(view, width, height, encoding="ascii")


def test_a_long_call_costs_no_more_than_a_short_one() -> None:
    said = tuple(Utterance("agent", HELLO) for _ in range(20_000))
    view = replace(VIEW, said=said, began=(0.0,) * 20_000)
    begun = time.process_time()
    picture(view, 80, 24)
    assert time.process_time() - begun < 0.2


def test_the_keypad_shows_the_keys_of_a_telephone_and_what_was_sent() -> None:
    lines = picture(VIEW, 80, 24, replace(KEYS, panel="keypad", has_keypad=True, pressed="12#"))
    shown = "\n".join(lines)
    for row in ("1   2   3", "*   0   #", "sent  12#", "0-9 * # are sent"):
        assert row in shown
