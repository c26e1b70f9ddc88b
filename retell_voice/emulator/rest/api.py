"""Retell's REST calls. Pure: no sockets, no clock.

::

    POST   {prefix}/register-call                201, or 400 422 429
    POST   {prefix}/v2/register-phone-call       201, or 400 422 429  (also without /v2)
    GET    {prefix}/v2/get-call/{call_id}        200, or 404          (also without /v2, and /v1)
    POST   {prefix}/v3/list-calls                200, or 400 422      (also /v2, GET /list-calls)
    PATCH  {prefix}/v2/update-call/{call_id}     200, or 400 404 422
    POST   {prefix}/v2/stop-call/{call_id}       204, or 404 422
    DELETE {prefix}/v2/delete-call/{call_id}     204, or 404 422
    POST   {prefix}/v2/listen-live-call/{call_id}, /v2/take-over-live-call/{call_id}
    PATCH  {prefix}/v2/update-live-call/{call_id}     see ``live_calls``
    POST   {prefix}/v3/create-web-call           201, or 400 422 429, or 501: not installed
    GET    {prefix}/get-concurrency              200
    POST   {prefix}/v2/list-agents               200, or 400 422      (also GET /list-agents)
    GET    {prefix}/get-agent/{agent_id}         200, or 404 422
    GET    {prefix}/list-voices                  200                  (also /get-voice/{voice_id})

A request without a key is 401, one of a wrong method 405, one to any other path 404. What
Retell has and the emulator cannot do is 501: it has no telephone and no analysis. Every error is a
JSON object with ``status``, ``message`` and ``error_message``; a 422 names the field.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable
from functools import partial
from typing import Protocol
from urllib.parse import unquote, urlsplit

from retell_voice.emulator.calls import Calls, CallStatus, RegisteredCall
from retell_voice.emulator.rest.agents import Agents, get_voice, list_voices
from retell_voice.emulator.rest.call_json import call_body, first_call_body, registration_body
from retell_voice.emulator.rest.listing import list_v1, list_v2, list_v3
from retell_voice.emulator.rest.live_calls import (
    LiveCalls,
    listen,
    require_ongoing,
    take_over,
    update_live,
)
from retell_voice.emulator.rest.registering import (
    parse_phone_registration,
    parse_registration,
    update_call,
)
from retell_voice.emulator.rest.replies import HttpError, Reply, Request
from retell_voice.emulator.rest.web_calls import V2_REFUSED, parse_web_call
from retell_voice.protocol.gateway import admission_body

_WHAT_THERE_IS = "POST /register-call and the Audio WebSocket are what there is"
_NO_PHONE = f"the emulator has no telephone; {_WHAT_THERE_IS}"
_NO_ANALYSIS = "the emulator analyses no calls"
_BEYOND = {
    "create-phone-call": ("POST", _NO_PHONE),
    "v2/create-phone-call": ("POST", _NO_PHONE),
    "create-web-call": ("POST", V2_REFUSED),
    "v2/create-web-call": ("POST", V2_REFUSED),
    "rerun-call-analysis/{id}": ("PUT", _NO_ANALYSIS),
}
_Handler = Callable[[Request, str], Reply]


class CallStore(Protocol):
    """Who keeps the calls that REST is about."""

    calls: Calls

    def register(self, call: RegisteredCall) -> bool:
        """Keep a new call; False when there are too many."""

    def find(self, call_id: str) -> RegisteredCall | None:
        """Look a call up, expired if it was not joined in time."""

    def changed(self, call: RegisteredCall) -> None:
        """Note that a call holds more than before."""

    def forget(self, call: RegisteredCall) -> None:
        """Remove a call; it ends if it is not over."""


class Rest:
    """Answers REST requests.

    Args:
        office: keeps the calls.
        live: has a hold on the calls that are going on.
        agents: with whom calls can be registered; None: with anybody.
        api_key: the only key accepted; None: any that is not empty.
        prefix: path before every route, for example ``/retell``; empty for none.
    """

    def __init__(
        self,
        office: CallStore,
        live: LiveCalls,
        *,
        agents: Agents | None = None,
        api_key: str | None = None,
        prefix: str = "",
    ) -> None:
        self._office = office
        self._live = live
        self._agents = agents or Agents()
        self._api_key = api_key
        self._prefix = prefix
        first_get_call = ("GET", self._first_get_call)
        list_v2_calls = ("POST", self._list_v2)
        self._routes: dict[str, tuple[str, _Handler]] = {
            "register-call": ("POST", self._register_call),
            "register-phone-call": ("POST", self._register_phone_call),
            "v2/register-phone-call": ("POST", self._register_phone_call),
            "v3/create-web-call": ("POST", self._create_web_call),
            "get-call/{id}": first_get_call,
            "v1/get-call/{id}": first_get_call,
            "v2/get-call/{id}": ("GET", self._get_call),
            "list-calls": ("GET", self._list_v1),
            "v2/list-call": list_v2_calls,
            "v2/list-calls": list_v2_calls,
            "v3/list-calls": ("POST", self._list_v3),
            "v2/update-call/{id}": ("PATCH", self._update_call),
            "v2/listen-live-call/{id}": ("POST", self._listen),
            "v2/take-over-live-call/{id}": ("POST", self._take_over),
            "v2/update-live-call/{id}": ("PATCH", self._update_live),
            "v2/stop-call/{id}": ("POST", self._stop_call),
            "v2/delete-call/{id}": ("DELETE", self._delete_call),
            "get-concurrency": ("GET", self._get_concurrency),
            "v2/list-agents": ("POST", self._list_agents),
            "list-agents": ("GET", lambda _, __: Reply(200, self._agents.list_v1())),
            "get-agent/{id}": ("GET", self._get_agent),
            "list-voices": ("GET", lambda _, __: Reply(200, list_voices())),
            "get-voice/{id}": ("GET", lambda _, voice_id: Reply(200, get_voice(voice_id))),
            **{
                path: (method, partial(self._beyond, why))
                for path, (method, why) in _BEYOND.items()
            },
        }

    def respond(self, request: Request) -> Reply:
        """Answer one request; never raises for anything a client can send."""
        try:
            return self._route(request)
        except HttpError as error:
            return error.reply

    def _route(self, request: Request) -> Reply:
        segments = self.segments(request.target)
        if segments[:-1] == ["audio-websocket"]:
            raise HttpError(
                426, "the Audio WebSocket takes WebSocket connections", Upgrade="websocket"
            )
        route = self._routes.get("/".join(segments))
        if route is None and segments:
            route = self._routes.get("/".join([*segments[:-1], "{id}"]))
        if route is None:
            raise HttpError(404, "there is nothing at this path")
        method, handler = route
        self._admit(request, method)
        return handler(request, segments[-1])

    def segments(self, target: str) -> list[str]:
        """Return the decoded parts of a request target's path below the prefix; [] if not."""
        try:
            path = urlsplit(target).path
        except ValueError:
            return []
        if not path.startswith(f"{self._prefix}/"):
            return []
        return [unquote(part) for part in path[len(self._prefix) + 1 :].split("/")]

    def _admit(self, request: Request, method: str) -> None:
        if request.method != method:
            raise HttpError(405, f"this path takes {method}, not {request.method}", Allow=method)
        scheme, _, key = request.headers.get("authorization", "").strip().partition(" ")
        key = key.strip()
        if scheme.lower() != "bearer" or not key:
            raise HttpError(401, "the Authorization header must be 'Bearer YOUR_API_KEY'")
        if not self.knows(key):
            raise HttpError(401, "unknown API key")

    def knows(self, key: str) -> bool:
        """Return whether an API key is a good one."""
        wanted = self._api_key
        if wanted is None:
            return bool(key)
        return hmac.compare_digest(key.encode(), wanted.encode())

    def _call(self, call_id: str) -> RegisteredCall:
        call = self._office.find(call_id)
        if call is None:
            raise HttpError(404, "there is no call of this call_id")
        return call

    def _register_call(self, request: Request, _: str) -> Reply:
        call = parse_registration(request.body)
        call.agent_name = self._agents.name(call.agent_id)
        if not self._office.register(call):
            raise HttpError(429, "too many calls are registered or ongoing")
        return Reply(201, registration_body(call))

    def _register_phone_call(self, request: Request, _: str) -> Reply:
        call = parse_phone_registration(request.body)
        if not self._office.register(call):
            raise HttpError(429, "too many calls are registered or ongoing")
        return Reply(201, call_body(call))

    def _create_web_call(self, request: Request, _: str) -> Reply:
        call = parse_web_call(request.body)
        call.agent_name = self._agents.name(call.agent_id)
        return Reply(201, admission_body(self._live.create(call)))

    def _first_get_call(self, _: Request, call_id: str) -> Reply:
        return Reply(200, first_call_body(self._call(call_id)))

    def _get_call(self, _: Request, call_id: str) -> Reply:
        return Reply(200, call_body(self._call(call_id)))

    def _list_v1(self, request: Request, _: str) -> Reply:
        return Reply(200, list_v1(urlsplit(request.target).query, self._office.calls))

    def _list_v2(self, request: Request, _: str) -> Reply:
        return Reply(200, list_v2(request.body, self._office.calls))

    def _list_v3(self, request: Request, _: str) -> Reply:
        return Reply(200, list_v3(request.body, self._office.calls))

    def _update_call(self, request: Request, call_id: str) -> Reply:
        call = self._call(call_id)
        update_call(call, request.body)
        self._office.changed(call)
        return Reply(200, call_body(call))

    def _stop_call(self, _: Request, call_id: str) -> Reply:
        call = self._call(call_id)
        require_ongoing(call)
        self._live.stop(call)
        return Reply(204)

    def _listen(self, _: Request, call_id: str) -> Reply:
        return Reply(201, listen(self._call(call_id), self._live))

    def _take_over(self, request: Request, call_id: str) -> Reply:
        return Reply(200, take_over(self._call(call_id), request.body, self._live))

    def _update_live(self, request: Request, call_id: str) -> Reply:
        call = self._call(call_id)
        reply = Reply(200, update_live(call, request.body, self._live))
        self._office.changed(call)
        return reply

    def _delete_call(self, _: Request, call_id: str) -> Reply:
        call = self._call(call_id)
        if call.status is CallStatus.ONGOING:
            raise HttpError(422, "call_id is of a call that is ongoing")
        self._office.forget(call)
        return Reply(204)

    def _get_concurrency(self, _: Request, __: str) -> Reply:
        calls = self._office.calls
        ongoing = sum(call.status is CallStatus.ONGOING for call in calls)
        limit = {"concurrency_limit": calls.max_open, "current_concurrency": ongoing}
        return Reply(200, limit)

    def _list_agents(self, request: Request, _: str) -> Reply:
        return Reply(200, self._agents.list_v2(urlsplit(request.target).query, request.body))

    def _get_agent(self, request: Request, agent_id: str) -> Reply:
        return Reply(200, self._agents.get(agent_id, urlsplit(request.target).query))

    def _beyond(self, why: str, _: Request, __: str) -> Reply:
        # Clients of Retell's take any 5xx for a passing one, but for this header.
        raise HttpError(501, why, **{"X-Should-Retry": "false"})
