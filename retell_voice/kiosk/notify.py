"""Telling systemd how the service is: sd_notify(3), a datagram to the socket that it names."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Self


class Notifier:
    """Sends what systemd wants to know; does nothing where nobody wants to.

    Args:
        environment: of the process: NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID.
    """

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        self._socket: socket.socket | None = None
        self._status = ""
        address = environment.get("NOTIFY_SOCKET", "")
        if address.startswith(("/", "@")):
            self._address = address.replace("@", "\0", 1) if address[0] == "@" else address
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.setblocking(False)
        self.watchdog = _watchdog(environment) if self._socket else None
        """Seconds within which a sign of life is wanted; None where none is."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def ready(self) -> None:
        """Say that it works."""
        self._send("READY=1")

    def status(self, text: str) -> None:
        """Say in a line what it does; the same again is not sent."""
        line = " ".join(text.split())
        if line != self._status:
            self._status = line
            self._send(f"STATUS={line}")

    def alive(self) -> None:
        """Give a sign of life."""
        self._send("WATCHDOG=1")

    def reloading(self) -> None:
        """Say that it reads its settings anew; ``ready`` follows."""
        self._send(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}")

    def stopping(self) -> None:
        """Say that it ends."""
        self._send("STOPPING=1")

    def _send(self, text: str) -> None:
        if self._socket is not None:
            with suppress(OSError):  # systemd restarts itself at times, and its queue may be full
                self._socket.sendto(text.encode(), self._address)


def _watchdog(environment: Mapping[str, str]) -> float | None:
    wanted, pid = environment.get("WATCHDOG_USEC", ""), environment.get("WATCHDOG_PID", "")
    if not wanted.isdecimal() or not int(wanted) or (pid and pid != str(os.getpid())):
        return None
    return int(wanted) / 1e6
