"""Files that only their owner may read: what was said, or who was called."""

from __future__ import annotations

import os
from pathlib import Path

from retell_voice.errors import ConfigError


def write(path: Path, data: bytes) -> None:
    """Write a file; a new one is private.

    Raises:
        ConfigError: it cannot be written.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
            file.write(data)
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
