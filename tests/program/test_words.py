"""Events in words, and texts of the server made harmless."""

from __future__ import annotations

import pytest

from retell_voice.echo.choice import Choice, Method
from retell_voice.events import (
    AgentStarted,
    EchoSuspected,
    Ended,
    LatencyChanged,
    MicrophoneSilent,
    MonitorChanged,
    NetworkChanged,
)
from retell_voice.program.words import echo_hint, ending, news, warn
from retell_voice.shown import clock


def test_what_people_should_know() -> None:
    assert "no permission" in str(warn(MicrophoneSilent(name="Jabra")))
    assert warn(AgentStarted()) is None


@pytest.mark.parametrize(
    ("echo", "advice"),
    [
        ("off", "use headphones, or --echo webrtc"),
        ("webrtc", "turn the speaker down, try --echo half-duplex"),
        ("a board's own", "(a board's own): turn the speaker down"),
        ("half-duplex", "turn the speaker down, or use headphones"),
    ],
)
def test_an_agent_that_hears_itself_comes_with_what_to_do(echo: str, advice: str) -> None:
    said = str(warn(EchoSuspected(echo=echo)))
    assert said.startswith("the agent seems to hear itself")
    assert advice in said


def test_what_would_control_the_echo_is_said_in_a_line() -> None:
    missing = Choice(Method.OFF, "no canceller is installed", "with open speakers: install it")
    assert echo_hint(missing) == (
        "echo control is off: no canceller is installed; with headphones: --echo off; "
        "with open speakers: install it"
    )
    assert echo_hint(Choice(Method.OFF, "it is a headset")) == echo_hint(None) == ""


def test_a_latency_that_rises_is_a_warning_and_one_that_falls_is_news() -> None:
    up = LatencyChanged(side="far_end", why="gaps", old=0.01, new=0.03)
    down = LatencyChanged(side="near_end", why="calm", old=0.03, new=None)
    assert (news(up), warn(down)) == (None, None)
    assert str(warn(up)).startswith("gaps at the speaker")
    assert str(warn(up)).endswith("latency raised to 30 ms")
    assert news(down) == "no gaps at the microphone for a while: latency lowered"


def test_a_network_that_fails_is_told_and_so_is_what_that_means() -> None:
    stalled = NetworkChanged(state="stalled", silent_for=2.0)
    back = NetworkChanged(state="back", silent_for=3.1)
    assert (news(stalled), warn(back)) == (None, None)
    assert warn(stalled) == "no audio from the server for 2 s"
    assert news(back) == "audio from the server is back after 3 s"
    assert warn(MonitorChanged(state="attached")) is None
    again = warn(MonitorChanged(state="retrying", why="it broke\x1b"))
    assert again == "the transcript is interrupted, reconnecting: it broke"
    assert "the call goes on: no key" in str(warn(MonitorChanged(state="lost", why="no key")))


@pytest.mark.parametrize(
    ("ended", "text"),
    [
        (Ended(by="you", code=1000, reason=""), "you hung up (1000)"),
        (
            Ended(by="server", code=1011, reason="no\x1b money"),
            "the server closed the call (1011: no money)",
        ),
        (Ended(by="network", code=None, reason=""), "the connection was lost"),
        (Ended(by="device", code=1000, reason="bye"), "a device was lost (1000: bye)"),
    ],
)
def test_code_and_reason_always_show(ended: Ended, text: str) -> None:
    assert ending(ended) == text


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00"), (59.99, "00:59"), (3661, "61:01")])
def test_clock(seconds: float, text: str) -> None:
    assert clock(seconds) == text
