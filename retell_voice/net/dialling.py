"""A TCP connection to a host that may have several addresses: the first that answers.

A name often has an IPv6 address besides, and where that leads nowhere a packet is lost without a
word. So the next address is tried a quarter of a second after the last, families in turn, and at
once when one refuses (RFC 8305, "Happy Eyeballs"). asyncio can do that, uvloop's loops cannot.
"""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import Awaitable, Callable
from contextlib import suppress
from itertools import chain, zip_longest
from typing import Any

DELAY = 0.25
"""Seconds from one attempt to the next."""

Address = tuple[Any, ...]
"""As ``getaddrinfo`` gives it."""


async def connect_tcp(
    host: str,
    port: int,
    *,
    look_up: Callable[[str, int], Awaitable[list[Address]]] | None = None,
) -> socket.socket:
    """Return a connected socket, which does not block.

    Args:
        host, port: to reach.
        look_up: returns the addresses; None asks the system.

    Raises:
        OSError: no address answers; the error of the first that said something. ``gaierror``:
            there is no such host.
        UnicodeError: nor can there be.
    """
    found = _in_turn(await (look_up or _look_up)(host, port))
    if not found:
        raise socket.gaierror(socket.EAI_NONAME, "it has no address")
    errors: list[OSError] = []
    waiting = iter(found)
    running: set[asyncio.Task[socket.socket]] = set()
    try:
        while True:
            address = next(waiting, None)
            if address is not None:
                running.add(asyncio.create_task(_connect(address)))
            elif not running:
                raise _worst(errors)
            done, running = await asyncio.wait(
                running,
                timeout=None if address is None else DELAY,
                return_when=asyncio.FIRST_COMPLETED,
            )
            for each in done:
                if (error := each.exception()) is None:
                    running |= done - {each}
                    return each.result()
                if not isinstance(error, OSError):
                    raise error
                errors.append(error)
    finally:
        for each in running:
            each.cancel()
        for late in await asyncio.gather(*running, return_exceptions=True):
            if isinstance(late, socket.socket):  # it came second
                late.close()


async def _connect(address: Address) -> socket.socket:
    family, kind, protocol, _, where = address
    end = socket.socket(family, kind, protocol)
    try:
        end.setblocking(False)
        await asyncio.get_running_loop().sock_connect(end, where)
    except BaseException:
        end.close()
        raise
    return end


async def _look_up(host: str, port: int) -> list[Address]:
    with suppress(socket.gaierror, UnicodeError):  # an address is no name, and needs no thread
        literal = host.encode("ascii")
        return socket.getaddrinfo(
            literal, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST
        )
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _in_turn(found: list[Address]) -> list[Address]:
    """Return addresses of both families in turn, beginning with that of the first."""
    if not found:
        return []
    first = [each for each in found if each[0] == found[0][0]]
    others = [each for each in found if each[0] != found[0][0]]
    pairs = zip_longest(first, others)
    return [each for each in chain.from_iterable(pairs) if each is not None]


def _worst(errors: list[OSError]) -> OSError:
    """Return the error that says most: a host that refuses is there."""
    for number in (errno.ECONNREFUSED, errno.ETIMEDOUT):
        for error in errors:
            if error.errno == number:
                return error
    return errors[0]
