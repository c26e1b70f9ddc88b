# /// script
# dependencies = ["pipecat-ai[websocket]>=1.14,<2"]
# ///
"""A phone agent on Pipecat: it says back what its caller says, whichever provider calls.

    pip install 'pipecat-ai[websocket]'
    python phone_agent_pipecat.py
    retell-voice talk --dialect twilio --url ws://localhost:8765/ws      (or telnyx, plivo, exotel)

Talk over it and it falls silent; the key # hangs up.
"""

from __future__ import annotations

import argparse
import array
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndWorkerFrame,
    Frame,
    InputAudioRawFrame,
    InputDTMFFrame,
    OutputAudioRawFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.runner.utils import parse_telephony_websocket
from pipecat.serializers.exotel import ExotelFrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer
from pipecat.transports.websocket.fastapi import FastAPIWebsocketParams, FastAPIWebsocketTransport
from pipecat.workers.runner import WorkerRunner

RATE = 8000
LOUD = 1000
"""Of 32768: about −30 dBFS."""
PAUSE = RATE * 6 // 10
"""Samples of silence after which it is the agent's turn."""

app = FastAPI()


class Echo(FrameProcessor):  # type: ignore[misc]  # Pipecat is not installed where types are checked
    """Says back what it hears."""

    def __init__(self) -> None:
        super().__init__()
        self._heard = b""
        self._silent = 0  # samples since the caller was loud
        self._speaking = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take a frame of the pipeline."""
        await super().process_frame(frame, direction)
        match frame:
            case InputAudioRawFrame():
                await self._listen(frame.audio)
                return
            case BotStartedSpeakingFrame():
                self._speaking = True
            case BotStoppedSpeakingFrame():
                self._speaking = False
            case InputDTMFFrame() if frame.button.value == "#":
                await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)
        await self.push_frame(frame, direction)

    async def _listen(self, audio: bytes) -> None:
        is_loud = max(map(abs, array.array("h", audio)), default=0) > LOUD
        self._silent = 0 if is_loud else self._silent + len(audio) // 2
        if is_loud and self._speaking:
            self._speaking = False
            await self.broadcast_interruption()
        if is_loud or self._heard:
            self._heard += audio
        if self._heard and self._silent >= PAUSE:
            said, self._heard = self._heard, b""
            await self.push_frame(OutputAudioRawFrame(said, RATE, 1))


def serializer(provider: str, call: Any) -> Any:
    """Return what reads and writes this provider's messages; no call at the provider is ended."""
    match provider:
        case "telnyx":
            params = TelnyxFrameSerializer.InputParams(auto_hang_up=False)
            return TelnyxFrameSerializer(
                call.stream_id, call.outbound_encoding, "PCMU", params=params
            )
        case "plivo":
            params = PlivoFrameSerializer.InputParams(auto_hang_up=False)
            return PlivoFrameSerializer(call.stream_id, params=params)
        case "exotel":
            return ExotelFrameSerializer(call.stream_id)
    params = TwilioFrameSerializer.InputParams(auto_hang_up=False)
    return TwilioFrameSerializer(call.stream_id, params=params)


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    """Answer a call."""
    await websocket.accept()
    provider, call = await parse_telephony_websocket(websocket)
    transport = FastAPIWebsocketTransport(
        websocket=websocket,
        params=FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            serializer=serializer(provider, call),
            # Exotel takes no piece that is shorter than a fifth of a second.
            audio_out_10ms_chunks=20 if provider == "exotel" else 4,
            audio_out_end_silence_secs=0,
        ),
    )
    worker = PipelineWorker(
        Pipeline([transport.input(), Echo(), transport.output()]),
        params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
    )

    @transport.event_handler("on_client_disconnected")  # type: ignore[untyped-decorator]  # as above
    async def gone(*_: Any) -> None:
        await worker.cancel()

    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    await runner.run()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A phone agent that says back what it hears.")
    parser.add_argument("--port", type=int, default=8765, help="0 takes any free one")
    try:
        listening = socket.create_server(("127.0.0.1", parser.parse_args().port))
    except OSError as error:
        sys.exit(f"{error.strerror}; --port 0 takes any free one")
    with listening, suppress(KeyboardInterrupt):
        print(f"ws://localhost:{listening.getsockname()[1]}/ws", flush=True)
        uvicorn.run(app, fd=listening.fileno(), log_level="warning")
