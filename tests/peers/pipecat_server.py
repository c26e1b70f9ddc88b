"""A voice server whose wire is Pipecat's: its serializers read and write all that goes over it.

Runs in a Python that has Pipecat, in a process of its own; ``/twilio``, ``/telnyx`` and so on are
served in that dialect. Each call goes like this, and the reason of its close says how it went:

    half a second of the caller ─▶ a tone, a mark ─▶ heard
    20 s of a tone, a mark, Pipecat's interruption ─▶ what the provider answers
    a key of the telephone ─▶ close
"""

from __future__ import annotations

import asyncio
import json
import math
import struct
from types import SimpleNamespace
from typing import Any

from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputDTMFFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
)
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer
from websockets.asyncio.server import ServerConnection, serve

BEGINS = {"vonage": "websocket:connected"}
"""The event that tells who calls, where it is not ``start``."""
RATES = {"vonage": 16_000}


def serializer_for(dialect: str, start: dict[str, Any]) -> Any:
    def params(kind: Any) -> Any:
        return kind.InputParams(auto_hang_up=False)

    match dialect:
        case "twilio":
            return TwilioFrameSerializer(start["streamSid"], params=params(TwilioFrameSerializer))
        case "telnyx":
            form = start["start"]["media_format"]["encoding"]
            return TelnyxFrameSerializer(
                start["stream_id"], form, "PCMU", params=params(TelnyxFrameSerializer)
            )
        case "plivo":
            stream = start["start"]["streamId"]
            return PlivoFrameSerializer(stream, params=params(PlivoFrameSerializer))
        case "exotel":
            return ExotelFrameSerializer(start["stream_sid"])
        case "vonage":
            return VonageFrameSerializer()
    raise ValueError(dialect)


def mark(dialect: str, start: dict[str, Any], name: str) -> dict[str, Any]:
    match dialect:
        case "twilio":
            return {"event": "mark", "streamSid": start["streamSid"], "mark": {"name": name}}
        case "telnyx":
            return {"event": "mark", "mark": {"name": name}}
        case "plivo":
            return {"event": "checkpoint", "streamId": start["start"]["streamId"], "name": name}
        case "exotel":
            return {"event": "mark", "stream_sid": start["stream_sid"], "mark": {"name": name}}
    return {"action": "notify", "payload": {"name": name}}


def answer_of(message: str | bytes) -> str:
    """Return the mark that came back, or that a clear was acknowledged; empty: neither."""
    if isinstance(message, bytes):
        return ""
    body = json.loads(message)
    match body["event"]:
        case "mark":
            return str(body["mark"]["name"])
        case "playedStream":
            return str(body["name"])
        case "websocket:notify":
            return str(body["payload"]["name"])
        case "clearedAudio" | "websocket:cleared":
            return "cleared"
    return ""


class Agent:
    def __init__(self, websocket: ServerConnection, dialect: str) -> None:
        self._websocket = websocket
        self._dialect = dialect
        self._rate = RATES.get(dialect, 8000)

    async def hold(self) -> None:
        start: dict[str, Any] = {}
        while start.get("event") != BEGINS.get(self._dialect, "start"):
            start = json.loads(await self._websocket.recv())
        self._wire = serializer_for(self._dialect, start)
        await self._wire.setup(SimpleNamespace(audio_in_sample_rate=self._rate))
        heard = 0.0
        while heard < 0.5:
            frame = await self._wire.deserialize(await self._websocket.recv())
            if isinstance(frame, InputAudioRawFrame):
                heard += len(frame.audio) / 2 / frame.sample_rate
        await self._say(0.4)
        await self._send(OutputTransportMessageFrame(mark(self._dialect, start, "heard")))
        first = await self._answer()
        await self._say(20.0)
        await self._send(OutputTransportMessageFrame(mark(self._dialect, start, "later")))
        await self._send(InterruptionFrame())
        second = await self._answer()
        while True:
            frame = await self._wire.deserialize(await self._websocket.recv())
            if isinstance(frame, InputDTMFFrame):
                break
        await self._websocket.close(1000, f"{first} {second} {frame.button.value}")

    async def _say(self, seconds: float) -> None:
        step = self._rate // 5 if self._dialect == "exotel" else self._rate // 50
        for begin in range(0, round(seconds * self._rate), step):
            tone = [
                round(9000 * math.sin(2 * math.pi * 400 * n / self._rate))
                for n in range(begin, begin + step)
            ]
            audio = struct.pack(f"<{step}h", *tone)
            await self._send(OutputAudioRawFrame(audio, self._rate, 1))

    async def _send(self, frame: Any) -> None:
        message = await self._wire.serialize(frame)
        assert message is not None
        await self._websocket.send(message)

    async def _answer(self) -> str:
        while not (answer := answer_of(await self._websocket.recv())):
            pass
        return answer


async def main() -> None:
    async def handler(websocket: ServerConnection) -> None:
        assert websocket.request is not None
        await Agent(websocket, websocket.request.path.strip("/")).hold()

    async with serve(handler, "127.0.0.1", 0) as server:
        print(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", flush=True)
        await server.wait_closed()


if __name__ == "__main__":
    asyncio.run(main())
