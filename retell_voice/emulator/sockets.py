"""What becomes of each WebSocket: a call, a watcher of one, or a refusal."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import cast
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.http11 import Request, Response

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.conversations import Conversations
from retell_voice.emulator.dialects import DIALECTS, unproven
from retell_voice.emulator.doors import Doors
from retell_voice.emulator.line import WebSocketLine
from retell_voice.emulator.monitors import Monitors
from retell_voice.emulator.rest.replies import HttpError, error_reply
from retell_voice.emulator.server_events import CallRefused, ServerEvents
from retell_voice.emulator.visitors import Visitors
from retell_voice.secret import mask

_GOODBYE = 1001, "the emulator is stopping"


class Sockets:
    """Admits WebSockets and holds them.

    Args:
        visitors: who may ask at all.
        doors: which call may be joined.
        conversations: holds calls.
        monitors: holds those who watch calls.
        server_events: where to report.
        segments: returns the parts of a request target's path.
        auth_token: what phone providers sign with; None: they need not.
    """

    def __init__(
        self,
        visitors: Visitors,
        doors: Doors,
        conversations: Conversations,
        monitors: Monitors,
        server_events: ServerEvents,
        *,
        segments: Callable[[str], list[str]],
        auth_token: str | None,
    ) -> None:
        self._visitors = visitors
        self._doors = doors
        self._conversations = conversations
        self._monitors = monitors
        self._server_events = server_events
        self._segments = segments
        self._auth_token = auth_token
        self._stopping = False

    def stop(self) -> None:
        """Let nobody in any more."""
        self._stopping = True

    def admit(self, websocket: ServerConnection, request: Request) -> Response | None:
        """Refuse a WebSocket with a response, or let it in with None."""
        headers = {name.lower(): value for name, value in request.headers.raw_items()}
        if (refused := self._visitors.refusal(headers)) is not None:
            self._server_events.tell(CallRefused(call=mask(""), status=403, why=refused))
            return _json_response(websocket, 403, refused)
        if self._watched_call(request) is not None:
            return None
        try:
            self._doors.call_at(
                self._segments(request.path), lambda call: self._unproven(call, request)
            )
        except HttpError as error:
            call_id = urlsplit(request.path).path.rpartition("/")[2]
            status, why = error.reply.status, str(error)
            self._server_events.tell(CallRefused(call=mask(call_id), status=status, why=why))
            return _json_response(websocket, status, why)
        return None

    async def serve(self, websocket: ServerConnection) -> None:
        """Hold a WebSocket that was let in."""
        request = cast(Request, websocket.request)
        if self._stopping:
            await websocket.close(*_GOODBYE)
            return
        if (call_id := self._watched_call(request)) is not None:
            await self._monitors.serve(websocket, call_id)
            return
        try:
            call = self._doors.call_at(self._segments(request.path))
        except HttpError as error:  # another caller was quicker by the length of a handshake
            await websocket.close(1008, str(error))
            return
        answer = DIALECTS[call.protocol](call, parse_qs(urlsplit(request.path).query))
        await self._conversations.hold(call, WebSocketLine(websocket, answer))

    def _unproven(self, call: RegisteredCall, request: Request) -> str:
        return unproven(call, request, self._auth_token) if self._auth_token else ""

    def _watched_call(self, request: Request) -> str | None:
        match self._segments(request.path):
            case ["v2", "monitor-call", call_id]:
                return call_id
        return None


def _json_response(websocket: ServerConnection, status: int, why: str) -> Response:
    response = websocket.respond(status, json.dumps(dict(error_reply(status, why).body)))
    del response.headers["Content-Type"]
    response.headers["Content-Type"] = "application/json"
    return response
