"""What an installation does, step by step: shown first if that is wanted, then done."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from retell_voice.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Write:
    """A file with this text; one that is there is replaced."""

    path: Path
    text: str

    def shown(self) -> str:
        """Return it for people."""
        return f"# {self.path}\n{self.text}"

    def do(self) -> None:
        """Write it, whole or not at all.

        Raises:
            ConfigError: it cannot be written.
        """
        temporary = ""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            handle, temporary = tempfile.mkstemp(dir=self.path.parent, prefix=f".{self.path.name}.")
            with os.fdopen(handle, "w", encoding="utf-8") as file:
                file.write(self.text)
                file.flush()
                os.fchmod(file.fileno(), 0o644)
                os.fsync(file.fileno())  # a Pi's power may be cut at any time
            Path(temporary).replace(self.path)
        except OSError as error:
            with suppress(OSError):
                Path(temporary).unlink()
            raise _cannot(self.path, error) from None


@dataclass(frozen=True, slots=True)
class Remove:
    """A file that is there no more."""

    path: Path

    def shown(self) -> str:
        """Return it for people."""
        return f"$ rm -f {shlex.quote(str(self.path))}"

    def do(self) -> None:
        """Remove it if it is there.

        Raises:
            ConfigError: it cannot be removed.
        """
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise _cannot(self.path, error) from None


@dataclass(frozen=True, slots=True)
class Run:
    """A command.

    Attributes:
        words: it and its arguments.
        needed: what fails when it fails; ``False``: then all goes on.
        hint: what to try when it fails.
    """

    words: tuple[str, ...]
    needed: bool = True
    hint: str = ""

    def shown(self) -> str:
        """Return it for people."""
        return f"$ {shlex.join(self.words)}"

    def do(self) -> None:
        """Run it.

        Raises:
            ConfigError: it is needed, and failed; says what it said.
        """
        try:
            done = subprocess.run(  # noqa: S603 - words of our own, and no shell
                self.words,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                check=False,
            )
        except OSError as error:
            if self.needed:
                raise ConfigError(
                    f"{self.words[0]}: {error.strerror or error}", self.hint
                ) from None
            return
        if done.returncode and self.needed:
            said = (done.stderr.strip() or done.stdout.strip()).splitlines()
            why = said[-1] if said else f"exit code {done.returncode}"
            raise ConfigError(f"{shlex.join(self.words)}: {why}", self.hint)


Step: TypeAlias = Write | Remove | Run


def show(steps: Sequence[Step]) -> str:
    """Return what would be done, as text."""
    return "\n".join(each.shown().rstrip("\n") + "\n" for each in steps)


def carry_out(steps: Sequence[Step]) -> None:
    """Do it all, up to the first that fails.

    Raises:
        ConfigError: a step failed; says which and why.
    """
    for each in steps:
        each.do()


def _cannot(path: Path, error: OSError) -> ConfigError:
    hint = {
        "Permission denied": "run it with sudo",
        "Read-only file system": "turn the overlay off first: sudo raspi-config, Performance",
    }.get(error.strerror or "", "")
    return ConfigError(f"{path}: {error.strerror or error}", hint)
