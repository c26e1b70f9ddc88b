import asyncio

from retell_voice.events import Event
from retell_voice.threads.event_queue import EventQueue


async def test_events_come_in_order_and_end_with_none() -> None:
    inbox = EventQueue()
    inbox.put(Event(at=1.0))
    inbox.put(Event(at=2.0))
    inbox.close()
    assert [await inbox.get() for _ in range(4)] == [Event(at=1.0), Event(at=2.0), None, None]


async def test_a_reader_waits_for_the_next_event() -> None:
    inbox = EventQueue()
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    assert not reader.done()
    inbox.put(Event(at=3.0))
    assert await reader == Event(at=3.0)
    reader = asyncio.create_task(inbox.get())
    await asyncio.sleep(0)
    inbox.close()
    assert await reader is None


async def test_at_the_bound_the_oldest_goes_and_is_counted() -> None:
    inbox = EventQueue(limit=2)
    for at in range(5):
        inbox.put(Event(at=at))
    assert inbox.dropped == 3
    assert await inbox.get() == Event(at=3)
