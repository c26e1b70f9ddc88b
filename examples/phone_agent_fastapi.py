# /// script
# dependencies = ["fastapi", "uvicorn", "websockets"]
# ///
"""A phone agent as a bare FastAPI server: it says back what its caller says, as Twilio has it.

    pipx run examples/phone_agent_fastapi.py    # or uv run: both bring what it imports
    retell-voice talk --dialect twilio --url ws://localhost:8765/ws

Talk over it and it falls silent; the key # hangs up.
"""

from __future__ import annotations

import argparse
import base64
import json
import socket
import sys
from contextlib import suppress
from typing import Any

import uvicorn
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

LOUD = 0x40
"""Of the 128 levels of µ-law: about −30 dBFS."""
PAUSE = 8000 * 6 // 10
"""Samples of silence after which it is the agent's turn."""

app = FastAPI()


class Agent:
    """One call."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._stream = ""
        self._heard = b""
        self._silent = 0  # samples since the caller was loud
        self._speaking = False

    async def hold(self) -> None:
        """Hold the call, until either side has had enough."""
        while True:
            message = json.loads(await self._websocket.receive_text())
            match message["event"]:
                case "start":
                    self._stream = message["streamSid"]
                    print("call", message["start"]["customParameters"], flush=True)
                case "media":
                    await self._listen(base64.b64decode(message["media"]["payload"]))
                case "mark":  # the caller has heard all of it, or it was cleared
                    self._speaking = False
                case "dtmf" if message["dtmf"]["digit"] == "#":
                    return
                case "stop":
                    return

    async def _listen(self, audio: bytes) -> None:
        is_loud = max((byte ^ 0xFF) & 0x7F for byte in audio) > LOUD
        self._silent = 0 if is_loud else self._silent + len(audio)
        if is_loud and self._speaking:
            await self._say("clear")
        if is_loud or self._heard:
            self._heard += audio
        if self._heard and self._silent >= PAUSE:
            payload = base64.b64encode(self._heard).decode()
            self._heard, self._speaking = b"", True
            await self._say("media", media={"payload": payload})
            await self._say("mark", mark={"name": "said"})

    async def _say(self, event: str, **more: Any) -> None:
        await self._websocket.send_json({"event": event, "streamSid": self._stream, **more})


@app.websocket("/ws")
async def answer(websocket: WebSocket) -> None:
    """Answer a call."""
    await websocket.accept()
    try:
        await Agent(websocket).hold()
    except WebSocketDisconnect:
        return
    await websocket.close()


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
