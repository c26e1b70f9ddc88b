import json
import math
from base64 import b64encode, urlsafe_b64encode
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.protocol.lenient import decode_base64, load_json, tidy


@given(st.binary(max_size=50), st.data())
def test_base64_is_read_however_it_is_written(data: bytes, draw: st.DataObject) -> None:
    encode = draw.draw(st.sampled_from([b64encode, urlsafe_b64encode]))
    text = encode(data).decode()
    if draw.draw(st.booleans()):
        text = text.rstrip("=")
    width = draw.draw(st.integers(1, 20))
    lines = [text[start : start + width] for start in range(0, len(text), width)]
    assert decode_base64(draw.draw(st.sampled_from(["\n", "\r\n", " ", ""])).join(lines)) == data


@pytest.mark.parametrize(
    ("text", "data"), [("AAAAA", b"\0\0\0"), ("A", b""), ("", b""), ("=", b"")]
)
def test_a_character_that_is_not_even_a_byte_is_left_out(text: str, data: bytes) -> None:
    assert decode_base64(text) == data


@pytest.mark.parametrize("text", ["***", "AAA*", "AA=A", "AAää", "AAA\x00"])
def test_what_is_not_base64_is_refused_in_words(text: str) -> None:
    with pytest.raises(ValueError, match=r"^audio is not base64: "):
        decode_base64(text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{", "no JSON: "),
        ("", "no JSON: "),
        ("[" * 100_000, "nested too deeply"),
        ("9" * 5000, "a number has too many digits"),
    ],
)
def test_what_is_not_json_is_refused_in_words(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=f"^{why}"):
        load_json(text)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("[NaN, Infinity, -Infinity]", [None, None, None]),
        ('{"a": 1, "a": 2}', {"a": 2}),
        ("9" * 400, int("9" * 400)),
        (r'"\ud800"', "\ufffd"),
        (r'["\uDFFF", {"\udc00": "\ud83d\ude00"}]', ["\ufffd", {"\ufffd": "\U0001f600"}]),
        (r'"\\ud800"', r"\ud800"),  # no escape sequence: a backslash and letters
    ],
)
def test_what_json_allows_and_nobody_expects_is_read(text: str, value: Any) -> None:
    assert load_json(text) == value


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_what_is_tidy_is_json_to_everybody_and_otherwise_as_it_was(value: Any) -> None:
    text = json.dumps(tidy(value), allow_nan=False, ensure_ascii=False)
    text.encode()
    if isinstance(value, int | str) or (isinstance(value, float) and math.isfinite(value)):
        assert tidy(value) == value


@given(st.text())
def test_nothing_but_a_value_error_is_raised(text: str) -> None:
    with suppress(ValueError):
        load_json(text)
    with suppress(ValueError):
        decode_base64(text)
