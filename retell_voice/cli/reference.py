"""Texts made from the tables of settings and exit codes, and from the events: the example of a
config file, and parts of pages of the documentation."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from retell_voice.cli.json_reference import reference as events
from retell_voice.program.failure import EXIT_CODES
from retell_voice.secret import Secret, mask, mask_url
from retell_voice.settings.schema import Setting, Settings, Sourced, table
from retell_voice.settings.sections import SECTIONS, rows_of
from retell_voice.settings.tables.talk import TalkSettings

_HEAD = """\
Settings of retell-voice, each with its default. Remove the # before the ones you change.

The command line overrides the environment (RETELL_VOICE_RATE, RETELL_VOICE_EMULATOR_PORT, …),
which overrides this file, which overrides the defaults. 'retell-voice config show' prints the
values in effect and where each came from; 'config path' prints where this file is looked for."""

_MADE = re.compile(r"(<!-- made by retell_voice\.cli\.reference -->).*(<!-- end -->)", re.S)


def example() -> str:
    """Return ``config.example.toml``."""
    parts = [_comment(_HEAD)]
    for section in SECTIONS:
        if section:
            parts.append(f"\n[{section}]")
        for name, row in rows_of(section).items():
            text = f"{row.help} {row.allowed}".strip()
            parts.append(f"\n{_comment(text)}\n#{name} = {_toml(row.default)}")
    return "\n".join(parts) + "\n"


def options() -> str:
    """Return the table of options in Markdown."""
    lines = []
    for command, known, section in (
        ("talk", TalkSettings, None),
        ("emulator", SECTIONS["emulator"], None),
        ("kiosk", SECTIONS["kiosk"], "kiosk"),  # beside them it has those of talk's calls
    ):
        lines += [f"## `retell-voice {command}`", ""]
        lines += [
            "| option, variable | |",
            "|---|---|",
        ]
        for row in table(known).values():
            if section is not None and row.section.partition(".")[0] != section:
                continue
            default = "" if row.default in (None, "") else f" Default: `{_default(row)}`."
            allowed = f" One of {row.allowed}." if row.choices else f" {row.allowed}."
            text = f"{row.help}{allowed if row.allowed else ''}{default}".replace("|", "\\|")
            lines.append(f"| `{_option(row)}`<br>`{row.env}` | {text} |")
        lines.append("")
    return "\n".join(lines)


def exit_codes() -> str:
    """Return the table of exit codes in Markdown."""
    rows = [f"| {code} | {meaning} |" for code, meaning in EXIT_CODES.items()]
    return "\n".join(["| code | meaning |", "|---|---|", *rows])


def pages() -> dict[str, Callable[[], str]]:
    """Return the pages of the documentation with a part that is made here, and what makes it."""
    return {"configuration": options, "exit-codes": exit_codes, "json": events}


def filled(page: str, made: str) -> str:
    """Return a page with what is made in its place."""
    return _MADE.sub(lambda found: f"{found[1]}\n\n{made.strip()}\n\n{found[2]}", page)


def in_force(settings: Settings) -> list[tuple[str, str, str]]:
    """Return key, value and source of every setting; secrets are masked."""
    rows: Mapping[str, Setting] = table(type(settings))
    listed = []
    for name, row in rows.items():
        given: Sourced[Any] = getattr(settings, name)
        value = "" if given.value is None else _default(row, given.value)
        if name in ("url", "api_url", "call_url"):
            value = mask_url(value)
        listed.append((f"{row.section}.{name}".lstrip("."), value, given.source))
    return listed


def _option(row: Setting) -> str:
    if not row.is_option:
        return row.name
    if not row.flag.startswith("--"):
        return f"[{row.flag}]"
    if row.kind is bool:
        return f"{row.flag}/--no-{row.flag[2:]}"
    return f"{row.flag} {row.metavar}"


def _default(row: Setting, value: Any = None) -> str:
    value = row.default if value is None else value
    if isinstance(value, bool):
        return "true" if value else "false"
    if type(value) is tuple:  # of a setting that is repeated
        return ", ".join(value)
    return mask(value) if isinstance(value, Secret) else str(value)


def _toml(value: Any) -> str:
    # A JSON string or number is also valid TOML; an empty string means "none".
    if not isinstance(value, int | float):
        value = "" if value is None else str(value)
    return json.dumps(value)


def _comment(text: str) -> str:
    return "\n".join(
        f"# {line}".rstrip()
        for paragraph in text.split("\n")
        for line in textwrap.wrap(paragraph, 96) or [""]
    )


def write(root: Path) -> None:
    """Write all of it into the repository."""
    (root / "config.example.toml").write_text(example(), encoding="utf-8")
    for name, make in pages().items():
        page = root / "docs" / f"{name}.md"
        page.write_text(filled(page.read_text("utf-8"), make()), encoding="utf-8")


if __name__ == "__main__":
    write(Path())
