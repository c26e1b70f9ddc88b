"""What tests of the program on pipes share."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

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


def patched(directory: Path, code: str) -> dict[str, str]:
    """Return variables with which a program of Python's runs ``code`` before anything else."""
    (directory / "sitecustomize.py").write_text(code)
    return searching(directory)


def searching(directory: Path) -> dict[str, str]:
    """Return variables with which a program of Python's looks for modules there first."""
    rest = os.environ.get("PYTHONPATH")
    return {"PYTHONPATH": os.pathsep.join(filter(None, (str(directory), rest)))}
