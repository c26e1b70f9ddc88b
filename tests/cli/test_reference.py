"""What is made from the table of settings is what is in the repository."""

from __future__ import annotations

import re
from pathlib import Path

from retell_voice.cli.reference import example, exit_codes, in_force
from retell_voice.errors import RetellVoiceError
from retell_voice.settings.load import ConfigFile, load, parse_toml
from retell_voice.settings.schema import Sourced, table
from retell_voice.settings.tables import SECTIONS, TalkSettings

ROOT = Path(__file__).parents[2]
SECRET = "call_0123456789abcdef"


def test_the_example_is_the_generated_one() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example(), (
        "run: python -m retell_voice.cli.reference"
    )


def test_the_example_loads_as_it_is() -> None:
    assert parse_toml(example(), "c.toml") == {}


def test_the_example_with_every_line_on_gives_the_defaults() -> None:
    text = re.sub(r"^#(?=\w)", "", example(), flags=re.MULTILINE)
    file = ConfigFile(parse_toml(text, "c.toml"))
    for known in SECTIONS.values():
        loaded, defaults = load(known, file, {}, {}), known()
        for name, row in table(known).items():
            assert (row.section, name) in file.values
            assert getattr(loaded, name).value == getattr(defaults, name).value


def test_settings_in_force_say_whence_and_hide_secrets() -> None:
    settings = TalkSettings(call_id=Sourced(table(TalkSettings)["call_id"].check(SECRET, ""), "X"))
    shown = {key: (value, source) for key, value, source in in_force(settings)}
    assert shown["call_id"] == ("…cdef", "X")
    assert shown["updates"] == ("true", "default")
    assert shown["input"] == ("", "default")


def test_every_error_has_its_exit_code_in_the_table() -> None:
    def kinds(kind: type[RetellVoiceError]) -> list[type[RetellVoiceError]]:
        return [kind, *(each for child in kind.__subclasses__() for each in kinds(child))]

    listed = exit_codes()
    for kind in kinds(RetellVoiceError):
        assert f"\n| {kind.exit_code} | " in listed
