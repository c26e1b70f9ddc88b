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
from retell_voice.emulator.gateway.line import (
    LINGER,
    GatewayLine,
    ListenerLine,
    Media,
    say_goodbye,
)
from retell_voice.emulator.gateway.passes import Pass, Passes
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.replies import HttpError, Reply, Request
from retell_voice.emulator.server_events import CallRefused, ListenerJoined, ServerEvents
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.protocol.gateway import (
    CALLER,
    Admission,
    UnreadableAnswer,
    read_join,
    read_trickle,
)
from retell_voice.protocol.sdp import check_offer
from retell_voice.secret import Secret, mask

_CONNECT_TIMEOUT = 15.0  # seconds from the answer to the first audio
_SDP = "application/sdp"


@dataclass(eq=False)
class _Joined:
    """A caller or a listener who has joined.

    Attributes:
        admitted: with what.
        line: what it takes part with.
        left: it has said goodbye.
    """

    admitted: Pass
    line: GatewayLine | ListenerLine
    left: bool = False

    @property
    def media(self) -> Media:
        """The connection."""
        return self.line.media


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
        self._callers: dict[RegisteredCall, GatewayLine] = {}  # of the calls going on
        self._tasks: set[asyncio.Task[None]] = set()
        self._loading: asyncio.Task[Any] | None = None
        self._stopping = False

    def create(self, call: RegisteredCall) -> Admission:
        """Register a web call and return what lets its caller join.

        Raises:
            HttpError: 429, there are too many calls; 501, what web calls need is not installed.
        """
        if not is_installed():
            missing = _not_installed()
            self._server_events.tell(CallRefused(call=mask(""), status=501, why=str(missing)))
            raise missing
        call.expiry = self._passes.expiry
        if not self._registry.register(call):
            raise HttpError(429, "too many calls are registered or ongoing")
        admitted = self._passes.issue(call, self._now())
        call.access_token = admitted.token
        self._load()  # by the time the caller joins, it will be there
        return Admission(
            call_id=call.call_id, access_token=admitted.token, expires_at=admitted.expires_at
        )

    def stop(self, call: RegisteredCall) -> None:
        """End a call soon, as its owner wants it."""
        self._conversations.stop(call)

    def steer(self, call: RegisteredCall, context: str | None, respond: bool) -> None:
        """Give a call's agent context, and have it respond."""
        self._conversations.steer(call, context, respond)

    def listen(self, call: RegisteredCall) -> Admission:
        """Return what lets somebody listen to a call.

        Raises:
            HttpError: 422, it is not a web call that is going on.
        """
        self._caller_of(call)
        identity = f"listener_{secrets.token_hex(8)}"
        admitted = self._passes.issue(call, self._now(), identity)
        return Admission(
            call_id=call.call_id,
            access_token=admitted.token,
            identity=identity,
            expires_at=admitted.expires_at,
        )

    def take_over(self, call: RegisteredCall, identity: str) -> None:
        """Put a listener in the agent's place, for good.

        Raises:
            HttpError: 422, nobody of this identity listens, or somebody has taken over already.
        """
        caller = self._caller_of(call)
        listener = next(
            (
                each.line
                for each in self._sessions.values()
                if each.admitted.call is call
                and each.admitted.identity == identity
                and isinstance(each.line, ListenerLine)
                and each.line in caller.listeners
            ),
            None,
        )
        if not isinstance(listener, ListenerLine):
            raise HttpError(422, "participant_id is of nobody who listens to this call")
        caller.take_over(listener)

    def _caller_of(self, call: RegisteredCall) -> GatewayLine:
        caller = self._callers.get(call)
        if caller is None or caller.operator is not None:
            raise HttpError(422, "call_id is not of a web call that is going on with its agent")
        return caller

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

    async def close(self) -> None:
        """Close all connections; no task is left."""
        self._stopping = True
        if self._loading is not None:
            await asyncio.gather(self._loading, return_exceptions=True)
        await asyncio.gather(*(joined.media.close() for joined in list(self._sessions.values())))
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
        line: GatewayLine | ListenerLine | None = None
        try:
            line = self._open(await asyncio.shield(self._load()), admitted)
            answer = await line.media.answer(offer)
            if self._stopping:
                raise HttpError(503, "the emulator is stopping")
        except BaseException as error:
            admitted.used = False
            if line is not None:
                await line.media.close()
            if isinstance(error, ValueError):
                raise HttpError(400, f"the offer cannot be used: {error}") from None
            if isinstance(error, ImportError):
                raise _not_installed() from None
            raise
        session_id = secrets.token_hex(16)
        joined = self._sessions[session_id] = _Joined(admitted, line)
        self._registry.calls.expect(call)
        task = asyncio.create_task(self._hold(session_id, joined))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return Reply(201, {"session_id": session_id, "sdp": answer})

    def _open(self, module: Any, admitted: Pass) -> GatewayLine | ListenerLine:
        def open_media(line: GatewayLine | ListenerLine) -> Media:
            media: Media = module.Peer(line.next_packet, line.received, line.told)
            return media

        kind = GatewayLine if admitted.identity == CALLER else ListenerLine
        return kind(admitted.call.audio, open_media)

    async def _hold(self, session_id: str, joined: _Joined) -> None:
        """Wait for audio, take part in the call, and close the connection."""
        try:
            connected = False
            with suppress(TimeoutError):
                async with asyncio.timeout(_CONNECT_TIMEOUT):
                    connected = await joined.media.wait_connected()
            if isinstance(joined.line, ListenerLine):
                if connected:
                    await self._hold_listener(joined.admitted.call, joined.line)
            elif connected:
                await self._hold_caller(joined.admitted.call, joined.line)
            else:
                why = "user_hangup" if joined.left else USER_NOT_JOINED
                self._registry.end(joined.admitted.call, why)
        finally:
            await joined.media.close()
            del self._sessions[session_id]

    async def _hold_caller(self, call: RegisteredCall, line: GatewayLine) -> None:
        watching = asyncio.create_task(_watch(line))
        self._callers[call] = line
        try:
            await self._conversations.hold(call, line)
            if line.operator is not None:
                await _first_closed(line.media, line.operator.media)
                await say_goodbye(line.media, LINGER)
            await line.finish()
        finally:
            del self._callers[call]
            await line.media.close()
            await watching

    async def _hold_listener(self, call: RegisteredCall, line: ListenerLine) -> None:
        caller = self._callers.get(call)
        if caller is not None:
            caller.listeners.add(line)
            self._server_events.tell(ListenerJoined(call=call.name, at=self._age(call)))
            await _first_closed(line.media, caller.media)
            caller.listeners.discard(line)
        await say_goodbye(line.media, LINGER)

    def _age(self, call: RegisteredCall) -> float:
        return self._now() - (call.started_at or self._now())

    async def _change(self, request: Request, call: RegisteredCall, session_id: str) -> Reply:
        joined = self._find(request, call, session_id)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            if kind == _SDP:
                offer = request.body.decode("utf-8", "replace")
                check_offer(offer)
                answer = await joined.media.answer(offer)
                return Reply(200, answer, content_type=_SDP)
            candidate = read_trickle(request.body)
            if candidate is not None:
                await joined.media.add(candidate)
        except ValueError as error:
            raise HttpError(400, str(error)) from None
        return Reply(204)

    async def _leave(self, request: Request, call: RegisteredCall, session_id: str) -> Reply:
        joined = self._find(request, call, session_id)
        joined.left = True
        await joined.media.close()
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


async def _watch(line: GatewayLine) -> None:
    await line.media.wait_closed()
    line.ended()


async def _first_closed(*connections: Media) -> None:
    """Wait until one of them is closed."""
    waiting = [asyncio.create_task(each.wait_closed()) for each in connections]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for each in waiting:
            each.cancel()


def _token(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").strip().partition(" ")
    if scheme.lower() != "bearer" or not token.strip():
        raise HttpError(401, "the Authorization header must be 'Bearer ACCESS_TOKEN'")
    return Secret(token.strip())


def _not_installed() -> HttpError:
    words = f"web calls need what is not installed here: {how_to_install('webrtc')}"
    return HttpError(501, words, **{"X-Should-Retry": "false"})


def is_installed() -> bool:
    """Return whether what web calls need is installed; loads no more than libopus."""
    try:
        OpusDecoder(48000)
    except ConfigError:
        return False
    return find_spec("aiortc") is not None
