"""The gateway's HTTP: who joins a web call, over which WebRTC connection, and how that ends.

::

    POST   …/sessions        a pass, an SDP offer  → 201, a session and the answer
    PATCH  …/sessions/{id}   a candidate           → 204
    PATCH  …/sessions/{id}   application/sdp       → 200, the answer to another offer
    DELETE …/sessions/{id}                         → 204; for the caller the call is over
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

from retell_voice.audio.opus import OpusDecoder
from retell_voice.emulator.calls import USER_NOT_JOINED, RegisteredCall
from retell_voice.emulator.conversations import Conversations
from retell_voice.emulator.gateway.line import GatewayLine, Media
from retell_voice.emulator.gateway.passes import Pass, Passes
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.replies import HttpError, Reply, Request
from retell_voice.emulator.server_events import CallRefused, ServerEvents
from retell_voice.errors import ConfigError
from retell_voice.protocol.gateway import (
    Admission,
    UnreadableAnswer,
    read_join,
    read_trickle,
)
from retell_voice.protocol.sdp import check_offer
from retell_voice.secret import Secret, mask

_CONNECT_TIMEOUT = 15.0  # seconds from the answer to the first audio
_SDP = "application/sdp"
_NOT_INSTALLED = "web calls need what is not installed here: pip install 'retell-voice[webrtc]'"


@dataclass(eq=False)
class _Joined:
    """A caller who has joined.

    Attributes:
        admitted: with what.
        peer: the connection.
        left: the caller has said goodbye.
    """

    admitted: Pass
    peer: Media
    left: bool = False


class Gateway:
    """Lets callers join web calls.

    Args:
        registry: where the calls are kept.
        conversations: holds the calls once a caller is there.
        server_events: where to report.
        now: the clock of the calls, Unix seconds.
        token_expiry: seconds within which an access token must be used.
    """

    def __init__(
        self,
        registry: Registry,
        conversations: Conversations,
        server_events: ServerEvents,
        now: Callable[[], float],
        token_expiry: float,
    ) -> None:
        self._registry = registry
        self._conversations = conversations
        self._server_events = server_events
        self._now = now
        self._passes = Passes(token_expiry)
        self._sessions: dict[str, _Joined] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: asyncio.Task[Any] | None = None
        self._stopping = False

    def create(self, call: RegisteredCall) -> Admission:
        """Register a web call and return what lets its caller join.

        Raises:
            HttpError: 429, there are too many calls; 501, what web calls need is not installed.
        """
        if not _is_installed():
            self._server_events.tell(CallRefused(call=mask(""), status=501, why=_NOT_INSTALLED))
            raise HttpError(501, _NOT_INSTALLED, **{"X-Should-Retry": "false"})
        call.expiry = self._passes.expiry
        if not self._registry.register(call):
            raise HttpError(429, "too many calls are registered or ongoing")
        admitted = self._passes.issue(call, self._now())
        call.access_token = admitted.token
        self._load()  # by the time the caller joins, it will be there
        return Admission(
            call_id=call.call_id, access_token=admitted.token, expires_at=admitted.expires_at
        )

    async def respond(self, request: Request, call_id: str, session_id: str | None = None) -> Reply:
        """Answer a request about the sessions of a call; never raises."""
        try:
            call = self._registry.find(call_id)
            if call is None:
                raise HttpError(404, "there is no call of this call_id")
            match request.method, session_id:
                case "POST", None:
                    return await self._join(request, call)
                case "PATCH", str():
                    return await self._change(request, call, session_id)
                case "DELETE", str():
                    return await self._leave(request, call, session_id)
            allowed = "POST" if session_id is None else "PATCH, DELETE"
            raise HttpError(405, f"this path takes {allowed}, not {request.method}", Allow=allowed)
        except HttpError as error:
            status, why = error.reply.status, str(error)
            self._server_events.tell(CallRefused(call=mask(call_id), status=status, why=why))
            return error.reply

    async def stop(self) -> None:
        """Close all connections; no task is left."""
        self._stopping = True
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
        await asyncio.gather(*(joined.peer.close() for joined in list(self._sessions.values())))
        await asyncio.gather(*self._tasks)

    async def _join(self, request: Request, call: RegisteredCall) -> Reply:
        admitted = self._passes.admit(_token(request), call, self._now())
        try:
            identity, offer = read_join(request.body)
            if identity != admitted.identity:
                raise HttpError(403, "this access token is not for this identity")
            check_offer(offer)
        except UnreadableAnswer as error:
            raise HttpError(400, str(error)) from None
        admitted.used = True
        peer: Media | None = None
        try:
            module = await asyncio.shield(self._load())
            line = GatewayLine(
                call.audio, lambda line: module.Peer(line.next_packet, line.received, line.told)
            )
            peer = line.media
            answer = await peer.answer(offer)
            if self._stopping:
                raise HttpError(503, "the emulator is stopping")
        except BaseException as error:
            admitted.used = False
            if peer is not None:
                await peer.close()
            if isinstance(error, ValueError):
                raise HttpError(400, f"the offer cannot be used: {error}") from None
            if isinstance(error, ImportError):
                raise HttpError(501, _NOT_INSTALLED, **{"X-Should-Retry": "false"}) from None
            raise
        session_id = secrets.token_hex(16)
        joined = self._sessions[session_id] = _Joined(admitted, peer)
        self._registry.calls.expect(call)
        task = asyncio.create_task(self._hold(session_id, joined, line))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Reply(201, {"session_id": session_id, "sdp": answer})

    async def _hold(self, session_id: str, joined: _Joined, line: GatewayLine) -> None:
        """Wait for the caller's audio, hold the conversation, and close the connection."""
        call, peer = joined.admitted.call, joined.peer
        watching = asyncio.create_task(_watch(peer, line))
        try:
            connected = False
            with suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    connected = await peer.wait_connected()
            if connected:
                await self._conversations.hold(call, line)
                await line.finish()
            else:
                self._registry.end(call, "user_hangup" if joined.left else USER_NOT_JOINED)
        finally:
            await peer.close()
            await watching
            del self._sessions[session_id]

    async def _change(self, request: Request, call: RegisteredCall, session_id: str) -> Reply:
        joined = self._find(request, call, session_id)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if kind == _SDP:
                offer = request.body.decode("utf-8", "replace")
                check_offer(offer)
                answer = await joined.peer.answer(offer)
                return Reply(200, answer, content_type=_SDP)
            candidate = read_trickle(request.body)
            if candidate is not None:
                await joined.peer.add(candidate)
        except ValueError as error:
            raise HttpError(400, str(error)) from None
        return Reply(204)

    async def _leave(self, request: Request, call: RegisteredCall, session_id: str) -> Reply:
        joined = self._find(request, call, session_id)
        joined.left = True
        await joined.peer.close()
        return Reply(204)

    def _find(self, request: Request, call: RegisteredCall, session_id: str) -> _Joined:
        joined = self._sessions.get(session_id)
        if joined is None or joined.admitted.call is not call:
            raise HttpError(404, "there is no such session")
        if not secrets.compare_digest(joined.admitted.token.encode(), _token(request).encode()):
            raise HttpError(401, "this access token is not of this session")
        return joined

    def _load(self) -> asyncio.Task[Any]:
        if self._loading is None:
            name = "retell_voice.emulator.gateway.peer"
            self._loading = asyncio.create_task(asyncio.to_thread(import_module, name))
        return self._loading


async def _watch(peer: Media, line: GatewayLine) -> None:
    await peer.wait_closed()
    line.ended()


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise HttpError(401, "the Authorization header must be 'Bearer ACCESS_TOKEN'")
    return Secret(token.strip())


def _is_installed() -> bool:
    try:
        OpusDecoder(48000)
    except ConfigError:
        return False
    return find_spec("aiortc") is not None
