"""What is said to the gateway over HTTP: join, one candidate more, another offer, leave."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from retell_voice.errors import ConnectError, Rejected
from retell_voice.net.culprit import find_culprit, refused_by
from retell_voice.net.http import (
    Base,
    bad_proxy,
    error_words,
    httpx_settings,
    retry_after,
    unlogged,
)
from retell_voice.net.proxy import proxy_for
from retell_voice.protocol.gateway import (
    Admission,
    Candidate,
    Joined,
    UnreadableAnswer,
    join_body,
    read_joined,
    sessions_path,
    trickle_body,
)
from retell_voice.secret import Secret, hiding
from retell_voice.shown import logger

_LEAVE_TIMEOUT = 1.0
_PAUSE = 0.3
"""Seconds before the second try of a join that reached nobody, or a server in trouble."""
_TOKEN = "an access token is for one join, within half a minute: create another call"  # noqa: S105
_HINTS = {
    401: _TOKEN,
    403: _TOKEN,
    404: "the call is over, or the URL of the API is not that of the server that made it",
    409: "a call can be joined once: create another one",
    410: "that call is over: create another one",
}
_logger = logger("retell_voice.webrtc")


class Signalling:
    """One caller's requests to the gateway, on one connection.

    Args:
        base: of the REST API, which is where the gateway is.
        timeout: seconds that a join may take.

    Raises:
        ConfigError: the proxy that the environment asks for cannot be used.
    """

    def __init__(self, base: Base, timeout: float) -> None:
        self._base, self._timeout = base, timeout
        try:
            self._client = httpx.AsyncClient(timeout=timeout, **httpx_settings(base))
        except (ImportError, ValueError) as error:  # a scheme, a package for it, a port
            raise bad_proxy(error) from None

    async def join(self, admission: Admission, offer: str) -> Joined:
        """Join with an SDP offer and return the answer.

        Raises:
            ConnectError: the gateway was not reached.
            Rejected: it was, and did not let us in, or its answer makes no sense.
        """
        body = join_body(admission.identity, offer)
        try:
            answer = await self._join(admission, body)
        except ConnectError as error:
            if not error.temporary or getattr(error, "status", None) == 429:
                raise
            await asyncio.sleep(_PAUSE)
            answer = await self._join(admission, body)
        try:
            return read_joined(answer)
        except UnreadableAnswer as error:
            raise self._senseless(error) from None

    async def trickle(self, admission: Admission, session_id: str, candidate: Candidate) -> None:
        """Tell the gateway a candidate more; that it fails is only logged."""
        try:
            answer = await self._send("PATCH", admission, session_id, json=trickle_body(candidate))
            if not answer.is_success:
                _logger.info("the gateway did not take a candidate: HTTP %d", answer.status_code)
        except httpx.HTTPError as error:
            _logger.info("the gateway was not told a candidate: %s", type(error).__name__)

    async def renegotiate(self, admission: Admission, session_id: str, offer: str) -> str:
        """Make another SDP offer and return the answer.

        Raises:
            ConnectError: the gateway was not reached.
            Rejected: it was, and does not take the offer.
        """
        more = {"content": offer, "headers": {"Content-Type": "application/sdp"}}
        answer = await self._ask("PATCH", admission, session_id, **more)
        return answer.decode("utf-8", "replace")

    async def leave(self, admission: Admission, session_id: str) -> None:
        """Leave, which ends a web call; at most a second, and whatever the gateway says."""
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT):
                answer = await self._send("DELETE", admission, session_id)
            if not answer.is_success:
                _logger.info("the gateway did not let us leave: HTTP %d", answer.status_code)
        except (httpx.HTTPError, TimeoutError) as error:
            _logger.info("the gateway was not told of the hangup: %s", type(error).__name__)

    async def close(self) -> None:
        """Close the connection."""
        await self._client.aclose()

    async def _join(self, admission: Admission, body: Mapping[str, str]) -> bytes:
        return await self._ask("POST", admission, json=body)

    async def _ask(
        self, method: str, admission: Admission, session_id: str | None = None, **more: Any
    ) -> bytes:
        failure: ConnectError
        try:
            async with asyncio.timeout(self._timeout):
                answer = await self._send(method, admission, session_id, **more)
            if answer.is_success:
                return answer.content
            failure = self._refused(answer, admission)
        except (httpx.HTTPError, TimeoutError) as error:
            why = await find_culprit(error, self._base.url, self._timeout)
            failure = ConnectError(f"network: {why.words}", why.hint, temporary=why.temporary)
        # Raised out here, so that it has no context: the library's errors hold the request.
        raise failure

    async def _send(
        self, method: str, admission: Admission, session_id: str | None = None, **more: Any
    ) -> httpx.Response:
        url = Secret(f"{self._base.url}{sessions_path(admission.call_id, session_id)}")
        bearer = Secret(f"Bearer {admission.access_token}")
        headers = {"Authorization": bearer, **more.pop("headers", {})}
        with unlogged():
            return await self._client.request(method, url, headers=headers, **more)

    def _refused(self, answer: httpx.Response, admission: Admission) -> ConnectError:
        status = answer.status_code
        if status == 407 and (proxy := proxy_for(self._base.url)) is not None:
            why = refused_by(proxy, status, self._base.host)
            return ConnectError(f"network: {why.words}", why.hint)
        try:
            said = error_words(answer.json())
        except ValueError:
            said = error_words(answer.text)
        said = hiding((admission.call_id, admission.access_token))(said)
        hint = _HINTS.get(status, "")
        if status == 429:
            wait = retry_after(answer.headers.get("retry-after", ""))
            hint = "too many calls at once" if wait is None else f"try again in {wait:.0f} s"
        text = f"HTTP {status} {answer.reason_phrase}".rstrip()
        return Rejected(
            f"server: the gateway {self._base.host} answered {text}"
            + (f": {said[:200]}" if said else ""),
            hint,
            status=status,
        )

    def _senseless(self, why: UnreadableAnswer) -> Rejected:
        return Rejected(
            f"server: {self._base.host} did not answer as Retell's gateway does: {why}",
            "check the URL of the API",
        )
