"""Runs the commands of a program; what its option parser says looks like everything else."""

from __future__ import annotations

import re
import sys
from difflib import get_close_matches
from typing import Any, NoReturn

from retell_voice.errors import ConfigError
from retell_voice.program.failure import reported

_PLAINLY = (  # as our own settings put it
    (r"Input should be a valid integer\b.*", "must be a whole number"),
    (r"Input should be a valid number\b.*", "must be a number"),
    ("Input should be greater than or equal to ", "must be at least "),
    ("Input should be less than or equal to ", "must be at most "),
)
"""What the option parser says, and what we say."""
_SIMILAR = 0.75


def run(commands: Any) -> NoReturn:
    """Run what the command line names.

    Args:
        commands: a ``typer.Typer``.
    """
    try:
        code = commands(standalone_mode=False)
    except Exception as error:
        # Typer keeps the types of its parser to itself.
        if not hasattr(error, "format_message"):
            raise
        if type(error).__name__ == "NoArgsIsHelpError":  # it has shown the help
            raise SystemExit(error.exit_code) from None  # type: ignore[attr-defined]  # as above
        with reported(as_json=lambda: "--json" in sys.argv):
            raise _as_ours(error) from None
    raise SystemExit(code if isinstance(code, int) else 0)


def _as_ours(error: Any) -> ConfigError:
    option = getattr(error, "option_name", "")
    close = get_close_matches(option, getattr(error, "possibilities", None) or (), 1, _SIMILAR)
    if option:
        error.possibilities = None  # the parser names whatever looks a little like it
    text = error.format_message().rstrip(".")
    if said := re.fullmatch(r"(.*?)\. Did you mean (.*)\?", text):  # of a command
        text, close = said[1], re.findall(r"'([^']*)'", said[2])
    for theirs, ours in _PLAINLY:
        text = re.sub(theirs, ours, text)
    context = getattr(error, "ctx", None)
    what = f"{context.command_path} --help" if context is not None else "--help"
    hint = f"did you mean {' or '.join(close)}?" if close else f"see {what}"
    return ConfigError(f"{text[:1].lower()}{text[1:]}", hint)
