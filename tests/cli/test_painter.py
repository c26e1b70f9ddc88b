"""What is sent to a terminal: the difference."""

from __future__ import annotations

import pyte
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.painter import ENTER, LEAVE, Painter

SIZE = (10, 3)


def plain(*lines: str) -> list[tuple[str, str]]:
    return [(line, line) for line in lines]


def test_only_what_changed_is_sent() -> None:
    painter = Painter()
    first = painter.paint(plain("one", "two", "three"), SIZE)
    assert "\x1b[2J" in first
    assert "three" in first
    assert painter.paint(plain("one", "two", "three"), SIZE) == ""
    second = painter.paint(plain("one", "2", "three"), SIZE)
    assert second == "\x1b[?2026h\x1b[2;1H2\x1b[K\x1b[?2026l"


def test_colours_alone_are_a_change() -> None:
    painter = Painter()
    painter.paint([("\x1b[1mone\x1b[0m", "one")], SIZE)
    assert "\x1b[2mone" in painter.paint([("\x1b[2mone\x1b[0m", "one")], SIZE)


def test_a_full_line_is_not_erased_at_its_end() -> None:
    """In the last column the cursor waits on the character, which erasing would take away."""
    assert "0123456789\x1b[?2026l" in Painter().paint(plain("0123456789"), SIZE)


def test_another_size_or_a_spoilt_screen_is_redrawn() -> None:
    painter = Painter()
    painter.paint(plain("one"), SIZE)
    assert "\x1b[2J" in painter.paint(plain("one"), (20, 3))
    painter.forget()
    assert "one" in painter.paint(plain("one"), (20, 3))


def test_what_is_entered_is_left() -> None:
    for mode in ("1049", "25", "7", "2004"):
        assert f"?{mode}" in ENTER
        assert f"?{mode}" in LEAVE


@given(st.lists(st.lists(st.text("abc ─", max_size=10), min_size=3, max_size=3), max_size=6))
def test_the_terminal_shows_the_last_picture(pictures: list[list[str]]) -> None:
    painter, screen = Painter(), pyte.Screen(*SIZE)
    stream = pyte.Stream(screen)
    for lines in pictures:
        stream.feed(painter.paint(plain(*lines), SIZE))
        assert [line.rstrip() for line in screen.display] == [line.rstrip() for line in lines]
