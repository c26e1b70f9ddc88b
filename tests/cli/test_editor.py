"""A line as it is typed."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from retell_voice.cli.controls import Controls, Say, press
from retell_voice.cli.editor import Editor
from retell_voice.cli.keys import Decoder, Key

EDITING = ("left", "right", "home", "end", "backspace", "delete", "ctrl-u", "ctrl-k", "ctrl-w")


def typed(*keys: str) -> Editor:
    editor = Editor()
    for each in keys:
        editor = editor.after(Key(each))
    return editor


def test_a_line_is_edited() -> None:
    assert typed(*"helo", "left", "l", "end", "!") == Editor("hello!", 6)
    assert typed(*"one two", "ctrl-w") == Editor("one ", 4)
    assert typed(*"one", "home", "delete", "right", "backspace") == Editor("e", 0)
    assert typed(*"one", "left", "ctrl-k", "ctrl-a", "right", "ctrl-u") == Editor("n", 0)
    assert typed("é", "界", "f5", "esc", "alt-x") == Editor("é界", 2)


def test_what_is_pasted_is_one_line() -> None:
    (key,) = Decoder().feed(b"\x1b[200~two\nlines\x07\x1b[201~")
    assert isinstance(key, Key)
    assert typed("a").after(key) == Editor("atwo lines", 10)
    decoder = Decoder()
    parts = [decoder.feed(bytes([each])) for each in b"\x1b[200~abc\x1b[201~"]
    (key,) = (each for part in parts for each in part)
    assert isinstance(key, Key)
    assert key.text == "abc"


@given(st.lists(st.sampled_from(EDITING) | st.characters(codec="utf-8")), st.integers(2, 30))
def test_the_cursor_is_always_in_view(keys: list[str], width: int) -> None:
    editor = typed(*keys)
    assert 0 <= editor.at <= len(editor.text)
    before, under, behind = editor.window(width)
    assert editor.text[: editor.at].endswith(before)
    assert cell_len(before + under + behind) <= width


def test_enter_opens_it_and_says_what_was_typed() -> None:
    controls, command = press(Controls(no_typing=""), Key("enter"), 1.0, 0)
    assert (controls.editor, command) == (Editor(), None)
    for key in ("q", " ", "m", "?"):
        controls, command = press(controls, Key(key), 1.0, 0)
        assert command is None
    assert controls.editor == Editor("q m?", 4)
    assert not controls.muted
    assert press(controls, Key("x", "release"), 1.0, 0)[0].editor == controls.editor
    assert press(controls, Key("esc"), 1.0, 0) == (Controls(no_typing=""), None)
    controls, command = press(controls, Key("enter"), 1.0, 0)
    assert (controls.editor, command) == (None, Say("q m?"))
    assert press(Controls(editor=Editor(" ", 1)), Key("enter"), 1.0, 0)[1] is None


def test_a_space_bar_held_as_the_line_opens_is_still_let_go() -> None:
    down, up = (Key(" ", action, is_tracked=True) for action in ("press", "release"))
    controls, _ = press(Controls(muted=True, no_typing=""), down, 1.0, 0)
    controls, _ = press(controls, Key("enter"), 2.0, 0)
    controls, _ = press(controls, Key("enter", "repeat"), 2.5, 0)
    assert not controls.silent(3.0)
    controls, _ = press(controls, up, 3.0, 0)
    assert controls.silent(3.0)
    assert controls.editor == Editor(), "still open, and with no space in it"


def test_a_server_that_takes_no_text_says_so() -> None:
    controls, command = press(Controls(no_typing="speech only"), Key("enter"), 1.0, 0)
    assert (controls.editor, controls.notice, command) == (None, "speech only", None)
