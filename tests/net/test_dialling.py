"""Names with several addresses: the first that answers, soon, on every kind of event loop."""

from __future__ import annotations

import asyncio
import errno
import socket
import sys
import time
from collections.abc import Callable
from contextlib import contextmanager
from typing import Any

import pytest
from support.addresses import address, dead

from retell_voice.net.dialling import DELAY, Address, connect_tcp

Run = Callable[[Any], Any]


@pytest.fixture(params=["asyncio", "uvloop"])
def run(request: pytest.FixtureRequest) -> Run:
    if request.param == "asyncio":
        return asyncio.run
    if sys.platform == "win32":
        pytest.skip("there is no uvloop")
    uvloop = pytest.importorskip("uvloop")
    result: Run = uvloop.run
    return result


@contextmanager
def listening(family: int = socket.AF_INET, host: str = "127.0.0.1"):
    with socket.create_server((host, 0), family=family) as end:
        yield end.getsockname()[1]


def refusing() -> int:
    with listening() as port:
        return int(port)


def connect(run: Run, *addresses: Address) -> tuple[int, float]:
    """Connect to a host with these addresses; return the port that answered, and the seconds."""

    async def look_up(host: str, port: int) -> list[Address]:
        return list(addresses)

    async def main() -> tuple[int, float]:
        began = time.monotonic()
        async with asyncio.timeout(5):
            end = await connect_tcp("name", 1, look_up=look_up)
        took = time.monotonic() - began
        with end:
            assert end.gettimeout() == 0
            port = end.getpeername()[1]
        await asyncio.sleep(0)
        assert len(asyncio.all_tasks()) == 1
        return int(port), took

    found: tuple[int, float] = run(main())
    return found


def test_where_the_first_refuses_the_next_is_tried_at_once(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retell_voice.net.dialling.DELAY", 60.0)
    with listening() as port:
        found, _ = connect(run, address(refusing(), socket.AF_INET6, "::1"), address(port))
    assert found == port


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
def test_where_the_first_says_nothing_the_next_is_tried_soon(run: Run) -> None:
    with dead() as first, listening() as port:
        found, took = connect(run, address(first), address(port))
    assert found == port
    assert DELAY - 0.001 <= took < 2.0, "uvloop's timers count in milliseconds"


@pytest.mark.skipif(sys.platform != "linux", reason="as above")
def test_families_take_turns(run: Run) -> None:
    """Or all of a long list of IPv6 addresses would come first."""
    with dead() as first, listening() as port:
        many = [address(first) for _ in range(5)]
        found, took = connect(run, *many, address(port, socket.AF_INET6, "::ffff:127.0.0.1"))
    assert found == port
    assert took < 3 * DELAY, "it is the second in turn, and would be the sixth"


def test_the_error_that_says_most_is_raised(run: Run) -> None:
    nowhere = (255, socket.SOCK_STREAM, 0, "", ("127.0.0.1", 1))  # a family that this machine lacks
    with pytest.raises(ConnectionRefusedError) as caught:
        connect(run, nowhere, address(refusing()))
    assert caught.value.errno == errno.ECONNREFUSED
    with pytest.raises(socket.gaierror):
        connect(run)


def test_who_is_cancelled_leaves_nothing_behind(run: Run) -> None:
    async def look_up(host: str, port: int) -> list[Address]:
        return [address(first), address(first)]

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(DELAY + 0.1):
                await connect_tcp("name", 1, look_up=look_up)
        assert len(asyncio.all_tasks()) == 1

    if sys.platform == "linux":
        with dead() as first:
            run(main())


async def test_an_address_is_dialled_without_asking_for_names(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def asked(*_: object, **__: object) -> None:
        raise AssertionError("there is nothing to ask")

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", asked)
    with listening() as port, await connect_tcp("127.0.0.1", port) as end:
        assert end.getpeername() == ("127.0.0.1", port)
