"""Where a kiosk's socket and files are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from retell_voice.errors import ConfigError
from retell_voice.settings.tables.kiosk import KioskSettings

SERVICE = Path("/run/retell-voice")
"""RuntimeDirectory of the system's service."""
_SOCKET, _HISTORY = "kiosk.sock", "calls.sqlite"


def socket_path(settings: KioskSettings) -> Path:
    """Return where a kiosk listens.

    Raises:
        ConfigError: nothing says where.
    """
    found = next(_candidates(settings), None)
    if found is None:
        raise ConfigError(
            "there is no place for the control socket",
            "give --socket, RETELL_VOICE_KIOSK_SOCKET, or socket under [kiosk]",
        )
    return found


def find_socket(settings: KioskSettings) -> Path:
    """Return where the kiosk listens that runs here; where it would, if none does.

    Raises:
        ConfigError: nothing says where.
    """
    candidates = [*_candidates(settings), SERVICE / _SOCKET]
    return next((each for each in candidates if each.exists()), candidates[0])


def history_path(settings: KioskSettings) -> Path | None:
    """Return where figures of calls are kept; None: nowhere."""
    if settings.history.value is not None:
        return Path(settings.history.value).expanduser()
    directory = os.environ.get("STATE_DIRECTORY", "").partition(":")[0]
    return Path(directory) / _HISTORY if directory else None


def _candidates(settings: KioskSettings) -> Iterator[Path]:
    if settings.socket.value is not None:
        yield Path(settings.socket.value).expanduser()
        return  # what is said holds
    if directory := os.environ.get("RUNTIME_DIRECTORY", "").partition(":")[0]:
        yield Path(directory) / _SOCKET
    if directory := os.environ.get("XDG_RUNTIME_DIR", ""):
        yield Path(directory) / "retell-voice" / _SOCKET
    elif os.name == "posix" and (own := Path(f"/run/user/{os.getuid()}")).is_dir():
        yield own / "retell-voice" / _SOCKET
