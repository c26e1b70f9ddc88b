"""The table of settings: one place, and what is checked there."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass
from typing import ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import MAX_FRAME_MS, MAX_RATE, MIN_FRAME_MS, MIN_RATE, Encoding
from retell_voice.audio.playout import DEFAULT_TARGET
from retell_voice.devices.sound_files.pcm import RAW
from retell_voice.devices.sound_files.writing import ENCODERS
from retell_voice.errors import ConfigError, did_you_mean, show
from retell_voice.secret import Secret
from retell_voice.settings.schema import Setting, Sourced, setting, table
from retell_voice.settings.sections import SECTIONS, rows_of
from retell_voice.settings.tables.call import CallSettings, RegisterSettings
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.sound import IN, OUT, JitterRange, RawFormat, SoundSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.transport.route import DEFAULT_URL

TALK = table(TalkSettings)
SECRET = "call_0123456789abcdef"


def test_the_limits_are_those_of_the_audio_websocket() -> None:
    """The table repeats them, because importing them would import numpy."""
    for rows in (TALK, table(EmulatorSettings)):
        assert (rows["rate"].minimum, rows["rate"].maximum) == (MIN_RATE, MAX_RATE)
        assert rows["encoding"].choices == tuple(Encoding)
    assert (TALK["frame_ms"].minimum, TALK["frame_ms"].maximum) == (MIN_FRAME_MS, MAX_FRAME_MS)
    assert TALK["jitter_ms"].default == DEFAULT_TARGET
    assert TALK["url"].default == DEFAULT_URL


@pytest.mark.parametrize("row", [row for section in SECTIONS for row in rows_of(section).values()])
def test_every_default_is_acceptable(row: Setting) -> None:
    default = "" if row.default is None else str(row.default)
    assert row.parse(default, row.name) == row.default


def test_names() -> None:
    assert (TALK["frame_ms"].env, TALK["frame_ms"].flag) == ("RETELL_VOICE_FRAME_MS", "--frame-ms")
    port = table(EmulatorSettings)["port"]
    assert (port.env, port.flag) == ("RETELL_VOICE_EMULATOR_PORT", "--port")
    assert TALK["call_id"].flag == "CALL_ID"


def test_programs_share_rows_by_inheritance() -> None:
    @dataclass(frozen=True, kw_only=True)
    class Kiosk(CallSettings):
        section: ClassVar[str] = "kiosk"
        button: Sourced[int] = setting(17, "The button.", "Triggers")  # noqa: RUF009

    rows = table(Kiosk)
    assert rows["button"].env == "RETELL_VOICE_KIOSK_BUTTON"
    assert rows["button"].section == "kiosk"
    assert rows["volume"] == table(SoundSettings)["volume"] == TALK["volume"]
    assert rows["agent"] == table(RegisterSettings)["agent"]


def test_a_parsed_value_travels_and_its_text_is_shown() -> None:
    row = TALK["jitter_ms"]
    assert row.check("0:5000", "jitter_ms") == JitterRange(0.0, 5.0)
    assert row.parse("60:220", "--jitter-ms") == (0.06, 0.22)
    assert str(row.default) == "40:220"


@given(st.integers(0, 5000), st.integers(0, 5000))
def test_the_text_of_a_jitter_range_is_the_range(one: int, other: int) -> None:
    text = f"{min(one, other)}:{max(one, other)}"
    assert str(JitterRange.read(text)) == text


@pytest.mark.parametrize("text", ["", "40", "40:", ":40", "220:40", "-1:40", "0:5001", "0.5:40"])
def test_no_jitter_range(text: str) -> None:
    with pytest.raises(ConfigError, match="is not MIN:MAX") as caught:
        TALK["jitter_ms"].parse(text, "--jitter-ms")
    assert caught.value.hint == "for example 40:220"


def test_no_two_settings_share_a_variable() -> None:
    names = [row.env for section in SECTIONS for row in rows_of(section).values()]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("rate", 7999, "rate: 7999 is outside 8000–48000 Hz"),
        ("rate", 48001, "rate: 48001 is outside 8000–48000 Hz"),
        ("rate", True, "rate must be a whole number, not True"),
        ("rate", 24000.0, "rate must be a whole number, not 24000.0"),
        ("frame_ms", 19, "frame_ms: 19 is outside 20–250 ms"),
        ("frame_ms", 251, "frame_ms: 251 is outside 20–250 ms"),
        ("encoding", "mulaww", "encoding: 'mulaww' is not one of s16le, mulaw"),
        ("updates", 1, "updates must be true or false, not 1"),
        ("url", "https://host", "url: 'https://host' does not begin with ws:// or wss://"),
        ("input", 3, "input must be text, not 3"),
        ("input", "x" * 99, None),
        ("rate", "x" * 99, f"rate must be a whole number, not '{'x' * 58}…"),
    ],
)
def test_values_out_of_range(name: str, value: object, message: str | None) -> None:
    if message is None:
        assert TALK[name].check(value, name) == value
        return
    with pytest.raises(ConfigError) as caught:
        TALK[name].check(value, name)
    assert str(caught.value) == message


@pytest.mark.parametrize("value", [math.inf, -math.inf, math.nan])
def test_a_number_is_finite(value: float) -> None:
    with pytest.raises(ConfigError):
        table(EmulatorSettings)["expiry"].check(value, "expiry")
    with pytest.raises(ConfigError, match="no usable number"):
        Setting(float, 1.0, "", "").check(value, "any")


def test_the_nearest_name_is_suggested() -> None:
    with pytest.raises(ConfigError) as caught:
        TALK["encoding"].check("mulawl", "encoding")
    assert caught.value.hint == "did you mean mulaw?"
    assert did_you_mean("zzz", ["one", "two"]) == "known: one, two"


@pytest.mark.parametrize(
    ("text", "value"), [("1", True), ("YES", True), (" on ", True), ("off", False), ("No", False)]
)
def test_truth_in_the_environment(text: str, value: bool) -> None:
    assert TALK["json"].parse(text, "X") is value


@pytest.mark.parametrize("text", ["", "2", "maybe"])
def test_no_truth_in_the_environment(text: str) -> None:
    with pytest.raises(ConfigError, match="X must be true or false"):
        TALK["json"].parse(text, "X")


def test_a_secret_never_shows() -> None:
    secret = TALK["call_id"].check(SECRET, "call_id")
    assert isinstance(secret, Secret)
    assert secret == SECRET
    for text in (repr(secret), repr(Sourced(secret)), repr(TalkSettings(call_id=Sourced(secret)))):
        assert SECRET not in text
        assert "…cdef" in text
    with pytest.raises(ConfigError) as caught:
        TALK["call_id"].check(1234567890123456, "call_id")
    assert "1234" not in str(caught.value)


def test_a_number_too_long_to_print() -> None:
    assert show(16**9000) == "such a long number"
    with pytest.raises(ConfigError, match="such a long number is outside"):
        TALK["rate"].check(16**9000, "rate")


def test_what_came_from_the_command_line() -> None:
    assert Sourced(1, "--rate").is_flag
    assert Sourced("x", "CALL_ID").is_flag
    assert not Sourced(1, "RETELL_VOICE_RATE").is_flag
    assert not Sourced(1).is_flag


@given(st.sampled_from(IN), st.integers(4000, 192_000), st.integers(1, 99), st.sampled_from(OUT))
def test_formats_of_audio_without_a_header(
    encoding: str, rate: int, channels: int, written: str
) -> None:
    wanted = RawFormat(encoding, rate, channels)
    assert RawFormat.read_input(str(wanted)) == wanted
    assert RawFormat.read_output(f"{written}:{rate}") == RawFormat(written, rate)


@given(st.text(max_size=30))
def test_a_format_is_read_or_refused(text: str) -> None:
    for read in (RawFormat.read_input, RawFormat.read_output):
        with suppress(ValueError):
            assert read(text).rate >= 4000


def test_the_formats_are_those_that_are_read_and_written() -> None:
    """The table repeats them, because importing them would import numpy."""
    assert tuple(RAW) == IN
    assert tuple(ENCODERS) == OUT
