"""A gateway of web calls that a test plays: real HTTP, and aiortc as the other end of the media."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av import AudioFrame

from retell_voice.audio.format import Samples
from retell_voice.protocol.gateway import status_message

CALL_ID = "call_0123456789abcdef"
TOKEN = "token_0123456789abcdef"
KEY = "key_0123456789abcdef"
RATE = 48000
_FRAME = 960
_TIME_BASE = Fraction(1, RATE)

Answer = tuple[int, Any] | tuple[int, Any, str]
"""A status, and what JSON holds, or bytes as they are; maybe more lines of the head."""


class Voice(MediaStreamTrack):
    """What a gateway sends: silence, and in it what it has been told to say, in real time."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.running = asyncio.Event()
        """Cleared, nothing at all is sent."""
        self.running.set()
        self._left: Samples = np.zeros(0, np.int16)
        self._sent = 0
        self._due = asyncio.get_running_loop().time()

    def say(self, samples: Samples) -> None:
        """Say samples, shape (n,), 48 kHz, after what it has been told before."""
        self._left = np.concatenate((self._left, samples))

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        loop = asyncio.get_running_loop()
        await self.running.wait()
        await asyncio.sleep(self._due - loop.time())
        self._due = max(self._due, loop.time() - 0.1) + _FRAME / RATE
        samples = np.zeros(_FRAME, np.int16)
        part, self._left = self._left[:_FRAME], self._left[_FRAME:]
        samples[: len(part)] = part
        frame = AudioFrame.from_ndarray(samples[None], format="s16", layout="mono")
        frame.sample_rate, frame.pts, frame.time_base = RATE, self._sent, _TIME_BASE
        self._sent += _FRAME
        return frame


@dataclass
class Session:
    """One that has joined.

    Attributes:
        offer: what it offered.
        heard: what it said, as aiortc decodes it, mono, 48 kHz.
        left: set when it has left in good order.
        joined_at, first_at: ``time.monotonic`` of the join and of its first frame.
    """

    peer: RTCPeerConnection
    voice: Voice
    offer: str
    heard: list[Samples] = field(default_factory=list)
    left: asyncio.Event = field(default_factory=asyncio.Event)
    speaking: asyncio.Event = field(default_factory=asyncio.Event)
    controllable: asyncio.Event = field(default_factory=asyncio.Event)
    channel: Any = None
    joined_at: float = 0.0
    first_at: float = 0.0
    _more: asyncio.Event = field(default_factory=asyncio.Event)

    async def until_heard(self, seconds: float) -> None:
        """Wait until so much more has been heard."""
        enough = len(self.heard) + round(seconds * RATE / _FRAME)
        while len(self.heard) < enough:
            self._more.clear()
            await self._more.wait()

    async def answer(self, offer: str) -> str:
        """Take another offer and return the answer."""
        self.offer = offer
        await self.peer.setRemoteDescription(RTCSessionDescription(offer, "offer"))
        await self.peer.setLocalDescription(await self.peer.createAnswer())
        return self.peer.localDescription.sdp

    async def control(self, message: str) -> None:
        """Send a message of the control channel."""
        await self.controllable.wait()
        self.channel.send(message)

    async def end(self) -> None:
        """Say that the call is over."""
        await self.control(status_message("ended"))

    async def close(self) -> None:
        """Close the media, as a gateway that is done does."""
        await self.peer.close()

    def all_heard(self) -> Samples:
        """Return all that it said so far."""
        return np.concatenate([np.zeros(0, np.int16), *self.heard])


@dataclass
class Gateway:
    """The server.

    Attributes:
        url: base of its REST API.
        requests: method and path of each request.
        bodies, headers: theirs.
        answers: what to answer instead of the usual, by method and the end of the path; the first
            of a list is used up.
        hold: requests by the same that wait until the event is set.
        change: changes the SDP answer.
        change_offer: changes the SDP offer before it is read.
        admission: what create-web-call answers, and listen-live-call.
        identity: of whom may join.
    """

    url: str = ""
    requests: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[Any] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answers: dict[tuple[str, str], list[Answer]] = field(default_factory=dict)
    hold: dict[tuple[str, str], asyncio.Event] = field(default_factory=dict)
    asked: asyncio.Condition = field(default_factory=asyncio.Condition)
    change: Callable[[str], str] = lambda sdp: sdp
    change_offer: Callable[[str], str] = lambda sdp: sdp
    admission: dict[str, Any] = field(
        default_factory=lambda: {
            "call_id": CALL_ID,
            "access_token": TOKEN,
            "transport": "gateway",
            "ice_servers": [],
            "expires_at": round((time.time() + 30) * 1000),
        }
    )
    identity: str = "client"
    sessions: list[Session] = field(default_factory=list)
    on_session: Callable[[Session], None] = lambda session: None

    def methods(self, end: str) -> list[str]:
        """Return the methods of the requests whose path ends so."""
        return [method for method, path in self.requests if path.endswith(end)]

    async def was_asked(self, method: str, end: str, count: int = 1) -> None:
        """Wait until there have been so many of such requests."""
        async with self.asked:
            await self.asked.wait_for(lambda: self.methods(end).count(method) >= count)

    async def joined(self) -> Session:
        """Wait for somebody to join."""
        async with self.asked:
            await self.asked.wait_for(lambda: self.sessions)
        return self.sessions[-1]

    async def _respond(self, method: str, path: str, body: bytes) -> Answer:
        for (wanted, end), event in self.hold.items():
            if method == wanted and path.endswith(end):
                await event.wait()
        for (wanted, end), answers in self.answers.items():
            if method == wanted and path.endswith(end) and answers:
                return answers.pop(0)
        match method, path.removeprefix("/v3").removeprefix("/v2").split("/")[1:]:
            case "POST", ["create-web-call"]:
                return 201, self.admission
            case "POST", ["stop-call", _]:
                return 204, b""
            case "POST", ["listen-live-call", call_id]:
                assert call_id == self.admission["call_id"]
                return 201, {**self.admission, "participant_id": self.identity}
            case "POST", ["take-over-live-call", _]:
                assert json.loads(body) == {"participant_id": self.identity}
                return 200, {"success": True}
            case "POST", ["webrtc-proxy", call_id, "v1", "webrtc", "sessions"]:
                assert call_id == self.admission["call_id"]
                return 200, await self._join(json.loads(body))
            case "PATCH", [*_, "sessions", number] if body.startswith(b"v=0"):
                return 200, (await self.sessions[int(number)].answer(body.decode())).encode()
            case "PATCH", [*_, "sessions", _]:
                return 200, {}
            case "DELETE", [*_, "sessions", number]:
                session = self.sessions[int(number)]
                session.left.set()
                return 200, {}
        return 404, {"message": "no such thing"}

    async def _join(self, body: dict[str, str]) -> dict[str, str]:
        assert body["identity"] == self.identity
        peer, voice = RTCPeerConnection(RTCConfiguration(iceServers=[])), Voice()
        session = Session(peer, voice, body["sdp"], joined_at=time.monotonic())
        readers: list[asyncio.Task[None]] = []

        async def read(track: MediaStreamTrack) -> None:
            with contextlib.suppress(MediaStreamError):
                while True:
                    frame: Any = await track.recv()
                    if not session.heard:
                        session.first_at = time.monotonic()
                        session.speaking.set()
                    session.heard.append(frame.to_ndarray()[0, ::2])
                    session._more.set()

        def channel(opened: Any) -> None:
            assert opened.label == "control"
            session.channel = opened
            session.controllable.set()

        peer.on("track", lambda track: readers.append(asyncio.create_task(read(track))))
        peer.on("datachannel", channel)
        await peer.setRemoteDescription(
            RTCSessionDescription(self.change_offer(body["sdp"]), "offer")
        )
        peer.addTrack(voice)
        await peer.setLocalDescription(await peer.createAnswer())
        self.sessions.append(session)
        self.on_session(session)
        return {
            "session_id": str(len(self.sessions) - 1),
            "sdp": self.change(peer.localDescription.sdp),
        }

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                head = (await reader.readuntil(b"\r\n\r\n")).decode()
                first, *rest = head.strip().split("\r\n")
                method, path, _ = first.split(" ")
                parted = [line.partition(": ") for line in rest]
                fields = {name.lower(): value for name, _, value in parted}
                body = await reader.readexactly(int(fields.get("content-length", 0)))
                async with self.asked:
                    self.requests.append((method, path.partition("?")[0]))
                    is_json = "json" in fields.get("content-type", "")
                    self.bodies.append(json.loads(body) if body and is_json else body or None)
                    self.headers.append(fields)
                    self.asked.notify_all()
                answer = await self._respond(method, path.partition("?")[0], body)
                status, content, *lines = answer
                async with self.asked:
                    self.asked.notify_all()
                data = content if isinstance(content, bytes) else json.dumps(content).encode()
                kind = "text/plain" if isinstance(content, bytes) else "application/json"
                writer.write(
                    f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\n"
                    f"{''.join(lines)}Content-Length: {len(data)}\r\n\r\n".encode()
                    + data
                )
                await writer.drain()


def deaf(sdp: str) -> str:
    """Change an answer so that no connectivity check succeeds, as where UDP is blocked."""
    return sdp.replace("a=ice-pwd:", "a=ice-pwd:wrong")


@asynccontextmanager
async def gateway(running: Gateway | None = None) -> AsyncIterator[Gateway]:
    """Run a gateway, or the one given, for the length of the block."""
    running = running or Gateway()
    tasks: set[asyncio.Task[None]] = set()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        async def serve() -> None:
            try:
                await running._serve(reader, writer)
            finally:
                writer.close()

        tasks.add(asyncio.create_task(serve()))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    running.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield running
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for session in running.sessions:
            await session.peer.close()
