"""Addresses at which something is wrong."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from retell_voice.net.dialling import Address


@contextmanager
def dead() -> Iterator[int]:
    """An address that takes no connection and refuses none: packets to it are lost. Linux only."""
    with socket.socket() as end:
        end.bind(("127.0.0.1", 0))
        end.listen(0)
        others = []
        for _ in range(4):  # its queue is full then
            other = socket.socket()
            other.setblocking(False)
            other.connect_ex(end.getsockname())
            others.append(other)
        yield end.getsockname()[1]
        for other in others:
            other.close()


def address(port: int, family: int = socket.AF_INET, host: str = "127.0.0.1") -> Address:
    """An address as the system gives it."""
    where = (host, port) if family == socket.AF_INET else (host, port, 0, 0)
    return family, socket.SOCK_STREAM, 0, "", where


def with_two_addresses(monkeypatch: pytest.MonkeyPatch, name: str, first: int) -> None:
    """Let a name have the address of this port before the one that is asked for."""
    real = socket.getaddrinfo

    def getaddrinfo(host: Any, port: Any, *more: Any, **most: Any) -> Any:
        text = host.decode() if isinstance(host, bytes) else host
        if text != name:
            return real(host, port, *more, **most)
        return [address(first), address(int(port))]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
