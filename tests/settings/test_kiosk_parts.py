"""What the settings of a kiosk's parts accept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.settings.schema import table
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import KEYS, WAKE_WORDS, Key, Lamp, Line, WakeWords

ROWS = table(KioskSettings)


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("button", "GPIO17", Line(17)),
        ("button", "17", Line(17)),
        ("button", "gpio4", Line(4)),
        ("button", "PIN_11", Line("PIN_11")),
        ("led", "GPIO27", Lamp(line=Line(27))),
        ("led", "ACT", Lamp(led="ACT")),
        ("led", "default-on:green.0", Lamp(led="default-on:green.0")),
        ("input_key", "any", Key(None)),
        ("input_key", "KEY_ENTER", Key(28)),
        ("input_key", "space", Key(57)),
        ("input_key", "164", Key(164)),
        ("wake_words", "okay_nabu", WakeWords((("okay_nabu", None),))),
        (
            "wake_words",
            "okay_nabu = 0.9,alexa",
            WakeWords((("okay_nabu", 0.9), ("alexa", None))),
        ),
        ("mqtt_url", "mqtt://broker", "mqtt://broker"),
        ("mqtt_url", "mqtts://[::1]:8883", "mqtts://[::1]:8883"),
        ("mqtt_id", "hall-2", "hall-2"),
        ("mqtt_discovery", "ha/x", "ha/x"),
    ],
)
def test_what_is_taken(name: str, text: str, value: object) -> None:
    assert ROWS[name].check(text, name) == value
    assert ROWS[name].check(str(value), name) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("button", " "),
        ("led", "../x"),
        ("led", ".."),
        ("led", "a/b"),
        ("input_key", "F99"),
        ("input_key", "0"),
        ("input_key", "768"),
        ("wake_words", "hey_you"),
        ("wake_words", "alexa=1.5"),
        ("wake_words", "alexa=high"),
        ("wake_words", "alexa=nan"),
        ("wake_words", "alexa,alexa"),
        ("wake_words", "alexa,"),
        ("mqtt_url", "mqtt://"),
        ("mqtt_url", "http://broker"),
        ("mqtt_url", "mqtt://user:secret@broker"),
        ("mqtt_url", "mqtt://broker:99999"),
        ("mqtt_url", "mqtt://broker:0"),
        ("mqtt_id", "a/b"),
        ("mqtt_discovery", "a/#"),
    ],
)
def test_what_is_not_taken_is_told(name: str, text: str) -> None:
    with pytest.raises(ConfigError, match=name) as caught:
        ROWS[name].check(text, name)
    assert "None" not in caught.value.hint


@given(
    st.dictionaries(
        st.sampled_from(WAKE_WORDS),
        st.none() | st.integers(1, 99).map(lambda n: n / 100),
        min_size=1,
    )
)
def test_words_are_written_as_they_are_read(words: dict[str, float | None]) -> None:
    made = WakeWords(tuple(words.items()))
    assert WakeWords.read(str(made)) == made


@given(st.text())
def test_any_text_is_a_value_or_a_complaint(text: str) -> None:
    for kind in (Line, Lamp, Key, WakeWords):
        try:
            value = kind.read(text)
        except ValueError:
            continue
        assert kind.read(str(value)) == value


def test_every_key_has_a_code_of_its_own() -> None:
    assert len(set(KEYS.values())) == len(KEYS)
