"""A caller of web calls: ``aiortc`` and HTTP, none of our client."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamTrack
from av.packet import Packet

from retell_voice.audio.format import Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.emulator import Emulator

RATE = 48000
FRAME = RATE // 50


@dataclass
class Answer:
    """An HTTP answer."""

    status: int
    text: str
    head: str = ""

    @property
    def body(self) -> Any:
        return json.loads(self.text)


async def http(
    emulator: Emulator, method: str, path: str, token: str, body: Any = None, kind: str = ""
) -> Answer:
    """Send one HTTP request; a body that is text goes as it is."""
    data = (body if isinstance(body, str) else "" if body is None else json.dumps(body)).encode()
    head = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        f"Content-Type: {kind or 'application/json'}",
        f"Content-Length: {len(data)}",
        "Connection: close",
    ]
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    writer.write("\r\n".join(head).encode() + b"\r\n\r\n" + data)
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    status, _, content = answer.decode().partition("\r\n\r\n")
    return Answer(int(status.split()[1]), content, f"{status}\r\n")


async def create(emulator: Emulator, **fields: Any) -> dict[str, Any]:
    """Create a web call."""
    answer = await http(
        emulator, "POST", "/v3/create-web-call", "key", {"agent_id": "parrot"} | fields
    )
    assert answer.status == 201, answer
    body: dict[str, Any] = answer.body
    return body


def sessions(created: dict[str, Any]) -> str:
    return f"/webrtc-proxy/{created['call_id']}/v1/webrtc/sessions"


class Speech(MediaStreamTrack):
    """What the caller says: Opus, 32 kbit/s, in real time; then silence."""

    kind = "audio"

    def __init__(self, samples: Samples | None = None) -> None:
        super().__init__()
        self._said = np.zeros(0, np.int16) if samples is None else samples
        self._encoder = OpusEncoder(RATE)
        self._count = 0
        self._begin: float | None = None
        self._sent = asyncio.Event()

    def say(self, samples: Samples) -> None:
        """Say something as soon as possible."""
        self._said = np.concatenate((self._said[: self._count * FRAME], samples))

    async def until(self, count: int) -> None:
        """Wait until so many samples have been sent."""
        while self._count * FRAME < count:
            self._sent.clear()
            await self._sent.wait()

    async def recv(self) -> Any:
        loop = asyncio.get_running_loop()
        if self._begin is None:
            self._begin = loop.time()
        await asyncio.sleep(max(0.0, self._begin + self._count * FRAME / RATE - loop.time()))
        start = self._count * FRAME
        frame = self._said[start : start + FRAME]
        packet = Packet(self._encoder.encode(np.pad(frame, (0, FRAME - len(frame)))))
        packet.pts, packet.time_base = start, Fraction(1, RATE)
        self._count += 1
        self._sent.set()
        return packet


@dataclass(frozen=True)
class Received:
    """A packet of the agent's: loop time of its arrival, and what it is."""

    at: float
    sequence: int
    timestamp: int
    payload: bytes


class WebCaller:
    """One caller's connection.

    Attributes:
        packets: those received, as they came.
        control: messages of the control channel.
        closed: set once the connection is.
    """

    def __init__(self, samples: Samples | None = None, *, listens_only: bool = False) -> None:
        self.connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.speech = Speech(samples)
        self.packets: list[Received] = []
        self.control: list[dict[str, Any]] = []
        self.closed = asyncio.Event()
        self.connected = asyncio.Event()
        self.path = ""
        self.token = ""
        self._news = asyncio.Event()
        self._channel = self.connection.createDataChannel("control")
        self._channel.on("message", self._told)
        self._channel.on("close", self._news.set)
        if listens_only:
            self.connection.addTransceiver("audio", direction="recvonly")
        else:
            self.connection.addTrack(self.speech)
        self.connection.on("track", self._tap)
        self.connection.on("connectionstatechange", self._changed)

    def _tap(self, track: MediaStreamTrack) -> None:
        for transceiver in self.connection.getTransceivers():
            receiver: Any = transceiver.receiver
            if receiver.track is track:
                receiver._RTCRtpReceiver__jitter_buffer = self

    def add(self, packet: Any) -> tuple[bool, None]:
        at = asyncio.get_running_loop().time()
        self.packets.append(Received(at, packet.sequence_number, packet.timestamp, packet.payload))
        self._news.set()
        return False, None

    def _told(self, message: str) -> None:
        self.control.append(json.loads(message))
        self._news.set()

    def _changed(self) -> None:
        match self.connection.connectionState:
            case "connected":
                self.connected.set()
            case "closed" | "failed":
                self.closed.set()
        self._news.set()

    @property
    def control_closed(self) -> bool:
        return bool(self._channel.readyState == "closed")

    def say_on_control(self, message: str) -> None:
        self._channel.send(message)

    async def datagrams(self) -> int:
        """Return how many came, whatever they were."""
        report = await self.connection.getStats()
        return sum(each.packetsReceived for each in report.values() if each.type == "transport")

    async def offer(self) -> str:
        await self.connection.setLocalDescription(await self.connection.createOffer())
        return str(self.connection.localDescription.sdp)

    async def join(
        self, emulator: Emulator, created: dict[str, Any], identity: str = "client"
    ) -> None:
        self.token = created["access_token"]
        body = {"identity": identity, "sdp": await self.offer()}
        answer = await http(emulator, "POST", sessions(created), self.token, body)
        assert answer.status == 201, answer
        self.path = f"{sessions(created)}/{answer.body['session_id']}"
        await self.take(answer.body["sdp"])
        async with asyncio.timeout(5):
            await self.connected.wait()

    async def take(self, answer: str) -> None:
        await self.connection.setRemoteDescription(RTCSessionDescription(answer, "answer"))

    async def speak_up(self, emulator: Emulator) -> None:
        """Send audio, too, after having listened only."""
        (transceiver,) = self.connection.getTransceivers()
        transceiver.sender.replaceTrack(self.speech)
        transceiver.direction = "sendrecv"
        answer = await http(
            emulator, "PATCH", self.path, self.token, await self.offer(), "application/sdp"
        )
        assert answer.status == 200, answer
        await self.take(answer.text)

    async def leave(self, emulator: Emulator) -> Answer:
        return await http(emulator, "DELETE", self.path, self.token)

    async def until(self, condition: Any, within: float = 30.0) -> None:
        """Wait until something holds that changes with what is received."""
        async with asyncio.timeout(within):
            while not condition():
                self._news.clear()
                await self._news.wait()

    async def close(self) -> None:
        await self.connection.close()


@asynccontextmanager
async def calling(
    emulator: Emulator, samples: Samples | None = None, **fields: Any
) -> AsyncIterator[WebCaller]:
    """Hold a web call for the length of the block."""
    caller = WebCaller(samples)
    try:
        await caller.join(emulator, await create(emulator, **fields))
        await caller.until(lambda: bool(emulator.calls[-1].started_at))
        yield caller
    finally:
        await caller.close()


def decoded(packets: Sequence[Received], rate: int = RATE) -> Samples:
    """Return what a listener hears of packets that all came, in order; shape (n,)."""
    decoder = OpusDecoder(rate)
    return np.concatenate([decoder.decode(each.payload).copy() for each in packets])


def coded(samples: Samples, rate: int, to: int) -> Samples:
    """Return what Opus makes of samples at 32 kbit/s, with nothing else in between, shape (n,).

    The codec alone is 10 dB off the waveform: what a call adds to that is what is to be measured.
    """
    encoder, decoder, size = OpusEncoder(rate), OpusDecoder(to), rate // 50
    whole = np.pad(samples, (0, -len(samples) % size)).reshape(-1, size)
    return np.concatenate([decoder.decode(encoder.encode(each)).copy() for each in whole])
