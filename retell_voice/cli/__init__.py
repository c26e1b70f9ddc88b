"""The program ``retell-voice``. Importing this imports nothing heavy."""

from __future__ import annotations

import sys


def main() -> None:
    """Run the program; never returns but by SystemExit."""
    from retell_voice.program.interrupt import INTERRUPTED, exit_on_interrupt_from_here

    exit_on_interrupt_from_here()
    from retell_voice.program.realtime import put_off_collecting

    put_off_collecting()
    from retell_voice.program import stdout

    stdout.open_all()
    from retell_voice.program.failure import ending

    with ending():
        try:
            # Here: the package imports without typer.
            from retell_voice.cli.app import program
            from retell_voice.program.parsing import run

            run(program(sys.argv[1:]))
        except KeyboardInterrupt:  # between two commands' own
            raise SystemExit(INTERRUPTED) from None
