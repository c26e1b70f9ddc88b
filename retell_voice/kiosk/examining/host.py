"""The machine that is examined: its files and its commands. Whatever fails is no answer."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from retell_voice.doctor.findings import Finding, Verdict

_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Host:
    """A machine.

    Attributes:
        root: where its files begin.
        commands: directories of its commands, as in PATH.
    """

    root: Path = Path("/")
    commands: str = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"

    def path(self, name: str) -> Path:
        """Return a file of it by its absolute name."""
        return self.root / name.lstrip("/")

    def read(self, name: str) -> str | None:
        """Return what is in a file, None where it cannot be read."""
        try:
            return self.path(name).read_text("utf-8", "replace").strip()
        except OSError:
            return None

    def has(self, command: str) -> bool:
        """Tell whether it has a command."""
        return shutil.which(command, path=self.commands) is not None

    def run(self, *words: str) -> str | None:
        """Return what a command prints; None where it is not there, fails or takes too long."""
        program = shutil.which(words[0], path=self.commands)
        if program is None:
            return None
        try:
            done = subprocess.run(  # noqa: S603 - no shell
                [program, *words[1:]],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=_SECONDS,
                check=False,
                env={**os.environ, "LC_ALL": "C"},
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
        return None if done.returncode else done.stdout.strip()


def passed(check: str, says: str, hint: str = "") -> Finding:
    """Return that a check went well."""
    return Finding("system", check, Verdict.PASS, says, hint)


def warned(check: str, says: str, hint: str = "") -> Finding:
    """Return that something is to be looked at."""
    return Finding("system", check, Verdict.WARN, says, hint)


def failed(check: str, says: str, hint: str = "") -> Finding:
    """Return that a kiosk cannot work like this."""
    return Finding("system", check, Verdict.FAIL, says, hint)
