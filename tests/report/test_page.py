"""The page and its plots: whole, self-contained, and safe whatever was said."""

from __future__ import annotations

import re
import sys
from html.parser import HTMLParser
from xml.etree import ElementTree as ET

import pytest

from retell_voice.errors import ConfigError
from retell_voice.report.account import Account, read
from retell_voice.report.figure import draw
from retell_voice.report.figures import figures
from retell_voice.report.page import Recorded, page
from retell_voice.report.plot import plots
from retell_voice.report.sound import Sound

HOSTILE = "<script>alert(1)</script>\u202e\x1b[2J"
FULL = Account(
    call={"event": "call", "server": HOSTILE, "microphone": HOSTILE},
    near=[(t / 10, -30.0 + t % 7) for t in range(300)],
    far=[(t / 10, -100.0) for t in range(300)],
    you=[(0.5, 1.0)],
    agent=[(1.0, 4.0), (6.0, 9.5)],
    clears=[4.0],
    barge_ins=[(4.0, 0.2)],
    responses=[(6.0, 0.75)],
    depth=[(float(t), 0.1 * t) for t in range(30)],
    target=[(float(t), 0.04) for t in range(30)],
    round_trip=[(5.0, 0.01), (10.0, 0.2)],
    silence=[(5.0, 0.02)],
    underruns=[7.0],
    losses=[(8.0, HOSTILE)],
    utterances=[{"role": HOSTILE, "content": HOSTILE}, {"role": "agent", "content": "x" * 30_000}],
    seen=[1.0, 6.0],
    ended={"by": HOSTILE, "code": HOSTILE, "reason": HOSTILE, "error": HOSTILE},
    end=30.0,
)
WIDE = Account(
    near=[(0.0, 1e12), (1e12, -1e12)],
    far=[(1e12, 0.0)],
    agent=[(1e12, -1e12)],
    clears=[-1e12, 1e12],
    responses=[(1e12, -1e12), (0.0, 1e12)],
    depth=[(0.0, -1e12), (1.0, 1e12)],
    target=[(0.0, 1e12)],
    round_trip=[(5.0, 1e12)],
    end=1e12,
)
"""As wide as a file can make it."""
CALLS = {
    "full": [Recorded("2026 <b>", FULL, Sound("data:audio/wav;base64,AAAA"))],
    "empty": [Recorded("", Account())],
    "wide": [Recorded("x", WIDE)],
    "two": [Recorded(HOSTILE, FULL), Recorded("x", WIDE, Sound("au%22dio.wav", embedded=False))],
}


class Tags(HTMLParser):
    """All tags, what they load, and what would run or style something in an attribute."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: list[str] = []
        self.loads: list[str] = []
        self.inline: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.append(tag)
        self.loads += [value or "" for name, value in attributes if name in ("src", "href")]
        self.inline += [name for name, _ in attributes if name == "style" or name[:2] == "on"]


@pytest.mark.parametrize("calls", CALLS.values(), ids=CALLS)
def test_the_page_needs_nothing_else_and_runs_nothing_else(calls: list[Recorded]) -> None:
    text = page(*calls)
    tags = Tags(text)
    assert {"svg", "table", "h1"} <= set(tags.names)
    assert tags.names.count("script") == tags.names.count("style") == 1
    assert not {"link", "iframe", "img"} & set(tags.names)
    assert not tags.inline
    assert tags.loads == [call.sound.url for call in calls if call.sound is not None]
    assert not re.search("[\u202e\x1b]", text)
    policy = re.search('Content-Security-Policy" content="([^"]*)"', text)
    assert policy is not None
    assert "unsafe" not in policy[1]
    assert policy[1].startswith("default-src 'none'; script-src 'sha256-")


@pytest.mark.parametrize("account", [FULL, Account(), WIDE], ids=["full", "empty", "wide"])
def test_plots_are_xml(account: Account) -> None:
    drawn = ET.fromstring(f"<div>{plots(account, account.end)}</div>")
    texts = [text for each in drawn.iter("text") if (text := "".join(each.itertext()))]
    if account is FULL:
        assert "answered at 00:060.8 s" in texts
        assert "interrupted at 00:04✕ 0.2 s" in texts
    elif not account.near:
        assert texts.count("no levels were recorded") == 2
        assert "no statistics were recorded" in texts


def test_what_is_drawn_has_a_bound_however_much_there_is() -> None:
    many = [(number / 100, -20.0) for number in range(200_000)]
    spans = [(begin, begin + 0.005) for begin, _ in many]
    busy = Account(near=many, far=many, you=spans, depth=many, target=many, end=2000.0)
    busy.clears = [at for at, _ in many]
    busy.responses = many
    assert len(plots(busy, busy.end)) < 3_000_000


def test_a_long_transcript_has_a_bound() -> None:
    lines = [{"role": "user", "content": "x" * 20_000} for _ in range(1000)]
    text = page(Recorded("x", Account(utterances=lines, seen=[0.0] * 1000)))
    assert len(text) < 5_000_000
    assert "more lines" in text


def test_a_line_plays_what_was_said() -> None:
    events = (
        '{"event": "agent_started", "at": 61.5}\n'
        '{"event": "agent_stopped", "at": 63, "interrupted": true, "silent_since": 62.75}\n'
        '{"event": "transcript", "at": 61.0, "utterances": [{"role": "agent", "content": "Hi"}]}\n'
    )
    text = page(Recorded("x", read(events, "x")))
    assert '<li class="agent" data-from="61.500" data-to="62.750">' in text
    assert '<b class="agent">agent</b> Hi <span class="quiet">(interrupted)</span>' in text


def test_without_levels_nothing_is_said_of_how_long_you_spoke() -> None:
    events = (
        '{"event": "agent_started", "at": 1}\n'
        '{"event": "agent_stopped", "at": 3, "interrupted": false, "silent_since": 3}\n'
    )
    rows = dict(figures(read(events, "x")))
    assert rows["the agent was heard"] == "2 s"
    assert "you spoke" not in rows


def test_echo_control_is_told_with_its_state_and_cost() -> None:
    told = '{"event": "statistics", "at": 1, "underruns": 0, "playout_depth": 0, '
    told += '"playout_target": 0.04, "echo": "webrtc", "echo_state": "converged", '
    rows = dict(figures(read(told + '"echo_erle": 41.6, "echo_cost": 0.0287}\n', "x")))
    assert rows["echo control"] == "webrtc, converged"
    assert rows["echo removed"] == "42 dB"
    assert rows["echo control, CPU"] == "2.9 % of a core"
    rows = dict(figures(read(told.replace("webrtc", "off") + '"echo_erle": null}\n', "x")))
    assert not [name for name in rows if name.startswith("echo")]


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError) as caught:
        draw(FULL)
    assert "[report]" in caught.value.hint
