"""Runs the commands of a program; what its option parser says looks like everything else."""

from __future__ import annotations

import sys
from typing import Any, NoReturn

from retell_voice.errors import ConfigError
from retell_voice.program.failure import reported


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
    text = error.format_message().rstrip(".")
    context = getattr(error, "ctx", None)
    what = f"{context.command_path} --help" if context is not None else "--help"
    return ConfigError(f"{text[:1].lower()}{text[1:]}", f"see {what}")
