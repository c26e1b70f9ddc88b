"""Secrets of a kiosk: systemd's credentials, or files that nobody else can read.

They are read anew each time they are needed: a new key needs no new start.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from retell_voice.errors import ConfigError
from retell_voice.secret import Secret
from retell_voice.settings.load import find_key
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings

API_KEY, CALL_TOKEN, CONTROL_TOKEN = "retell-api-key", "retell-call-token", "retell-control-token"
"""Names of the credentials, as in ``LoadCredential=retell-api-key:/etc/…``."""
_DIRECTORY = "CREDENTIALS_DIRECTORY"
_MOST = 4096


def credential(name: str) -> Sourced[str | None]:
    """Return a credential that systemd has handed to this service; None where it has not.

    Raises:
        ConfigError: it cannot be read.
    """
    directory = os.environ.get(_DIRECTORY)
    if not directory or not (path := Path(directory) / name).exists():
        return Sourced(None)
    return Sourced(_read(path), f"the credential {name}")


def private_file(path: str, source: str) -> Sourced[str | None]:
    """Return what a file holds that nobody but its owner can read.

    Raises:
        ConfigError: it cannot be read, or others can.
    """
    file = Path(path).expanduser()
    try:
        mode = file.stat().st_mode
    except OSError as error:
        raise ConfigError(f"{source}: {path}: {error.strerror}") from None
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ConfigError(f"{source}: {path} may be read by others", f"chmod 600 {path}")
    return Sourced(_read(file), path)


def api_key(settings: KioskSettings) -> Sourced[str]:
    """Return the API key. Blocks: it may ask the system keyring.

    Raises:
        ConfigError: there is none, or it cannot be read.
    """
    key = credential(API_KEY)
    if key.value is None and settings.api_key_file.value is not None:
        key = private_file(settings.api_key_file.value, settings.api_key_file.source)
    if key.value is None:
        key = find_key(settings.api_key)
    if key.value is None:
        raise ConfigError(
            "there is no API key",
            f"set RETELL_API_KEY or api_key_file, or give systemd the credential {API_KEY} "
            "(LoadCredential=)",
        )
    return Sourced(key.value, key.source)


def _read(path: Path) -> Secret:
    try:
        with path.open(encoding="utf-8") as file:
            text = Secret(file.read(_MOST)).strip()
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is no text"
        raise ConfigError(f"{path}: {why}") from None
    if not text:
        raise ConfigError(f"{path}: it is empty")
    return text
