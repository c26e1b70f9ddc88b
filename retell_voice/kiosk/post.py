"""One POST to an endpoint of the owner's, with the standard library's client: no more is needed."""

from __future__ import annotations

import asyncio
import http.client
import ssl
import urllib.error
import urllib.request
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from retell_voice.errors import ConnectError, KeyRefused, RestError, TooManyRequests
from retell_voice.net.http import error_words, retry_after, root_cause
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.protocol.lenient import load_json
from retell_voice.secret import Secret
from retell_voice.threads.detached import run_detached

_SECONDS = 10.0
_MOST = 65536


async def post(url: str, body: str, token: str | None) -> str:
    """Post a JSON object and return the body that comes back, a secret.

    Args:
        url: where; a redirect is not followed, as it might lead the token elsewhere.
        body: JSON.
        token: a bearer token, a secret; None: none is sent.

    Raises:
        ConnectError: it was not reached.
        KeyRefused, TooManyRequests, RestError: what it answered.
    """
    host = urlsplit(url).netloc.rpartition("@")[2]
    work = run_detached(partial(_post, url, body.encode(), token, host))
    try:
        async with asyncio.timeout(_SECONDS + 5):  # name servers have time-outs of their own
            return await work
    except TimeoutError as error:
        raise _unreached(error, host) from None


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


def _post(url: str, body: bytes, token: str | None, host: str) -> str:
    """Runs on: a thread of its own."""
    headers = {"Content-Type": "application/json", "Accept": "application/json, text/plain"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers, method="POST")  # noqa: S310 - checked
    handlers: list[urllib.request.BaseHandler] = [_NoRedirects()]
    if url.startswith("http://"):
        handlers.append(urllib.request.ProxyHandler({}))  # this machine is behind no proxy
    failure: ConnectError | RestError
    try:
        opener = urllib.request.build_opener(*handlers)
        with opener.open(request, timeout=_SECONDS) as answer:
            return Secret(answer.read(_MOST).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            failure = _refused(error, host)
    except (OSError, http.client.HTTPException, ssl.SSLError) as error:
        cause = error.reason if isinstance(error, urllib.error.URLError) else error
        failure = _unreached(cause if isinstance(cause, BaseException) else error, host)
    raise failure  # out here, without a context that holds the request


def _refused(error: urllib.error.HTTPError, host: str) -> RestError:
    try:
        text = error.read(_MOST).decode("utf-8", "replace")
        said = error_words(load_json(text))
    except (OSError, ValueError, http.client.HTTPException):
        said = ""
    words = f"endpoint {host}: it answered {error.code} {said[:200]}".rstrip()
    match error.code:
        case 401 | 403:
            return KeyRefused(words, "check the credential retell-call-token", status=error.code)
        case 429:
            wait = retry_after(error.headers.get("retry-after", ""))
            return TooManyRequests(words, status=429, retry_after=wait)
    return RestError(words, status=error.code)


def _unreached(error: BaseException, host: str) -> ConnectError:
    why = explain_unreachable(root_cause(error), host, _SECONDS)
    return ConnectError(f"network: {why.words}", why.hint, temporary=True)
