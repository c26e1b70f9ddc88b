"""What the command line hands over to the program that stays is what it was given."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.kiosk.handed_over import run, words
from retell_voice.settings.load import ConfigFile, load
from retell_voice.settings.schema import table
from retell_voice.settings.tables.kiosk import KioskSettings

ROWS = {name: row for name, row in table(KioskSettings).items() if row.is_option}


def texts(name: str) -> Any:
    row = ROWS[name]
    if row.choices:
        return st.sampled_from(row.choices)
    if row.kind is bool:
        return st.booleans()
    if row.kind in (int, float):
        low, high = row.minimum or 0, row.maximum or 1000
        kinds = st.integers(int(low) + 1, int(high)) if row.kind is int else st.floats(low, high)
        return kinds.map(str)
    if name == "variables":
        return st.just("name=Ann, place=a = b")
    return st.just(str(row.default)) if row.default else st.just("wss://a=b/c d")


@given(
    st.lists(st.sampled_from(sorted(ROWS)), unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: texts(name) for name in names})
    )
)
def test_settings_of_the_command_line_survive(flags: dict[str, Any]) -> None:
    try:
        settings = load(KioskSettings, ConfigFile(), {}, flags)
    except ConfigError:  # a text that this one does not take: its own form, a prefix
        return
    handed = dict(word.split("=", 1) for word in words(settings, None))
    assert set(handed) == set(flags)
    again = load(KioskSettings, ConfigFile(), {}, handed)
    for name in table(KioskSettings):
        assert getattr(again, name).value == getattr(settings, name).value


def test_what_the_file_says_is_left_to_the_file() -> None:
    settings = load(KioskSettings, ConfigFile(), {"RETELL_VOICE_VOLUME": "7"}, {"agent": "a"})
    assert list(words(settings, Path("/etc/kiosk.toml"))) == ["config=/etc/kiosk.toml", "agent=a"]


@pytest.mark.parametrize("word", ["agent", "--agent=a", "no_such=1", "=", "volume=loud"])
def test_words_that_are_none(word: str) -> None:
    with pytest.raises(ConfigError):
        run([word])


def test_a_file_that_is_not_there() -> None:
    with pytest.raises(ConfigError, match="no such file"):
        run(["config=/nowhere/kiosk.toml"])
