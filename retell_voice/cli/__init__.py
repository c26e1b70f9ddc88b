"""The program ``retell-voice``. Importing this imports nothing heavy."""

from __future__ import annotations


def main() -> None:
    """Run the program; never returns but by SystemExit."""
    try:
        from retell_voice.cli.app import app  # noqa: PLC0415 - the package imports without typer

        app()
    except KeyboardInterrupt:  # before any command had begun
        raise SystemExit(130) from None
