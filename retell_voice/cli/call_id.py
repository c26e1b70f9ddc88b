"""A call_id given on the command line, or on standard input to keep it secret."""

from __future__ import annotations

import sys

from retell_voice.secret import Secret


def read_call_id(given: str) -> Secret:
    """Return what was given, ``-`` read from standard input; empty if there is none."""
    if given == "-":
        if sys.stdin.isatty():
            from getpass import getpass  # rarely needed

            given = getpass("call_id: ")
        else:
            given = sys.stdin.readline()
    return Secret(given).strip()
