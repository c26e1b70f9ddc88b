"""Registering the calls of a swarm."""

from __future__ import annotations

import asyncio

import pytest

from retell_voice.errors import TooManyRequests
from retell_voice.swarm.desk import Desk


class Server:
    """Lets so many in, and then has too many calls for a while."""

    def __init__(self, retry_after: float | None, room: int, until: float) -> None:
        self.now = 0.0
        self.asked: list[float] = []
        self._retry_after, self._room, self._until = retry_after, room, until
        self._let_in = 0

    async def ask(self) -> int:
        self.asked.append(self.now)
        await asyncio.sleep(0)
        if self._let_in >= self._room and self.now < self._until:
            raise TooManyRequests("busy", status=429, retry_after=self._retry_after)
        self._let_in += 1
        return self._let_in

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


def desk(server: Server) -> Desk[int]:
    return Desk(server.ask, sleep=server.sleep, clock=lambda: server.now)


async def test_nobody_asks_while_the_server_has_too_many() -> None:
    server = Server(retry_after=5.0, room=2, until=5.0)
    found = await asyncio.gather(*(each.register() for each in [desk(server)] * 6))
    assert sorted(found) == [1, 2, 3, 4, 5, 6]
    assert {at for at in server.asked if at} == {5.0}


@pytest.mark.parametrize(
    ("retry_after", "until", "asked"),
    [
        (None, 6.0, [0, 1, 3, 7]),  # 1 s, 2 s, 4 s
        (None, 1e9, [0, 1, 3, 7, 15, 31]),
        (4.0, 1e9, [0, 4, 8, 12, 16, 20]),
        (3600.0, 1e9, [0]),
    ],
)
async def test_it_asks_again_for_a_while(
    retry_after: float | None, until: float, asked: list[float]
) -> None:
    server = Server(retry_after, room=0, until=until)
    if until < 1e9:
        assert await desk(server).register() == 1
    else:
        with pytest.raises(TooManyRequests):
            await desk(server).register()
    assert server.asked == asked
