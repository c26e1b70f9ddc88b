"""Bytes from a terminal become keys, in whatever portions they come."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.keys import Decoder, Key, KeyboardFlags


def names(*portions: bytes) -> list[str]:
    decoder = Decoder()
    keys = [key for portion in portions for key in decoder.feed(portion)]
    return [key.name for key in [*keys, *decoder.flush()] if isinstance(key, Key)]


KNOWN = [
    (b"m", ["m"]),
    (b"+- ?", ["+", "-", " ", "?"]),
    ("äß日👍".encode(), ["ä", "ß", "日", "👍"]),
    (b"\r\n\t\x7f\x08", ["enter", "enter", "tab", "backspace", "backspace"]),
    (b"\x01\x0c\x1a", ["ctrl-a", "ctrl-l", "ctrl-z"]),
    (b"\x1b[A\x1b[B\x1b[C\x1b[D", ["up", "down", "right", "left"]),
    (b"\x1bOA\x1bOP", ["up", "f1"]),
    (
        b"\x1b[5~\x1b[6~\x1b[H\x1b[F\x1b[1~\x1b[4~",
        ["pageup", "pagedown", "home", "end", "home", "end"],
    ),
    (b"\x1b[1;5A\x1b[15~\x1b[Z", ["up", "f5", "tab"]),
    (b"\x1bx\x1b\x7f", ["alt-x", "alt-backspace"]),
    (b"\x1b", ["esc"]),
    (b"\x1b\x1b[A", ["esc", "up"]),
    (b"q\x1b[200~q\x1b[Aquit\x1b\x1b[201~m", ["q", "paste", "m"]),
    # What a terminal says of itself, and sequences that mean nothing here.
    (b"\x1b[?2026;2$yq", ["q"]),
    (b"\x1b[24;80R\x1b[Iq\x1b[O", ["q", "unfocus"]),
    (b"\x1b]11;rgb:0000/0000/0000\x07q", ["q"]),
    (b"\x1bP1$r0m\x1b\\q", ["q"]),
    (b"\x1b[[Aq", ["q"]),
    (b"\x1b[99~q", ["q"]),
    # The keyboard that tells more.
    (b"\x1b[97u\x1b[97;2u\x1b[99;5u\x1b[27u", ["a", "A", "ctrl-c", "esc"]),
    (b"\x1b[57441;2uq", ["q"]),
    (b"\x1b[13u\x1b[9u\x1b[127u\x1b[13~", ["enter", "tab", "backspace", "f3"]),
    (b"\x1b[61:43;2;43u\x1b[47:63;2:1;63u\x1b[97;65;65u", ["+", "?", "A"]),  # Shift, Caps Lock
    (b"\x1b[57413;129;43u\x1b[48;3u", ["+", "alt-0"]),  # of the keypad, with Num Lock
    (b"\x1b[1089::99;5u\x1b[92;5u\x1b[1089::99;1;1089u", ["ctrl-c", "ctrl-\\", "с"]),
    (b"\x1b[97;1;98:99u\x1b[97;1;u\x1b[97;1;10u\x1b[99999999999u", ["a", "a", "enter"]),
]


@pytest.mark.parametrize(("data", "keys"), KNOWN)
def test_known_keys(data: bytes, keys: list[str]) -> None:
    assert names(data) == keys


@pytest.mark.parametrize(("data", "keys"), KNOWN)
def test_split_over_reads(data: bytes, keys: list[str]) -> None:
    assert names(*(data[index : index + 1] for index in range(len(data)))) == keys
    for cut in range(len(data)):
        assert names(data[:cut], data[cut:]) == keys


def test_what_was_done_with_a_key() -> None:
    assert Decoder().feed(b"\x1b[32;1:1u\x1b[32;1:2u\x1b[32;1:3u") == [
        Key(" ", "press"),
        Key(" ", "repeat"),
        Key(" ", "release"),
    ]


def test_releases_are_told_where_the_terminal_says_so() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x1b[32;1u") == [Key(" ")]
    assert decoder.feed(b"\x1b[?0u\x1b[?5u\x1b[32;1u") == [
        KeyboardFlags(0),
        KeyboardFlags(5),
        Key(" "),
    ]
    assert decoder.feed(b"\x1b[?31u\x1b[32;1;32u\x1b[32;1:3u \x1b[A") == [
        KeyboardFlags(31),
        Key(" ", "press", is_tracked=True),
        Key(" ", "release", is_tracked=True),
        Key(" "),
        Key("up"),
    ]
    assert decoder.feed(b"\x1b[?99999u") == []


def test_a_lone_escape_needs_a_moment() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x1b") == []
    assert decoder.waiting
    assert decoder.flush() == [Key("esc")]
    assert not decoder.waiting
    assert decoder.feed(b"\x1b[") == []
    assert decoder.flush() == [Key("alt-[")]
    assert decoder.feed(b"\x1b[1;") == []
    assert decoder.flush() == [], "the rest of a sequence that never came"
    assert decoder.feed(b"q") == [Key("q")]


def test_a_paste_is_not_over_because_it_is_slow() -> None:
    decoder = Decoder()
    assert decoder.feed(b"\x1b[200~q") == []
    assert not decoder.waiting
    assert decoder.flush() == []
    assert decoder.feed(b"q" * 100_000) == []
    assert decoder.feed(b"q\x1b[20") == []
    assert decoder.feed(b"1~m") == [Key("paste"), Key("m")]


def test_bytes_that_are_no_text() -> None:
    assert names(b"\xff\xfe\xc3q", b"\xe2\x28m") == ["q", "(", "m"]


@given(st.lists(st.binary(max_size=20)))
def test_any_bytes_in_any_portions(portions: list[bytes]) -> None:
    whole, split = Decoder(), Decoder()
    data = b"".join(portions)
    assert [key for portion in portions for key in split.feed(portion)] == whole.feed(data)
    assert split.flush() == whole.flush()


@given(st.text())
def test_text_is_its_own_keys(text: str) -> None:
    typed = [each for each in text if ord(each) >= 0x20 and ord(each) not in range(0x7F, 0xA0)]
    typed = [each for each in typed if not 0xD800 <= ord(each) < 0xE000]
    assert names("".join(typed).encode()) == typed


def test_a_sequence_without_end_is_given_up() -> None:
    decoder = Decoder()
    decoder.feed(b"\x1b]" + b"x" * 5000)
    assert decoder.feed(b"q") == [Key("q")]
