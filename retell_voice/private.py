"""Files that only their owner may read: what was said, or who was called."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from retell_voice.errors import ConfigError


def privately(path: str, flags: int) -> int:
    """Open a file; a new one is private. It is for ``open``: ``open(…, opener=privately)``."""
    return os.open(path, flags, 0o600)


def write(path: Path, data: bytes) -> None:
    """Write a file; a new one is private.

    Raises:
        ConfigError: it cannot be written.
    """
    try:
        with open(path, "wb", opener=privately) as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None


def check(path: Path) -> None:
    """See that a file can be written later, and change nothing.

    Raises:
        ConfigError: it cannot be.
    """
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        is_there = path.exists()
        file = path if is_there else path.absolute().parent
        file.stat()
        if not os.access(file, os.W_OK if is_there else os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
