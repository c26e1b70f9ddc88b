"""What a route tells before it is dialled, and what it dials."""

from typing import Any

import pytest
from support.phone import PhoneClient
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.errors import ConfigError
from retell_voice.events import UnknownMessage
from retell_voice.protocol.messages import AgentAudio
from retell_voice.transport.route import WebSocketRoute, web_route
from retell_voice.transport.websocket import Dial

SECRET = "call_0123456789abcdef"
MULAW = AudioFormat(Encoding.MULAW, 8000)


def test_a_web_route_states_its_format_and_hides_its_call_id() -> None:
    route = web_route(SECRET, audio=MULAW)
    assert (route.near_end, route.far_end, route.frame_ms) == (MULAW, MULAW, None)
    assert route.label == "…cdef"
    assert repr(route) == "<WebSocketRoute …cdef>"
    assert web_route(SECRET).near_end == AudioFormat()


def test_a_route_may_have_two_formats_and_a_frame_of_its_own() -> None:
    route = WebSocketRoute(
        "ws://localhost/ws",
        lambda: Dial("ws://localhost/ws", PhoneClient()),
        near_end=MULAW,
        far_end=AudioFormat(rate=16000),
        frame_ms=40,
    )
    assert (route.near_end, route.far_end.rate, route.frame_ms) == (MULAW, 16000, 40)


def test_a_call_without_a_call_id_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="call_id is empty"):
        web_route("")


@pytest.mark.parametrize("url", ["ws://127.0.0.1/x?token=hunter2", "ws://127.0.0.1/x#hunter2"])
async def test_a_url_to_which_no_call_id_can_be_appended_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="the URL must end where /CALL_ID follows") as caught:
        await web_route(SECRET, url=url).connect(lambda: 0.0)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("options", "query"),
    [
        ({}, "?enable_update=true"),
        ({"updates": False}, ""),
        ({"alignment": True}, "?enable_update=true&enable_audio_alignment=true"),
    ],
)
async def test_a_web_route_asks_for_what_is_wanted(options: dict[str, Any], query: str) -> None:
    async def handler(socket: ServerConnection) -> None:
        assert socket.request is not None
        # In other words: the secret is masked in whatever a server says.
        await socket.send(socket.request.path.replace(SECRET, "CALL"))

    async with serve(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/audio/"
        connection = await web_route(SECRET, url=url, **options).connect(lambda: 1.5)
        events = [event async for event in connection]
    assert events == [UnknownMessage(at=1.5, message=f"/audio/CALL{query}")]


async def test_each_attempt_has_a_dialect_of_its_own() -> None:
    async def handler(socket: ServerConnection) -> None:
        await socket.send(b"\1\2\3")  # half a sample waits in the dialect

    async with serve(handler, "127.0.0.1", 0) as server:
        route = web_route("c", url=f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}")
        for _ in range(2):
            connection = await route.connect(lambda: 0.0)
            assert [event async for event in connection] == [AgentAudio(data=b"\1\2")]
