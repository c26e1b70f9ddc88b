"""The page on scenarios is whole, what it shows can be read, and the examples work."""

import re
from pathlib import Path
from typing import Any

import pytest

from retell_voice.emulator.request_faults import ANSWERS, KINDS
from retell_voice.emulator.scenario import STEP_KINDS, load_scenario, parse_scenario
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES
from retell_voice.emulator.scenario.table import Table

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "scenarios.md").read_text("utf-8")
SHOWN = re.findall(r"```toml\n(.*?)```", PAGE, re.DOTALL)
EXAMPLES = sorted((ROOT / "examples" / "scenarios").glob("*.toml"))


@pytest.mark.parametrize("kind", STEP_KINDS)
def test_every_kind_of_step_has_its_section(kind: str) -> None:
    assert re.search(rf"^### .*`{kind}`", PAGE, re.MULTILINE)


@pytest.mark.parametrize("name", BAD_MESSAGES)
def test_every_bad_message_is_documented(name: str) -> None:
    assert f"| `{name}` |" in PAGE


@pytest.mark.parametrize(
    "name", sorted({*KINDS, *(name for each in ANSWERS.values() for name in each)})
)
def test_every_request_and_every_odd_answer_is_documented(name: str) -> None:
    assert re.search(rf"^\| .*`{name}`.* \|", PAGE, re.MULTILINE)


@pytest.mark.parametrize("text", SHOWN)
def test_what_the_page_shows_can_be_read(text: str) -> None:
    assert parse_scenario(text).steps


def test_every_key_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    keys: set[str] = set()
    take = Table.take

    def noting(table: Table, key: str, default: Any = None) -> Any:
        keys.add(key)
        return take(table, key, default)

    monkeypatch.setattr(Table, "take", noting)
    for text in (*SHOWN, "step = [{bad_message = 'huge_text'}, {close = {}}]"):
        parse_scenario(text)
    for path in EXAMPLES:
        load_scenario(path)
    assert len(keys) > 40
    told = set(re.findall(r"`(?:\w+ = )?(?:\{.*?)?(\w+)", PAGE)) | set(re.findall(r"(\w+) =", PAGE))
    assert keys <= told


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_say_what_they_are_for(path: Path) -> None:
    assert load_scenario(path).steps
    assert path.read_text("utf-8").startswith("# ")
