"""A joined web call as a connection, over media that a test plays."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.opus import OpusDecoder, has_redundancy, packet_duration
from retell_voice.events import Event, MonitorChanged, NetworkChanged, Transcript, UnknownMessage
from retell_voice.protocol.gateway import status_message
from retell_voice.protocol.messages import AgentPacket, CallOver
from retell_voice.protocol.monitor import TAKE_OVER, CallEnded
from retell_voice.transport.ports import Closed
from retell_voice.transport.webrtc.connection import Timeouts, WebRtcConnection

AUDIO = AudioFormat(rate=48000)
FRAME = bytes(1920)
QUICK = Timeouts(stalled=2.0, lost=10.0, last_words=0.05, look=0.001, ask=0.001)


class Media:
    def __init__(self) -> None:
        self.state = "connected"
        self.sent: list[tuple[bytes, int]] = []
        self.is_stuck = self.is_closed = False
        self.on_close: Callable[[], object] = lambda: None

    def send(self, payload: bytes, timestamp: int) -> bool:
        self.sent.append((payload, timestamp))
        return not self.is_stuck

    async def round_trip(self) -> float | None:
        return 0.03

    async def close(self) -> None:
        self.is_closed = True
        self.on_close()


class Call:
    """A connection, its media, its clock and what it said."""

    reading: asyncio.Task[None]

    def __init__(self, timeouts: Timeouts) -> None:
        self.now = 100.0
        self.media = Media()
        self.left = 0
        self.on_look: Callable[[], object] | None = None  # at a clock that has jumped
        self.connection = WebRtcConnection(AUDIO, self.clock, timeouts)
        self.events: list[Event] = []
        self.more = asyncio.Condition()

    def clock(self) -> float:
        if self.now == 120.0 and self.on_look is not None:
            look, self.on_look = self.on_look, None
            look()
        return self.now

    async def leave(self) -> None:
        assert not self.media.is_closed, "the gateway is told first"
        self.left += 1

    def packet(self, number: int = 1) -> None:
        self.connection.packet(number, number * 960, b"\xf8opus", 7)

    async def read(self) -> None:
        async for event in self.connection:
            async with self.more:
                self.events.append(event)
                self.more.notify_all()

    async def until(self, kind: type[Event], count: int = 1) -> Any:
        async with self.more:
            found = lambda: [each for each in self.events if isinstance(each, kind)]  # noqa: E731
            await self.more.wait_for(lambda: len(found()) >= count)
            return found()[-1]


@asynccontextmanager
async def joined(
    timeouts: Timeouts = QUICK,
    transcript: Callable[[], AsyncIterator[Event]] | None = None,
    ended: Callable[[], Awaitable[str | None]] | None = None,
) -> AsyncIterator[Call]:
    call = Call(timeouts)
    events = None if transcript is None else transcript()
    call.connection.open(call.media, call.leave, events, ended)
    call.reading = asyncio.create_task(call.read())
    async with asyncio.timeout(10):
        yield call
        await call.connection.close()
        await call.reading
    assert call.left == 1
    assert call.media.is_closed


async def test_packets_come_out_as_they_arrive() -> None:
    async with joined() as call:
        call.now = 101.0
        call.packet(3)
        call.packet(2)
        await call.until(AgentPacket)
        assert call.events == [
            AgentPacket(sequence=n, timestamp=n * 960, payload=b"\xf8opus", source=7, at=101.0)
            for n in (3, 2)
        ]
        assert call.connection.heard_at == 101.0


async def test_a_frame_is_one_packet_of_20_ms_and_says_what_it_was() -> None:
    tone = (8000 * np.sin(np.arange(960 * 50) * 2 * np.pi * 440 / 48000)).astype(np.int16)
    async with joined() as call:
        for frame in tone.reshape(50, 960):
            assert call.connection.send_now(AUDIO.encode(frame))
    assert [timestamp for _, timestamp in call.media.sent] == [n * 960 for n in range(50)]
    decoder = OpusDecoder(48000)
    heard = np.concatenate([decoder.decode(payload).copy() for payload, _ in call.media.sent])
    assert {packet_duration(payload) for payload, _ in call.media.sent} == {960}
    assert any(has_redundancy(payload) for payload, _ in call.media.sent)
    assert not any(payload[0] & 4 for payload, _ in call.media.sent), "mono"
    spectrum = np.abs(np.fft.rfft(heard[-24000:].astype(float)))
    assert abs(np.argmax(spectrum) * 2 - 440) <= 2


async def test_time_goes_on_over_what_is_missing() -> None:
    async with joined() as call:
        call.connection.send_now(FRAME)
        call.connection.skip(1.5)
        call.connection.send_now(FRAME)
    assert [timestamp for _, timestamp in call.media.sent] == [0, 960 + 72000]


async def test_silence_is_sent_on_in_full() -> None:
    async with joined() as call:
        for _ in range(500):
            call.connection.send_now(FRAME)
    assert all(len(payload) > 2 for payload, _ in call.media.sent[-50:]), "no DTX"


async def test_a_library_that_is_stuck_takes_nothing() -> None:
    async with joined() as call:
        call.media.is_stuck = True
        assert not call.connection.send_now(FRAME)


async def test_nothing_is_sent_before_the_call_is_joined_and_after_its_end() -> None:
    call = Call(QUICK)
    assert not call.connection.send_now(FRAME)
    async with joined() as call:
        await call.connection.close()
        assert not call.connection.send_now(FRAME)


async def lost_at_once() -> AsyncIterator[Event]:
    yield MonitorChanged(state="lost", why="the key lacks a permission")


@pytest.mark.parametrize("transcript", [None, lost_at_once])
async def test_an_end_that_nobody_tells_is_asked_for(
    transcript: Callable[[], AsyncIterator[Event]] | None,
) -> None:
    answers: list[str | Exception | None] = [None, OSError("no network"), None, "agent_hangup"]

    async def ended() -> str | None:
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async with joined(transcript=transcript, ended=ended) as call:
        await call.reading
        assert call.connection.closed == Closed("server", 1000, "agent_hangup")
        assert not answers


async def test_a_gateway_that_goes_silent_is_told_and_then_lost() -> None:
    async with joined() as call:
        call.now = 101.0
        call.packet()
        await call.until(AgentPacket)
        call.now = 102.0  # in steps: a loop that stood still may have unread packets
        for call.now in (102.0, 102.9, 103.1):
            await asyncio.sleep(0.01)
        stalled = await call.until(NetworkChanged)
        assert (stalled.state, stalled.at) == ("stalled", 103.1)
        assert stalled.silent_for == pytest.approx(2.1)
        while call.connection.closed is None:
            call.now += 0.5
            await asyncio.sleep(0.01)
        closed = call.connection.closed
        assert (closed.by, closed.code) == ("network", 1006)
        assert closed.reason == "nothing came from the server for 10 s"
        assert "cannot be joined again" in closed.hint
        assert 110.9 <= call.now <= 112.1
    assert len([each for each in call.events if isinstance(each, NetworkChanged)]) == 1


async def test_a_gateway_that_comes_back_is_told_once() -> None:
    async with joined() as call:
        for call.now in (101.0, 101.9, 102.1):
            await asyncio.sleep(0.01)
        await call.until(NetworkChanged)
        call.now = 103.0
        call.packet(1)
        call.packet(2)
        await call.until(AgentPacket)
        changes = [each for each in call.events if isinstance(each, NetworkChanged)]
        assert changes[1:] == [NetworkChanged(state="back", silent_for=3.0, at=103.0)]
        assert call.connection.closed is None


async def test_a_loop_that_stood_still_blames_nobody() -> None:
    async with joined() as call:
        # What waits in the socket is read right after whoever looks at the clock first.
        loop = asyncio.get_running_loop()
        call.on_look = lambda: loop.call_soon(call.packet)
        call.now = 120.0
        await call.until(AgentPacket)
        await asyncio.sleep(0.01)
        assert call.connection.closed is None


async def test_after_the_news_of_the_end_the_last_words_still_come() -> None:
    async with joined() as call:
        call.connection.message(status_message("ended"))
        assert await call.until(CallOver) == CallOver(state="ended", at=100.0)
        assert call.connection.closed == Closed("server", 1000, "ended")
        call.packet()
        await call.until(AgentPacket)
        await call.reading
    assert call.connection.closed == Closed("server", 1000, "ended")


@pytest.mark.parametrize(
    ("state", "by", "code"), [("closed", "server", 1000), ("failed", "network", 1006)]
)
async def test_media_that_end_end_the_call(state: str, by: str, code: int) -> None:
    async with joined() as call:
        call.media.state = state
        call.connection.changed()
        closed = call.connection.closed
        assert closed is not None
        assert (closed.by, closed.code) == (by, code)


async def test_media_that_close_while_the_call_is_opened_are_noticed() -> None:
    call = Call(QUICK)
    call.media.state = "closed"
    call.connection.open(call.media, call.leave, None)
    assert [event async for event in call.connection] == []
    await call.connection.close()
    assert call.connection.closed == Closed("server", 1000, "")


async def test_hanging_up_twice_leaves_once() -> None:
    async with joined() as call:
        await asyncio.gather(call.connection.close(), call.connection.close())
        assert call.connection.closed == Closed("you", 1000, "")


async def test_a_gateway_that_does_not_answer_holds_nobody_up() -> None:
    call = Call(QUICK)
    forever = asyncio.Event()

    async def leave() -> None:
        await forever.wait()

    call.connection.open(call.media, leave, None)
    async with asyncio.timeout(5):
        await call.connection.close()
    assert call.media.is_closed


async def test_a_monitor_that_takes_leave_slowly_keeps_nobody_in_the_call() -> None:
    leaving, closed = asyncio.Event(), asyncio.Event()

    async def monitor() -> AsyncIterator[Event]:
        yield Transcript(utterances=(), at=1.0)
        try:
            await asyncio.Event().wait()
        finally:
            await leaving.wait()

    async with joined(transcript=monitor) as call:
        call.media.on_close = closed.set
        await call.until(Transcript)
        closing = asyncio.create_task(call.connection.close())
        await closed.wait()
        assert not closing.done()
        leaving.set()
        await closing


async def test_the_transcript_comes_with_it_and_its_end_ends_the_call() -> None:
    async def monitor() -> AsyncIterator[Event]:
        yield Transcript(utterances=(), at=1.0)
        yield CallEnded(reason=TAKE_OVER)
        yield CallEnded(reason="agent_hangup")

    async with joined(transcript=monitor) as call:
        await call.until(Transcript)
        assert await call.until(CallEnded, 2) == CallEnded(reason="agent_hangup")
        assert call.connection.closed == Closed("server", 1000, "agent_hangup")
        await call.reading


async def test_what_nobody_reads_does_not_pile_up() -> None:
    call = Call(QUICK)
    call.connection.open(call.media, call.leave, None)
    for number in range(3000):
        call.packet(number)
    for _ in range(3000):
        call.connection.message('{"type": "later"}')
    await call.connection.close()
    events = [event async for event in call.connection]
    assert sum(isinstance(each, AgentPacket) for each in events) == 1000
    assert sum(isinstance(each, UnknownMessage) for each in events) == 1000


async def test_the_round_trip_is_what_rtcp_says() -> None:
    async with joined() as call:
        assert call.connection.round_trip is None
        await call.connection.ping()
        assert call.connection.round_trip == 0.03
