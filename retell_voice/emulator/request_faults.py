"""HTTP requests that are answered wrongly, late or not at all, to test a client.

The next requests of a kind are; those after them are answered as usual.
"""

from __future__ import annotations

import asyncio
import re
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

from retell_voice.emulator.rest.replies import Reply, Request, error_reply, phrase

RequestKind = Literal["register", "create", "get", "list", "join", "trickle", "leave", "any"]
"""``register-call``, ``create-web-call``, ``get-call``, ``list-calls``, what is asked of the
gateway, and whatever comes, where nothing is wrong with requests of its own kind."""

KINDS: tuple[RequestKind, ...] = get_args(RequestKind)


@dataclass(frozen=True, slots=True, kw_only=True)
class RequestFault:
    """What is wrong with the answer to a request.

    Attributes:
        kind: of the request.
        status: it is refused with this one; None: it is not.
        message: for a refusal; empty: the words for the status.
        retry_after: seconds, sent as ``Retry-After``.
        answer: one of ``ANSWERS``: what becomes of the usual answer.
        delay: seconds by which the answer is late.
    """

    kind: RequestKind
    status: int | None = None
    message: str = ""
    retry_after: float | None = None
    answer: str = ""
    delay: float = 0.0

    def refusal(self, status: int) -> Reply:
        """Return the answer that refuses."""
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        words = self.message or f"{phrase(status) or status}, as the emulator was told"
        return error_reply(status, words, headers)


def _changed(**changes: Any) -> Callable[[Reply], Reply]:
    """Change fields of a JSON answer; None removes one."""

    def change(reply: Reply) -> Reply:
        body = {**reply.body, **changes}
        kept = {name: value for name, value in body.items() if value is not None}
        return replace(reply, body=kept)

    return change


def _sdp(change: Callable[[str], str]) -> Callable[[Reply], Reply]:
    return lambda reply: replace(reply, body={**reply.body, "sdp": change(reply.body["sdp"])})


def _no_opus(sdp: str) -> str:
    return sdp.replace("opus/48000", "telephone-event/8000")


def _no_candidates(sdp: str) -> str:
    return "".join(line for line in sdp.splitlines(True) if not line.startswith("a=candidate"))


def _not_json(reply: Reply) -> Reply:
    return replace(reply, body="<html>it works</html>", content_type="text/html")


NOTHING = "nothing"
"""No answer at all."""

ANSWERS: Mapping[RequestKind, Mapping[str, Callable[[Reply], Reply]]] = {
    "create": {
        "livekit": _changed(transport="livekit", url="wss://livekit.example"),
        "no_transport": _changed(transport=None),
        "no_token": _changed(access_token=None),
        "not_json": _not_json,
        NOTHING: lambda reply: reply,
    },
    "join": {
        "not_sdp": _sdp(lambda _: "this is not SDP"),
        "no_opus": _sdp(_no_opus),
        "no_candidates": _sdp(_no_candidates),
        "no_session": _changed(session_id=None),
        "not_json": _not_json,
        NOTHING: lambda reply: reply,
    },
    **{kind: {NOTHING: lambda reply: reply} for kind in KINDS if kind not in ("create", "join")},
}
"""What may become of a usual answer, by the kind of the request."""


class RequestFaults:
    """Keeps the faults that are to come, and makes them happen."""

    def __init__(self) -> None:
        self._coming: dict[RequestKind, deque[RequestFault]] = {kind: deque() for kind in KINDS}
        self._over = asyncio.Event()

    def add(self, fault: RequestFault, times: int = 1) -> None:
        """Let the next requests of a kind fare so, after those that are to come already."""
        self._coming[fault.kind].extend([fault] * times)

    def take(self, request: Request, segments: list[str]) -> RequestFault | None:
        """Return what is wrong with the answer to a request, and forget it; None: nothing."""
        for kind in (_kind(request, segments), "any"):
            if kind is not None and (coming := self._coming[kind]):
                return coming.popleft()
        return None

    async def answer(self, fault: RequestFault, usual: Callable[[], Awaitable[Reply]]) -> Reply:
        """Answer a request, with the fault."""
        await self._wait(fault.delay)
        if fault.status is not None:
            return fault.refusal(fault.status)
        reply = await usual()
        if not fault.answer or reply.status >= 300:
            return reply
        if fault.answer == NOTHING:
            await self._over.wait()
        return ANSWERS[fault.kind][fault.answer](reply)

    def stop(self) -> None:
        """Keep nobody waiting any more."""
        self._over.set()

    async def _wait(self, seconds: float) -> None:
        if seconds:
            try:
                async with asyncio.timeout(seconds):
                    await self._over.wait()
            except TimeoutError:
                pass


def parse_refusals(text: str) -> tuple[RequestFault, ...]:
    """Read ``KIND=STATUS``, or ``KIND=STATUSxTIMES``, separated by commas: requests to refuse.

    Raises:
        ValueError: it is not that; says what it should be.
    """
    found: list[RequestFault] = []
    for part in text.split(","):
        read = re.fullmatch(r"\s*(\w+)=([45]\d\d)(?:x(\d{1,4}))?\s*", part, re.ASCII)
        if read is None or read[1] not in KINDS or not 0 < (times := int(read[3] or 1)) <= 1000:
            raise ValueError(
                f"a list like register=429x2,any=500; the requests are {', '.join(KINDS)}"
            )
        found += [RequestFault(kind=cast(RequestKind, read[1]), status=int(read[2]))] * times
    return tuple(found)


def _kind(request: Request, segments: list[str]) -> RequestKind | None:  # noqa: PLR0911 - a table
    match request.method, segments:
        case "POST", ["register-call"]:
            return "register"
        case "POST", ["v3", "create-web-call"]:
            return "create"
        case "GET", ["get-call", _] | ["v1" | "v2", "get-call", _]:
            return "get"
        case "GET" | "POST", ["list-calls"] | ["v2" | "v3", "list-calls"] | ["v2", "list-call"]:
            return "list"
        case "POST", ["webrtc-proxy", _, "v1", "webrtc", "sessions"]:
            return "join"
        case "PATCH", ["webrtc-proxy", _, "v1", "webrtc", "sessions", _]:
            return "trickle"
        case "DELETE", ["webrtc-proxy", _, "v1", "webrtc", "sessions", _]:
            return "leave"
    return None
