"""What all our HTTP clients share: base URLs, proxies, error bodies, quiet logs."""

from __future__ import annotations

import ipaddress
import logging
import re
import socket
import ssl
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from email.utils import mktime_tz, parsedate_tz
from functools import cache
from typing import Any
from urllib.parse import urlsplit

from retell_voice.errors import ConfigError
from retell_voice.net.proxy import proxy_for
from retell_voice.net.tls import client_context
from retell_voice.net.unreachable import NotReached
from retell_voice.secret import mask_url

DEFAULT_API_URL = "https://api.retellai.com"
"""Base of Retell's REST API."""

# httpx logs whole URLs, the SDK requests as well; whoever has the call_id can join the call.
_LOGGERS = ("httpx", "retell._base_client", "retell._response")
_ours: ContextVar[bool] = ContextVar("ours", default=False)


@dataclass(frozen=True, slots=True)
class Base:
    """Base URL of a REST API.

    Attributes:
        url: without a trailing slash.
        host: host, with the port if the URL has one; for people.
        is_local: it is this machine, which is never reached through a proxy.
        is_plain: not encrypted.
    """

    url: str
    host: str
    is_local: bool
    is_plain: bool


def parse_base(url: str, example: str) -> Base:
    """Check a base URL.

    Args:
        url: what was given.
        example: a good one, for the hint.

    Raises:
        ConfigError: it is not an http or https URL, or has a query.
    """
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        parts, port = urlsplit(""), None
    host = parts.hostname
    if parts.scheme not in ("http", "https") or not host or parts.query:
        raise ConfigError(
            f"{mask_url(url)!r} is not the URL of a REST API", f"Retell's is {example}"
        )
    shown = f"{host}:{port}" if port else host
    return Base(url.rstrip("/"), shown, _is_this_machine(host), parts.scheme == "http")


def is_local(url: str) -> bool:
    """Tell whether a server is on this machine; of a URL that cannot be used, it is not."""
    try:
        return _is_this_machine(urlsplit(url).hostname or "")
    except ValueError:
        return False


def _is_this_machine(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def httpx_settings(base: Base) -> dict[str, Any]:
    """Return what a client of httpx is made with, so that it reaches servers as all others do.

    Raises:
        ConfigError: a variable of the environment cannot be used.
    """
    proxy = proxy_for(base.url)
    return {
        "trust_env": False,  # what it says of proxies and of CAs is in these two
        "proxy": None if proxy is None else proxy.url,
        "verify": _nobody() if base.is_plain else client_context(),
    }


@cache
def _nobody() -> ssl.SSLContext:
    """Return a context that trusts nobody, for clients that need none.

    Left to itself, each client of httpx would read all of certifi's certificates.
    """
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def bad_proxy(error: Exception) -> ConfigError:
    """Return the error for an environment's proxy that an HTTP client rejects."""
    return ConfigError(
        f"the proxy set in the environment cannot be used: {error}",
        "check http_proxy, https_proxy and all_proxy, or exempt this host with no_proxy",
    )


def error_words(body: Any) -> str:
    """Return the message of an error body, in one line; empty if there is none.

    Args:
        body: parsed JSON, or text that is not JSON.
    """
    if isinstance(body, Mapping):
        names = ("error_message", "message", "error")
        body = next((body[name] for name in names if isinstance(body.get(name), str)), "")
    return " ".join(body.split()) if isinstance(body, str) else ""


def retry_after(header: str) -> float | None:
    """Return the seconds that a Retry-After header asks for, as a number or a date."""
    if re.fullmatch(r"\d{1,6}(\.\d*)?", header):
        return float(header)
    date = parsedate_tz(header)
    try:
        return None if date is None else max(0.0, mktime_tz(date) - time.time())
    except (OverflowError, ValueError):  # a year that there is not
        return None


def root_cause(error: BaseException) -> BaseException:
    """Return the root cause of an HTTP client's error: a timeout, or the system's own error."""
    while not isinstance(error, TimeoutError | ssl.SSLError | socket.gaierror | NotReached):
        if "Timeout" in type(error).__name__:
            return TimeoutError()
        if isinstance(error, BaseExceptionGroup):
            error = error.exceptions[0]
        elif (deeper := error.__cause__ or error.__context__) is not None:
            error = deeper
        else:
            break
    return error


@contextmanager
def unlogged() -> Iterator[None]:
    """Keep httpx and the SDK from logging the requests made inside."""
    _filter_logs()
    ours = _ours.set(True)
    try:
        yield
    finally:
        _ours.reset(ours)


@cache
def _filter_logs() -> None:
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(lambda _: not _ours.get())
