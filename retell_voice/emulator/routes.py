"""Which part of the emulator answers an HTTP request; for browsers, too."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from dataclasses import replace

from retell_voice.emulator.gateway.gateway import Gateway
from retell_voice.emulator.request_faults import RequestFaults
from retell_voice.emulator.rest.api import Rest
from retell_voice.emulator.rest.replies import Reply, Request, error_reply
from retell_voice.emulator.visitors import Visitors

_ANY_ORIGIN: Mapping[str, str] = {
    "Access-Control-Allow-Origin": "*",
    "Access-Control-Allow-Methods": "GET, POST, PUT, PATCH, DELETE",
    "Access-Control-Allow-Headers": "*, Authorization",
    "Access-Control-Max-Age": "600",
}


class Routes:
    """Answers HTTP requests.

    Args:
        rest: answers those of the REST API, and all that are nobody's.
        gateway: answers those about the sessions of web calls.
        faults: what goes wrong with some of them.
        visitors: says who may ask.
    """

    def __init__(
        self, rest: Rest, gateway: Gateway, faults: RequestFaults, visitors: Visitors
    ) -> None:
        self._visitors = visitors
        self._rest = rest
        self._gateway = gateway
        self._faults = faults

    def respond(self, request: Request) -> Reply | Awaitable[Reply]:
        """Answer a request, now or later; never raises."""
        if (why := self._visitors.refusal(request.headers)) is not None:
            return error_reply(403, why)
        if "origin" in request.headers:
            return self._respond_to_browser(request)
        return self._route(request)

    async def _respond_to_browser(self, request: Request) -> Reply:
        """Answer a page that may ask, and that may ask first whether it may."""
        if request.method == "OPTIONS":
            return Reply(204, headers=_ANY_ORIGIN)
        reply = self._route(request)
        if not isinstance(reply, Reply):
            reply = await reply
        return replace(reply, headers={**reply.headers, **_ANY_ORIGIN})

    def _route(self, request: Request) -> Reply | Awaitable[Reply]:
        segments = self._rest.segments(request.target)
        fault = self._faults.take(request, segments)
        if fault is not None:
            return self._faults.answer(fault, lambda: self._usual(request, segments))
        return self._dispatch(request, segments)

    async def _usual(self, request: Request, segments: list[str]) -> Reply:
        reply = self._dispatch(request, segments)
        return reply if isinstance(reply, Reply) else await reply

    def _dispatch(self, request: Request, segments: list[str]) -> Reply | Awaitable[Reply]:
        match segments:
            case ["webrtc-proxy", call_id, "v1", "webrtc", "sessions", *rest] if len(rest) < 2:
                return self._gateway.respond(request, call_id, *rest)
        return self._rest.respond(request)
