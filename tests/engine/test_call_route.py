"""A call over a route of any dialect, with a server that speaks it, on real sockets."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calls import heard_whole
from support.phone import FRAME_MS, PhoneClient, PhoneServer
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.errors import AudioFormatError, CallFailed, ConfigError
from retell_voice.events import CallState, Ended, Event
from retell_voice.protocol.messages import Marked, MicrophoneAudio
from retell_voice.transport.route import WebSocketRoute, web_route
from retell_voice.transport.websocket import Dial

TIMEOUT = 20.0
NEAR, FAR = AudioFormat(Encoding.MULAW, 8000), AudioFormat(Encoding.S16LE, 16000)
SECRET = "call_0123456789abcdef"


class Line:
    """A voice server's end of one call."""

    def __init__(self, websocket: ServerConnection) -> None:
        self.websocket = websocket
        self.dialect = PhoneServer()

    async def say(self, seconds: float, mark: str = "") -> None:
        samples = np.full(round(seconds * FAR.rate), 5000, np.int16)
        await self.websocket.send(self.dialect.audio(FAR.encode(samples)))
        if mark:
            await self.websocket.send(self.dialect.mark(mark))

    async def clear(self) -> None:
        await self.websocket.send(self.dialect.clear())

    async def __aiter__(self) -> AsyncIterator[Event]:
        async for message in self.websocket:
            for event in self.dialect.receive(message):
                yield event

    async def marked(self) -> str:
        """Return the next mark that comes back."""
        async for event in self:
            if isinstance(event, Marked):
                return event.name
        raise AssertionError("the caller is gone")


@asynccontextmanager
async def phone(agent: Callable[[Line], Awaitable[None]]) -> AsyncIterator[WebSocketRoute]:
    async def handler(websocket: ServerConnection) -> None:
        await agent(Line(websocket))

    async with serve(handler, "127.0.0.1", 0) as server, asyncio.timeout(TIMEOUT):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws"
        yield WebSocketRoute(
            url,
            lambda: Dial(url, PhoneClient()),
            near_end=NEAR,
            far_end=FAR,
            frame_ms=FRAME_MS,
        )


def devices(**given):
    return {"microphone": NullMicrophone(8000), "speaker": NullSpeaker(16000), **given}


async def held(route: WebSocketRoute, **options) -> list[Event]:
    async with Call(route, **devices(**options)) as call:
        return [event async for event in call]


async def test_both_directions_have_their_own_format_and_frames_their_length(
    tmp_path: Path,
) -> None:
    voice = (8000 * np.sin(np.arange(4000) / 10)).astype(np.int16)
    writer = WavWriter(tmp_path / "me.wav", 8000)
    writer.write(voice)
    writer.close()
    frames: list[bytes] = []

    async def agent(line: Line) -> None:
        async for event in line:
            if isinstance(event, MicrophoneAudio):
                frames.append(event.data)
            if len(frames) == 20:
                await line.say(0.25)
                return

    async with phone(agent) as route:
        events = await held(
            route,
            microphone=WavMicrophone(tmp_path / "me.wav", speed=4),
            speaker=WavSpeaker(tmp_path / "agent.wav", 16000),
        )
    assert {len(frame) for frame in frames} == {8 * FRAME_MS}
    expected = NEAR.encode(voice)
    assert b"".join(frames)[: len(expected)] == expected
    heard, rate = read_wav(tmp_path / "agent.wav")
    assert rate == 16000
    assert heard_whole(heard, 5000, 4000)
    assert isinstance(events[-1], Ended)
    assert events[-1].error is None


async def test_a_mark_comes_back_when_all_before_it_has_been_heard_and_not_before() -> None:
    marked: list[tuple[str, float]] = []

    async def agent(line: Line) -> None:
        now = asyncio.get_running_loop().time
        await line.say(0.0, mark="nothing before it")
        assert await line.marked() == "nothing before it"
        began = now()
        await line.say(0.3, mark="first")
        await line.say(0.2, mark="second")
        marked.extend([(await line.marked(), now() - began) for _ in range(2)])

    async with phone(agent) as route:
        await held(route)
    assert [name for name, _ in marked] == ["first", "second"]
    assert marked[0][1] >= 0.3
    assert marked[1][1] >= 0.5


async def test_after_a_clear_each_mark_comes_back_at_once_and_only_once() -> None:
    marked: list[str] = []

    async def agent(line: Line) -> None:
        await line.say(0.05, mark="heard")
        marked.append(await line.marked())
        for name in ("a", "b", "c"):
            await line.say(20, mark=name)
        await line.clear()
        await line.say(0.0, mark="after it")
        marked.extend([await line.marked() for _ in range(4)])

    async with phone(agent) as route:
        await held(route)  # within a third of the time that the audio takes
    assert marked == ["heard", "a", "b", "c", "after it"]


async def test_hanging_up_is_said_in_the_dialect_first() -> None:
    said: list[str | bytes] = []
    over = asyncio.Event()

    async def agent(line: Line) -> None:
        said.extend([message async for message in line.websocket])
        over.set()

    async with phone(agent) as route:
        async with Call(route, **devices()) as call:
            await call.hang_up()
        await over.wait()
    assert said[-1] == '{"event": "stop"}'
    assert said[:2] == PhoneClient().opening()


def test_a_call_knows_its_route_and_shows_no_secret() -> None:
    route = web_route(SECRET, audio=NEAR)
    call = Call(route)
    assert call.route is route
    assert call.audio == NEAR
    assert repr(call) == "<Call …cdef connecting>"
    short = Call(SECRET, audio=NEAR, url="ws://localhost/x")
    assert repr(short) == repr(call)
    assert short.route.near_end == NEAR


def test_what_a_route_states_cannot_be_given_again() -> None:
    with pytest.raises(TypeError, match="a route states these itself: url, updates"):
        Call(web_route(SECRET), url="ws://localhost", updates=False)


@pytest.mark.parametrize("nothing", [None, 5, b"call", web_route])
def test_what_is_neither_a_call_id_nor_a_route_is_named(nothing: object) -> None:
    with pytest.raises(TypeError, match="a call takes a call_id or a route, not "):
        Call(nothing)  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="the call_id is empty"):
        Call("")


def test_a_frame_of_another_length_than_the_route_takes_is_refused() -> None:
    route = WebSocketRoute(
        "ws://h", lambda: Dial("ws://h", PhoneClient()), near_end=NEAR, frame_ms=40
    )
    Call(route)
    Call(route, frame_ms=40)
    with pytest.raises(AudioFormatError, match="ws://h takes frames of 40 ms, not 20"):
        Call(route, frame_ms=20)


async def test_a_server_that_reads_json_only_is_named_a_heartbeat_that_it_dies_of() -> None:
    options: dict[str, Any] = {"timing": Timing(heartbeat=0.02)}

    async def handler(websocket: ServerConnection) -> None:
        await websocket.send(b"\0\0")
        async for message in websocket:
            if isinstance(message, str):
                await websocket.close(1011, "Expecting value")

    async with serve(handler, "127.0.0.1", 0) as server, asyncio.timeout(TIMEOUT):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Call("c", url=url, text_heartbeat=True, **options, **devices()) as call:
            end = [event async for event in call][-1]
        assert isinstance(end, Ended)
        assert isinstance(end.error, CallFailed)
        assert "--no-text-heartbeat" in end.error.hint
        async with Call("c", url=url, **options, **devices()) as call:
            async for _ in call:
                if call.statistics().round_trip is not None:  # so heartbeats do pass
                    break
            assert call.state is CallState.LIVE
