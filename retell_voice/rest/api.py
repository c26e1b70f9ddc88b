"""Requests to a REST API, through Retell's own SDK, and the errors of those that fail."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import re
import socket
import ssl
import time
from collections.abc import Mapping
from contextvars import ContextVar
from email.utils import mktime_tz, parsedate_tz
from functools import cache
from http import HTTPStatus
from json import JSONDecodeError
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlsplit

from retell_voice.errors import (
    ConfigError,
    ConnectError,
    FieldRefused,
    KeyRefused,
    NotFound,
    RestError,
    TooManyRequests,
)
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.secret import Secret, mask, mask_url, wrap_secrets

if TYPE_CHECKING:
    import retell

DEFAULT_API_URL = "https://api.retellai.com"
"""Base of Retell's REST API."""

TIMEOUT = 15.0
"""Seconds that one try may take."""

_PAUSES = (0.5, 1.0)  # seconds before the second try and the third
_NO_PATH = re.compile(r"(?i)\b(path|route|endpoint|url)\b|^cannot (get|post) /")
"""What servers say where a path of the URL is wrong, and not the id."""
_LOGGERS = ("httpx", "retell._base_client", "retell._response")
_ours: ContextVar[bool] = ContextVar("ours", default=False)
_logger = logging.getLogger("retell_voice.rest")


class Api:
    """One server's REST API, and what to say when it fails.

    A key that goes unencrypted to another machine is warned of, in the log, once a server.

    Args:
        url: its base.
        key: the API key.
        timeout: seconds that one try may take.
        what: that the requests are about, for people.
        call_id: is kept out of errors.

    Raises:
        ConfigError: the SDK is not installed, or the key or URL cannot be one.
    """

    def __init__(self, url: str, key: str, timeout: float, *, what: str, call_id: str = "") -> None:
        self._url, self._key, self._timeout = url, Secret(key), timeout
        self._what = what
        self._secrets = [Secret(each) for each in (key, call_id, quote(call_id, safe="")) if each]
        try:
            parts = urlsplit(url)
            self._host = f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("http", "https") or not parts.hostname or parts.query:
            raise ConfigError(
                f"{mask_url(url)!r} is not the URL of a REST API", f"Retell's is {DEFAULT_API_URL}"
            )
        self._local = _is_this_machine(parts.hostname)
        if not re.fullmatch(r"[!-~]+", key):
            raise ConfigError(
                "the API key is empty or has characters that no key has",
                "the key is in Retell's dashboard",
            )
        if parts.scheme == "http" and not self._local:
            _warn_of_plain_text(self._host)

    async def request(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Post a body, or get; return the JSON object answered."""
        sdk = await asyncio.to_thread(_sdk)  # loading it takes seconds on a small machine
        for pause in (*_PAUSES, None):
            answer = await self._try(sdk, path, body)
            if isinstance(answer, dict):
                return answer
            # How long to wait for a 429 is for the caller to say: it may be long.
            if pause is None or not answer.temporary or isinstance(answer, TooManyRequests):
                raise answer
            await asyncio.sleep(pause)
        raise AssertionError("unreachable")

    def senseless(self, why: str) -> RestError:
        """Return the error of an answer that is no error and makes no sense."""
        return RestError(
            f"server: {self._host} did not answer as Retell's REST API does: {why}",
            "check the URL of the API",
            status=200,
        )

    async def _try(
        self, sdk: Any, path: str, body: Mapping[str, Any] | None
    ) -> dict[str, Any] | ConnectError | RestError:
        # Errors are returned, so that they have no context: those of the SDK hold the URL, and
        # the URL holds the call_id.
        ours = _ours.set(True)
        try:
            async with asyncio.timeout(self._timeout), self._client(sdk) as client:
                if body is None:
                    answer = await client.get(path, cast_to=object)
                else:
                    answer = await client.post(path, cast_to=object, body=body)
        except sdk.APIStatusError as error:
            return self._refused(error, path, body or {})
        except (sdk.APIConnectionError, TimeoutError) as error:
            return self._unreached(error)
        except (JSONDecodeError, UnicodeDecodeError):
            return self.senseless("it is not JSON")
        finally:
            _ours.reset(ours)
        if not isinstance(answer, dict):
            return self.senseless("it is not a JSON object")
        found: dict[str, Any] = wrap_secrets(answer)
        return found

    def _client(self, sdk: Any) -> Any:
        try:
            http = sdk.DefaultAsyncHttpxClient(
                base_url=self._url, follow_redirects=False, trust_env=not self._local
            )
        except (ImportError, ValueError) as error:  # a scheme, a package for it, a port
            raise ConfigError(
                f"the proxy that the environment asks for cannot be used: {error}",
                "check http_proxy, https_proxy and all_proxy, or exempt this host with no_proxy",
            ) from None
        return sdk.AsyncRetell(
            api_key=self._key,
            base_url=self._url,
            timeout=self._timeout,
            max_retries=0,
            http_client=http,
        )

    def _refused(
        self, error: retell.APIStatusError, path: str, body: Mapping[str, Any]
    ) -> RestError:
        status, answer = error.status_code, error.body
        if isinstance(answer, dict):
            answer = answer.get("message") or answer.get("error_message") or ""
        said = self._hidden(" ".join(str(answer or "").split()))
        words = f": {said[:200]}" if said else ""
        match status:
            case 401 | 403:
                return KeyRefused(
                    f"server: {self._host} does not take the API key{words}",
                    "check the key, and that it is of this server",
                    status=status,
                )
            case 404 if not isinstance(error.body, dict) or _NO_PATH.search(said):
                whole = self._hidden(f"{urlsplit(self._url).path.rstrip('/')}{path}")
                return NotFound(
                    f"server: {self._host} has nothing at {whole}",
                    "check the URL of the API (--api-url)",
                    status=status,
                )
            case 404:
                return NotFound(
                    f"server: {self._host} knows no {self._what}{words}",
                    "check the id and the URL, and that the id is of the API key's account",
                    status=status,
                )
            case 400 | 422:
                field = next((name for name in body if re.search(rf"\b{name}\b", said)), "")
                return FieldRefused(
                    f"server: {self._host} does not take {field or 'the request'}{words}",
                    status=status,
                    field=field,
                )
            case 429:
                wait = _retry_after(error.response.headers.get("retry-after", ""))
                return TooManyRequests(
                    f"server: {self._host} has too many requests or calls{words}",
                    "wait a little" if wait is None else f"wait {wait:.0f} s",
                    status=status,
                    retry_after=wait,
                )
        phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
        return RestError(
            f"server: {self._host} answered HTTP {status} {phrase}".rstrip() + words,
            "redirects are not followed: name the server" if 300 <= status < 400 else "",
            status=status,
        )

    def _hidden(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, mask(secret))
        return text

    def _unreached(self, error: Exception) -> ConnectError:
        why = explain_unreachable(_cause(error), self._host, self._timeout)
        return ConnectError(f"network: {why.words}", why.hint, temporary=why.temporary)


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@cache
def _warn_of_plain_text(host: str) -> None:
    # Where nobody has set up logging, as in the command line program, it goes to stderr as it is.
    _logger.warning(
        "retell-voice: the API key goes to %s unencrypted, and others may read it: "
        "use https://, or, for an emulator, a made-up key",
        host,
    )


def _cause(error: BaseException) -> BaseException:
    """Return what an error goes back to: a timeout, or the system's own."""
    while not isinstance(error, TimeoutError | ssl.SSLError | socket.gaierror):
        if "Timeout" in type(error).__name__:
            return TimeoutError()
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif (deeper := error.__cause__ or error.__context__) is not None:
            error = deeper
        else:
            break
    return error


def _retry_after(header: str) -> float | None:
    """Return the seconds that a Retry-After asks for, given as such or as a date."""
    if re.fullmatch(r"\d{1,6}(\.\d*)?", header):
        return float(header)
    date = parsedate_tz(header)
    return None if date is None else max(0.0, mktime_tz(date) - time.time())


@cache
def _sdk() -> Any:
    try:
        import retell  # noqa: PLC0415 - half a second, and only for this
    except ImportError:
        raise ConfigError(
            "Retell's SDK is not installed", "pip install 'retell-voice[register]'"
        ) from None
    # They log whole URLs, and whoever has the call_id can join the call.
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(lambda _: not _ours.get())
    return retell
