# /// script
# dependencies = ["websockets>=15"]
# ///
"""The smallest custom LLM server: it repeats what the user said.

    pipx run examples/llm_server.py          # or uv run; python, where websockets is installed
    retell-voice talk --local --llm ws://localhost:8080/llm-websocket

Retell, or the emulator in its place, opens one WebSocket for each call, at
``/llm-websocket/{call_id}``. Every message is JSON in a text, never bytes. What there is
beyond this is in ``llm_server_streaming.py`` and at
https://docs.retellai.com/api-references/llm-websocket.
"""

import argparse
import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from websockets.asyncio.server import ServerConnection, serve


async def converse(websocket: ServerConnection) -> None:
    """Hold one call."""

    async def send(response_type: str, **fields: object) -> None:
        await websocket.send(json.dumps({"response_type": response_type, **fields}))

    async def say(response_id: int, content: str) -> None:
        await send("response", response_id=response_id, content=content, content_complete=True)

    await send("config", config={"auto_reconnect": True})
    await say(0, "Hello! Whatever you say, I say it back.")  # 0 is the begin message
    async for message in websocket:
        request = json.loads(message)
        match request["interaction_type"]:
            case "response_required":
                said = [each["content"] for each in request["transcript"] if each["role"] == "user"]
                await say(request["response_id"], f"You said: {said[-1] if said else 'nothing'}")
            case "reminder_required":
                await say(request["response_id"], "Are you still there?")
            case "ping_pong":  # with auto_reconnect: unanswered for 5 s, Retell dials anew
                await send("ping_pong", timestamp=request["timestamp"])
            # "update_only" is the transcript as it grows: nothing to answer.


@asynccontextmanager
async def listen(port: int) -> AsyncIterator[str]:
    """Take calls on this port of this machine (0: any that is free); gives the URL to dial."""
    async with serve(converse, "127.0.0.1", port) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/llm-websocket"


async def main() -> None:
    parser = argparse.ArgumentParser(description="A custom LLM server that echoes.")
    parser.add_argument("--port", type=int, default=8080)
    port = parser.parse_args().port
    try:
        async with listen(port) as url:
            print(f"listening on {url}", flush=True)
            await asyncio.get_running_loop().create_future()  # until Ctrl-C
    except OSError as error:
        why = os.strerror(error.errno or 0)
        sys.exit(f"cannot listen on port {port}: {why}; --port 0 takes any free one")


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        asyncio.run(main())
