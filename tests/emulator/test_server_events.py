"""The stream of what happens: bounded, complete, and it ends."""

import asyncio

from retell_voice.emulator.server_events import (
    AgentInterrupted,
    CallEnded,
    CallJoined,
    CallRefused,
    ServerEvents,
    UserSpoke,
)


async def test_it_waits_for_news_and_ends() -> None:
    server_events = ServerEvents()
    seen = []

    async def read() -> None:
        seen.extend([server_event async for server_event in server_events])

    reading = asyncio.create_task(read())
    await asyncio.sleep(0)
    first, second = UserSpoke(call="…1", duration=1), UserSpoke(call="…2", duration=2)
    server_events.tell(first)
    await asyncio.sleep(0)
    server_events.tell(second)
    server_events.close()
    await reading
    assert seen == [first, second]


async def test_unread_the_oldest_go_and_are_counted() -> None:
    server_events = ServerEvents(limit=3)
    for number in range(5):
        server_events.tell(UserSpoke(call="…", duration=number))
    server_events.close()
    kept = [each.duration async for each in server_events if isinstance(each, UserSpoke)]
    assert kept == [2, 3, 4]
    assert server_events.dropped == 2


def test_each_is_a_line_for_people() -> None:
    assert str(UserSpoke(call="…", duration=2.14)) == "user spoke 2.1 s"
    assert str(CallJoined(call="…", format="s16le 16000 Hz")) == "joined, s16le 16000 Hz"
    assert str(CallRefused(call="…", status=404, why="unknown")) == "refused with 404: unknown"
    assert "clear sent" in str(AgentInterrupted(call="…", unheard=1.0))
    ended = CallEnded(call="…", code=1000, reason="bye", why="agent_hangup")
    assert str(ended) == "ended: agent_hangup, close code 1000 (bye)"
    assert "(" not in str(CallEnded(call="…", code=1000, reason="", why="user_hangup"))
