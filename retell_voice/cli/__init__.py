"""The program ``retell-voice``. Importing this imports nothing heavy."""

from __future__ import annotations


def main() -> None:
    """Run the program; never returns but by SystemExit."""
    from retell_voice.program.failure import INTERRUPTED, ending

    with ending():
        try:
            # Here: the package imports without typer.
            from retell_voice.cli.app import app

            app()
        except KeyboardInterrupt:  # before any command had begun
            raise SystemExit(INTERRUPTED) from None
