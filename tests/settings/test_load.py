"""Where settings come from: file, environment, command line."""

from __future__ import annotations

import os
import tomllib
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.settings.config_file import parse_toml
from retell_voice.settings.load import (
    ConfigFile,
    default_path,
    load,
    read_file,
    unknown_variables,
)
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings

SECRET = "call_0123456789abcdef"


def complaint(text: str) -> str:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "c.toml")
    return str(caught.value)


def test_each_layer_goes_before_the_one_below() -> None:
    file = ConfigFile(parse_toml("rate = 8000\nframe_ms = 40\ninput = 'USB'\n", "c.toml"))
    environ = {"RETELL_VOICE_RATE": "16000", "RETELL_VOICE_FRAME_MS": "60", "RETELL_VOICE_JSON": ""}
    flags = {"rate": "44100", "updates": False, "plain": True, "input": None}
    settings = load(TalkSettings, file, environ, flags)
    assert settings.rate == Sourced(44100, "--rate")
    assert settings.frame_ms == Sourced(60, "RETELL_VOICE_FRAME_MS")
    assert settings.input == Sourced("USB", "c.toml line 3")
    assert settings.encoding == Sourced("s16le", "default")
    assert settings.updates == Sourced(False, "--no-updates")
    assert settings.plain == Sourced(True, "--plain")
    assert settings.json == Sourced(False, "default"), "an empty variable is as good as none"


def test_sections_are_parted() -> None:
    file = ConfigFile(parse_toml("rate = 8000\n[emulator]\nrate = 16000\nport = 9\n", "c.toml"))
    assert load(TalkSettings, file, {}, {}).rate.value == 8000
    emulator = load(EmulatorSettings, file, {"RETELL_VOICE_EMULATOR_HOST": "::1"}, {})
    assert emulator.rate == Sourced(16000, "c.toml line 3")
    assert (emulator.port.value, emulator.host.value) == (9, "::1")
    assert emulator.expiry.value == 300.0


def test_empty_text_unsets() -> None:
    file = ConfigFile(parse_toml('input = ""', "c.toml"))
    assert load(TalkSettings, file, {}, {}).input == Sourced(None, "c.toml line 1")


def test_empty_text_unsets_a_number_too() -> None:
    text = 'end_call_after_silence_ms = ""\nagent_version = 3'
    loaded = load(TalkSettings, ConfigFile(parse_toml(text, "c.toml")), {}, {})
    assert loaded.end_call_after_silence_ms.value is None
    assert loaded.agent_version == Sourced(3, "c.toml line 2")


@pytest.mark.parametrize(
    ("text", "version"), [("0", 0), ("12", 12), ("latest", "latest"), ("v1.2", "v1.2")]
)
def test_a_version_is_a_number_or_a_tag(text: str, version: int | str) -> None:
    assert (
        load(TalkSettings, ConfigFile(), {}, {"agent_version": text}).agent_version.value == version
    )


def test_a_whole_number_is_a_number() -> None:
    file = ConfigFile(parse_toml("emulator.expiry = 60", "c.toml"))
    expiry = load(EmulatorSettings, file, {}, {}).expiry
    assert expiry == Sourced(60.0, "c.toml line 1")
    assert isinstance(expiry.value, float)


def test_complaints_name_the_source() -> None:
    with pytest.raises(ConfigError, match=r"^RETELL_VOICE_RATE: 5 is outside 8000–48000 Hz$"):
        load(TalkSettings, ConfigFile(), {"RETELL_VOICE_RATE": "5"}, {})
    with pytest.raises(ConfigError, match=r"^--frame-ms must be a whole number, not 'x'$"):
        load(TalkSettings, ConfigFile(), {}, {"frame_ms": "x"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("\n\nrate = 1", "c.toml line 3: rate: 1 is outside 8000–48000 Hz"),
        ("# rate = 1\r\nrate = 'x'\r\n", "c.toml line 2: rate must be a whole number, not 'x'"),
        ('input = """\nrate = 1\n"""\nrate = 2', "c.toml line 4: rate: 2 is outside 8000–48000 Hz"),
        ("[emulator]\n# no\nport = 70000", "c.toml line 3: port: 70000 is outside 0–65535"),
        ("emulator = {port = -1}", "c.toml line 1: port: -1 is outside 0–65535"),
        ("emulator.port = -1", "c.toml line 1: port: -1 is outside 0–65535"),
        ("'rate' = 1", "c.toml line 1: rate: 1 is outside 8000–48000 Hz"),
        ("rate = [\n1,\n2\n]", "c.toml line 1: rate must be a whole number, not [1, 2]"),
        ("ratee = 1", "c.toml line 1: unknown key 'ratee'"),
        ("\n[talk]\nrate = 8000", "c.toml line 2: unknown key 'talk'"),
        ("[emulator.deep]\nport = 1", "c.toml line 2: unknown key 'emulator.deep.port'"),
        ("emulator = 5", "c.toml line 1: unknown key 'emulator'"),
        ("[[emulator]]\nport = 1\nx = 2", "c.toml line 3: unknown key 'emulator.x'"),
        ("call_id = 5", "c.toml line 1: call_id must be text"),
    ],
)
def test_complaints_name_line_and_key(text: str, expected: str) -> None:
    assert complaint(text) == expected


@pytest.mark.parametrize(
    ("text", "hint"),
    [
        ("frame-ms = 20", "did you mean frame_ms?"),
        ("port = 8080", "did you mean emulator.port?"),
        ("[emulater]\nport = 8080", "did you mean [emulator]?"),
        ("emulater.port = 8080", "did you mean [emulator]?"),
        ("[emulator]\nvolume = 50", "did you mean volume, before any [section]?"),
        ("[emulator]\nprot = 8080", "did you mean emulator.port?"),
        ("zzz = 1", "`retell-voice config init FILE` writes a file with all keys"),
        ("[zzz]\nx = 1", "`retell-voice config init FILE` writes a file with all keys"),
    ],
)
def test_an_unknown_key_is_guessed_at(text: str, hint: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_toml(text, "c.toml")
    assert caught.value.hint == hint


def test_what_is_not_toml() -> None:
    assert "not valid TOML" in complaint("rate 5")
    assert "line 1" in complaint("rate 5")
    assert "not valid TOML" in complaint(f"rate = {'9' * 5000}")
    assert "nested too deeply" in complaint(f"rate = {'[' * 5000}")


@given(st.text())
@example("a." * 300 + "b = 1")
@example("\ufeff")
@example("x = 1\ry = 2")
def test_any_text_is_a_config_or_a_config_error(text: str) -> None:
    with suppress(ConfigError):
        parse_toml(text, "c.toml")


_KEYS = st.sampled_from(["rate", "url", "call_id", "json", "port", "emulator", "x", "[emulator]"])
_VALUES = st.sampled_from(
    ["1", "8000", '"x"', '"""\n\n"""', "[\n1]", "true", "{port=1}", "1.5", ""]
)


@given(st.lists(st.tuples(_KEYS, st.sampled_from([" = ", ".", "", "\n"]), _VALUES)))
def test_any_lines_like_a_config_are_one_or_a_config_error(
    lines: list[tuple[str, str, str]],
) -> None:
    text = "\n".join("".join(line) for line in lines)
    try:
        values = parse_toml(text, "c.toml")
    except ConfigError:
        return
    for (section, name), sourced in values.items():
        line = text.split("\n")[int(sourced.source.rpartition(" ")[2]) - 1]
        assert name in line or section in line
    assert bool(values) == any(
        not isinstance(value, dict) or value for value in tomllib.loads(text).values()
    )


def test_variables_that_are_not_known_are_told() -> None:
    ours = ("RATE", "EMULATOR_PORT", "DEBUG", "PYTHON", "VENV")
    environ = dict.fromkeys([f"RETELL_VOICE_{name}" for name in ours] + ["X", "RETELL_API_KEY"], "")
    assert unknown_variables(environ) == []
    assert unknown_variables({**environ, "RETELL_VOICE_RATES": "", "RETELL_VOICE_FOO": "1"}) == [
        "RETELL_VOICE_RATES is unknown: did you mean RETELL_VOICE_RATE?",
        "RETELL_VOICE_FOO is unknown",
    ]


def test_a_missing_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    monkeypatch.setenv("APPDATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path))
    assert read_file(None) == ConfigFile(), "the default one may be missing"
    with pytest.raises(ConfigError, match=r"other\.toml: no such file"):
        read_file(tmp_path / "other.toml")
    path = default_path()
    assert path.is_relative_to(tmp_path)
    path.parent.mkdir(parents=True)
    path.write_text("rate = 9000")
    assert read_file(None).values["", "rate"] == Sourced(9000, f"{path} line 1")
    assert read_file(None).path == path


def test_unreadable_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=str(tmp_path)):
        read_file(tmp_path)
    (binary := tmp_path / "binary.toml").write_bytes(b"rate = \xff")
    with pytest.raises(ConfigError, match="not UTF-8 text at byte 7"):
        read_file(binary)
    with pytest.raises(ConfigError):
        read_file(Path("nul\0"))


def test_a_byte_order_mark_is_no_error(tmp_path: Path) -> None:
    (path := tmp_path / "c.toml").write_bytes(b"\xef\xbb\xbfrate = 8000\r\n")
    assert read_file(path).values["", "rate"].value == 8000


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
def test_a_secret_that_others_can_read_is_warned_of(tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f'call_id = "{SECRET}"')
    path.chmod(0o644)
    (warning,) = read_file(path).warnings
    assert str(path) in warning
    assert SECRET not in warning
    path.chmod(0o600)
    assert read_file(path).warnings == ()
    path.write_text("rate = 8000")
    path.chmod(0o644)
    assert read_file(path).warnings == ()


def test_a_setting_that_is_repeated(tmp_path: Path) -> None:
    (path := tmp_path / "c.toml").write_text("input_file = ['a:b.wav', 'c.wav']\n")

    def given(text: str = "", flag: object = None) -> Sourced[tuple[str, ...] | None]:
        environ = {"RETELL_VOICE_INPUT_FILE": text}
        return load(TalkSettings, read_file(path), environ, {"input_file": flag}).input_file

    assert given() == Sourced(("a:b.wav", "c.wav"), f"{path} line 1")
    assert given(os.pathsep.join(("a", "b"))).value == ("a", "b")
    assert given(flag=("x:y",)).value == ("x:y",), "as one that was read before"
    assert given("a", ["x:y", "z"]) == Sourced(("x:y", "z"), "--input-file")
    assert given(flag="x:y").value == ("x:y",), "one option is one file"
    assert given(flag=[""]) == Sourced(None, "--input-file"), "none after all"
    assert given(flag=[]).value == ("a:b.wav", "c.wav"), "it was not given"
    for text, value in (("'a.wav'", ("a.wav",)), ("[]", None), ("''", None)):
        path.write_text(f"input_file = {text}\n")
        assert given().value == value
    path.write_text("input_file = ['a', 5]\n")
    with pytest.raises(ConfigError, match="line 1: input_file must be text, not 5"):
        read_file(path)
