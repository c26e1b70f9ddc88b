"""The exit codes as a paragraph of ``--help``."""

from __future__ import annotations

from retell_voice.program.failure import EXIT_CODES


def codes(meanings: dict[int, str]) -> str:
    """Return the paragraph of these codes."""
    lines = (f"  {code:3}  {meaning}" for code, meaning in meanings.items())
    return "\n".join(["", "", "Exit codes:", *lines])


def codes_of(done: str, *others: int) -> str:
    """Return that of a command that holds no call: what 0 means, and which others there are."""
    return codes({0: done} | {code: EXIT_CODES[code] for code in (1, 2, *others)})
