"""The page and its figure: whole, self-contained, and safe whatever was said."""

from __future__ import annotations

import sys
import wave
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree as ET

import numpy as np
import pytest

from retell_voice.errors import ConfigError
from retell_voice.report.account import Account, read
from retell_voice.report.figure import draw, svg
from retell_voice.report.levels import hear
from retell_voice.report.page import page

FULL = Account(
    near=[(t / 10, -30.0 + t % 7) for t in range(300)],
    far=[(t / 10, -100.0) for t in range(300)],
    agent=[(1.0, 4.0), (6.0, 9.5)],
    clears=[4.0],
    depth=[(float(t), 0.1 * t) for t in range(30)],
    target=[(float(t), 0.04) for t in range(30)],
    round_trip=[(5.0, 0.01), (10.0, 0.2)],
    silence=[(5.0, 0.02)],
    underruns=[7.0],
    losses=[(8.0, "speaker lost")],
    utterances=[{"role": "user", "content": "<script>alert(1)</script>", "words": []}],
    end=30.0,
)


class Tags(HTMLParser):
    """All tags and what they load."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.names: set[str] = set()
        self.loads: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.names.add(tag)
        self.loads += [
            value or ""
            for name, value in attributes
            if name in ("src", "href", "xlink:href") and not (value or "").startswith("#")
        ]


WIDE = Account(
    near=[(0.0, 1e12), (1e12, -1e12)],
    far=[(1e12, 0.0)],
    agent=[(1e12, -1e12)],
    clears=[-1e12, 1e12],
    depth=[(0.0, -1e12), (1.0, 1e12)],
    target=[(0.0, 1e12)],
    round_trip=[(5.0, 1e12)],
    end=1e12,
)
"""As wide as a file can make it."""


@pytest.mark.parametrize("account", [FULL, Account(), WIDE], ids=["full", "empty", "wide"])
def test_the_page_needs_nothing_else(account: Account) -> None:
    tags = Tags(page(account, svg(draw(account)), "2026 <b>"))
    assert {"svg", "table", "h1"} <= tags.names
    assert not {"script", "link", "iframe", "img", "b"} & tags.names
    assert tags.loads == []


def test_the_figure_is_xml_with_words_and_the_same_each_time() -> None:
    drawn = svg(draw(FULL))
    ET.fromstring(drawn)
    for word in ("you", "agent", "jitter buffer", "clear → silence", "ran dry"):
        assert word in drawn
    assert svg(draw(FULL)) == drawn


def test_an_empty_call_says_what_is_missing() -> None:
    drawn = svg(draw(Account()))
    assert "no levels were recorded" in drawn
    assert "no statistics were recorded" in drawn


def test_what_was_said_is_shown_and_not_run() -> None:
    shown = page(FULL, "", "x")
    assert "&lt;script&gt;alert(1)" in shown
    assert "speaker lost" in shown


def test_words_give_the_time() -> None:
    line = (
        '{"event": "transcript", "utterances": [{"role": "agent", "content": "Hi",'
        '"words": [{"word": "Hi", "start": 61.5, "end": 62}]}]}\n'
    )
    assert "<td>01:01 agent</td><td>Hi</td>" in page(read(line, "x"), "", "x")


def test_without_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(ConfigError) as caught:
        draw(FULL)
    assert "retell-voice[report]" in caught.value.hint


def write(path: Path, frames: np.ndarray, rate: int = 8000) -> None:
    with wave.open(str(path), "wb") as file:
        file.setparams((frames.shape[1], 2, rate, 0, "NONE", ""))
        file.writeframes(frames.astype("<i2").tobytes())


def test_levels_are_heard(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    frames = np.zeros((8000, 2), np.int16)
    frames[4000:, 0] = 16384
    frames[:4000, 1] = -32768
    write(path, frames)
    sides = hear(path, 2.0)
    assert sides is not None
    near, far = sides
    assert near[0] == (pytest.approx(2.01), -100.0)
    assert near[-1] == (pytest.approx(2.99), pytest.approx(-6.02, abs=0.01))
    assert far[0][1] == pytest.approx(0.0)
    assert far[-1][1] == -100.0


def test_hours_are_heard_in_few_points(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    write(path, np.zeros((8000 * 600, 2), np.int16))
    sides = hear(path, 0.0)
    assert sides is not None
    assert len(sides[0]) <= 4001


def test_no_sound_is_no_error(tmp_path: Path) -> None:
    path = tmp_path / "audio.wav"
    assert hear(path, 0.0) is None
    path.write_bytes(b"RIFF")
    assert hear(path, 0.0) is None
    write(path, np.zeros((10, 1), np.int16))
    assert hear(path, 0.0) is None
    write(path, np.zeros((0, 2), np.int16))
    assert hear(path, 0.0) is None
