"""What tests of the program on pipes share."""

from __future__ import annotations

import os
import subprocess

from retell_voice.emulator import CALLER

CALL_ID = "call_0123456789abcdef"
FILES = ("--input-file", str(CALLER), "--output-file", os.devnull)
QUICK = (*FILES, "--speed", "20")


def complaint(result: subprocess.CompletedProcess[str], code: int) -> list[str]:
    """Return the lines on stderr; checks that there are one or two, and no traceback."""
    assert result.returncode == code, result.stderr
    lines = result.stderr.splitlines()
    assert lines[0].startswith("retell-voice: ")
    assert len(lines) <= 2
    assert CALL_ID not in result.stderr + result.stdout
    return lines
