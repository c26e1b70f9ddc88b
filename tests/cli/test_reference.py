"""What is made from the tables of settings and from the events is what is in the repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from retell_voice import events
from retell_voice.cli.json_reference import reference as events_in_json
from retell_voice.cli.reference import example, exit_codes, filled, in_force, pages
from retell_voice.errors import RetellVoiceError
from retell_voice.recording import jsonl
from retell_voice.settings.config_file import parse_toml
from retell_voice.settings.load import ConfigFile, load
from retell_voice.settings.schema import Sourced, table
from retell_voice.settings.sections import SECTIONS
from retell_voice.settings.tables.talk import TalkSettings

ROOT = Path(__file__).parents[2]
SECRET = "call_0123456789abcdef"


def test_the_example_is_the_generated_one() -> None:
    assert (ROOT / "config.example.toml").read_text(encoding="utf-8") == example(), (
        "run: python -m retell_voice.cli.reference"
    )


@pytest.mark.parametrize("name", pages())
def test_what_is_made_of_a_page_is_in_it(name: str) -> None:
    page = (ROOT / "docs" / f"{name}.md").read_text("utf-8")
    made = pages()[name]()
    assert made.strip() in page, "run: python -m retell_voice.cli.reference"
    assert filled(page, made) == page


def test_events_in_json_are_described_as_they_are_written() -> None:
    said = events_in_json()
    assert "## state_changed\n\nThe call moved to another state." in said
    assert "| `state` | `connecting`, `live`, `draining`, `ended` |" in said
    assert "| `round_trip` | number or null | The network's part, its last round trip;" in said
    assert "| `utterances` | array of [Utterance](#utterance) | What agent and user said." in said
    assert "| `error` | object: `type`, `message`, `hint` or null |" in said
    assert "None" not in said


def test_no_event_is_left_out() -> None:
    kinds = [getattr(events, each) for each in events.__all__]
    kinds = [each for each in kinds if isinstance(each, type) and issubclass(each, events.Event)]
    said = events_in_json()
    assert [each for each in kinds if f"## {jsonl.name(each)}\n" not in said] == [events.Event]


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
