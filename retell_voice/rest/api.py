"""Requests to a REST API, through Retell's own SDK, and errors for those that fail."""

from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Mapping
from functools import cache
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlencode, urlsplit

from retell_voice.errors import ConfigError, ConnectError, RestError, TooManyRequests
from retell_voice.net.attempts import Attempts
from retell_voice.net.culprit import find_culprit, refused_by
from retell_voice.net.http import (
    DEFAULT_API_URL,
    bad_proxy,
    httpx_settings,
    parse_base,
    retry_after,
    unlogged,
)
from retell_voice.net.proxy import proxy_for
from retell_voice.protocol.lenient import load_json
from retell_voice.rest.refusal import refusal
from retell_voice.rest.sdk import load_sdk
from retell_voice.secret import Secret, as_secret, hiding, wrap_secrets
from retell_voice.shown import logger

if TYPE_CHECKING:
    import retell

TIMEOUT = 15.0
"""Seconds per try."""

Method = Literal["GET", "POST", "PATCH"]

_PAUSES = (0.5, 1.0)  # seconds before the second try and the third
_logger = logger("retell_voice.rest")


class Api:
    """One server's REST API, and what to say when it fails.

    If the key goes unencrypted to another machine, the log gets one warning per server.

    Args:
        url: its base.
        key: the API key.
        timeout: seconds per try.
        what: what the requests are about, for people.
        call_id: kept out of errors.
        plain: without Retell's SDK, which need not be installed then and takes 20 MB; where the
            environment sets a proxy, it is used anyway.

    Raises:
        ConfigError: the SDK is not installed, or the key or URL is invalid.
    """

    def __init__(
        self,
        url: str,
        key: str,
        timeout: float,
        *,
        what: str,
        call_id: str = "",
        plain: bool = False,
    ) -> None:
        self._base = parse_base(url, DEFAULT_API_URL)
        self._key, self._timeout, self._what = as_secret("api_key", key), timeout, what
        self._hidden = hiding((self._key, Secret(call_id)))
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigError(
                "the API key is empty or has invalid characters",
                "the key is in Retell's dashboard",
            )
        self._plain = plain and (self._base.is_local or proxy_for(self._base.url) is None)
        if self._base.is_plain and not self._base.is_local:
            _warn_of_plain_text(self._base.host)

    async def request(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Post a body, or get; return the JSON object answered. Tries three times."""
        answer = await self.send("GET" if body is None else "POST", path, body)
        return self.object(answer)

    async def send(
        self,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None = None,
        *,
        query: Mapping[str, Any] | None = None,
        tries: int = 3,
    ) -> Any:
        """Send one request and return the JSON answered, None if there is none.

        Args:
            method, path, body, query: the request.
            tries: how often to try what may succeed a moment later; 1 for a request that must
                not be carried out twice.
        """
        sdk = None if self._plain else await asyncio.to_thread(load_sdk)
        attempts = Attempts(tries)
        for attempt in range(tries):
            began = time.monotonic()
            try:
                return await self._try(sdk, method, path, body, query)
            except (ConnectError, RestError) as error:
                # How long to wait after a 429 is up to the caller: it may be long.
                last = (
                    attempt == tries - 1
                    or isinstance(error, TooManyRequests)
                    or not error.temporary
                )
                attempts.failed(error, attempt + 1, time.monotonic() - began, last=last)
                if last:
                    raise
            await asyncio.sleep(_PAUSES[min(attempt, len(_PAUSES) - 1)])
        raise AssertionError("unreachable")

    def object(self, answer: Any) -> dict[str, Any]:
        """Return an answer that must be a JSON object; raises ``RestError`` if it is not."""
        if not isinstance(answer, dict):
            raise self.senseless("it is not a JSON object")
        return answer

    def senseless(self, why: str) -> RestError:
        """Return the error for an answer that makes no sense."""
        return RestError(
            f"server: {self._base.host} did not answer as Retell's REST API does: {why}",
            "check the URL of the API",
            status=200,
        )

    async def _try(
        self,
        sdk: Any,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
    ) -> Any:
        failure: ConnectError | RestError
        if sdk is None:
            return await self._try_plain(method, path, body, query)
        try:
            with unlogged():
                async with asyncio.timeout(self._timeout), self._client(sdk) as client:
                    ask = getattr(client, method.lower())
                    fields = {} if method == "GET" else {"body": body}
                    answer = await ask(
                        path, cast_to=object, options={"params": query or {}}, **fields
                    )
                    return wrap_secrets(answer)
        except sdk.APIStatusError as error:
            failure = self._refused(error, path, body or {})
        except (sdk.APIConnectionError, TimeoutError) as error:
            failure = await self._unreached(error)
        except (JSONDecodeError, UnicodeDecodeError):
            failure = self.senseless("it is not JSON")
        # Raised out here, so that it has no context: the SDK's errors hold the URL, and the URL
        # holds the call_id.
        raise failure

    async def _try_plain(
        self,
        method: Method,
        path: str,
        body: Mapping[str, Any] | None,
        query: Mapping[str, Any] | None,
    ) -> Any:
        from retell_voice.net.exchange import exchange  # noqa: PLC0415 - loads h11

        failure: ConnectError | RestError
        asked = f"?{urlencode(query)}" if query else ""
        try:
            answer = await exchange(
                method,
                Secret(f"{self._base.url}{path}{asked}"),
                body=None if method == "GET" else json.dumps(body or {}).encode(),
                headers={"Authorization": Secret(f"Bearer {self._key}")},
                timeout=self._timeout,
            )
            parsed = _parsed(answer.text)
            if answer.status == 204:
                return None
            if 200 <= answer.status < 300:
                if parsed is _NO_JSON:
                    raise self.senseless("it is not JSON")
                return wrap_secrets(parsed)
            said = answer.text if parsed is _NO_JSON else parsed
            wait = retry_after(answer.headers.get("retry-after", ""))
            failure = self._refusal(answer.status, said, path, body or {}, wait)
        except OSError as error:  # a TimeoutError is one
            failure = await self._unreached(error)
        raise failure

    def _client(self, sdk: Any) -> Any:
        try:
            http = sdk.DefaultAsyncHttpxClient(
                base_url=self._base.url, follow_redirects=False, **httpx_settings(self._base)
            )
        except (ImportError, ValueError) as error:  # a scheme, a package for it, a port
            raise bad_proxy(error) from None
        return sdk.AsyncRetell(
            api_key=self._key,
            base_url=self._base.url,
            timeout=self._timeout,
            max_retries=0,
            http_client=http,
        )

    def _refused(
        self, error: retell.APIStatusError, path: str, body: Mapping[str, Any]
    ) -> ConnectError | RestError:
        wait = retry_after(error.response.headers.get("retry-after", ""))
        return self._refusal(error.status_code, error.body, path, body, wait)

    def _refusal(
        self, status: int, said: Any, path: str, body: Mapping[str, Any], wait: float | None
    ) -> ConnectError | RestError:
        if status == 407 and (proxy := proxy_for(self._base.url)) is not None:
            why = refused_by(proxy, status, self._base.host)
            return ConnectError(f"network: {why.words}", why.hint)
        return refusal(
            status,
            said,
            host=self._base.host,
            path=self._hidden(f"{urlsplit(self._base.url).path}{path}"),
            what=self._what,
            fields=body,
            wait=wait,
            hide=self._hidden,
        )

    async def _unreached(self, error: Exception) -> ConnectError:
        why = await find_culprit(error, self._base.url, self._timeout)
        return ConnectError(f"network: {why.words}", why.hint, temporary=why.temporary)


def check_agent(agent_id: object) -> None:
    """Check the argument that names an agent.

    Raises:
        TypeError, ConfigError: it is no text, or empty.
    """
    if not isinstance(agent_id, str):
        raise TypeError(f"the agent_id is text, not {type(agent_id).__name__}")
    if not agent_id:
        raise ConfigError("the agent_id is empty", "`retell-voice agents` lists those there are")


_NO_JSON = object()


def _parsed(text: str) -> Any:
    """Return the JSON of a text, or that it is not JSON."""
    try:
        return load_json(text)
    except ValueError:
        return _NO_JSON


@cache
def _warn_of_plain_text(host: str) -> None:
    # Without logging set up, as in the command line program, it goes to stderr unchanged.
    _logger.warning(
        "retell-voice: the API key goes to %s unencrypted, and others may read it: "
        "use https://, or, for an emulator, a made-up key",
        host,
    )
