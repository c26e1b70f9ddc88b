"""Whose fault it is that a server was not reached: the proxy's, the URL's, or its own."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus
from urllib.parse import urlsplit

from retell_voice.net.http import root_cause
from retell_voice.net.probe import speaks_http, speaks_tls
from retell_voice.net.proxy import Proxy, proxy_for
from retell_voice.net.unreachable import NotReached, Unreachable, explain_unreachable

_PROXY = "check the proxy, or exempt this host with no_proxy"
_TLS = {"https": "http", "wss": "ws"}
"""Schemes with TLS, and the same without."""


async def find_culprit(error: BaseException, url: str, timeout: float) -> Unreachable:  # noqa: ASYNC109 - it is told
    """Explain the error of an HTTP client.

    Args:
        error: what was raised.
        url: what was asked for.
        timeout: seconds within which the server had to answer.
    """
    parts = urlsplit(url)
    shown = parts.netloc.rpartition("@")[2]
    cause = root_cause(error)
    if isinstance(error, OSError) and not isinstance(cause, OSError):
        cause = error  # ours, of an answer that is no HTTP
    if isinstance(cause, NotReached):
        return cause.why
    proxy = proxy_for(url)
    if proxy is not None:
        return _behind(proxy, cause, shown, timeout, is_connected=_is_connected(error))
    return await wrong_scheme(cause, url) or explain_unreachable(cause, shown, timeout)


async def wrong_scheme(error: BaseException, url: str) -> Unreachable | None:
    """Return an explanation if the server speaks TLS where the URL says plain, or vice versa; else
    None."""
    if isinstance(error, ssl.SSLCertVerificationError | ConnectionRefusedError | socket.gaierror):
        return None
    parts = urlsplit(url)
    secure = parts.scheme in _TLS
    host, port = parts.hostname or "", parts.port or (443 if secure else 80)
    if not await (speaks_http if secure else speaks_tls)(host, port):
        return None
    name, scheme = f"{host}:{port}", parts.scheme
    if secure:
        hint = f"a server without TLS is reached with {_TLS[scheme]}://, not {scheme}://"
        return Unreachable(f"{name} speaks no TLS", hint)
    return Unreachable(f"{name} speaks TLS", f"it is reached with {scheme}s://, not {scheme}://")


def _is_connected(error: BaseException | None) -> bool:
    """Tell whether the error came after the proxy was reached, whose own faults our streams tell as
    ``NotReached`` and httpx as these."""
    while error is not None:
        if type(error).__name__ in ("ConnectError", "ProxyError"):
            return False
        error = error.__cause__ or error.__context__
    return True


def _behind(
    proxy: Proxy,
    error: BaseException,
    host: str,
    timeout: float,
    *,
    is_connected: bool,
) -> Unreachable:
    """Explain what came of asking a proxy, as HTTP clients tell it."""
    if type(error).__name__ == "ProxyError":  # of httpcore: status and phrase
        status, _, _ = str(error).partition(" ")
        return refused_by(proxy, int(status) if status.isdecimal() else None, host)
    match error:
        case ssl.SSLError():
            return explain_unreachable(error, host, timeout)
        case TimeoutError():
            return unanswered(proxy, host, timeout)
        case OSError() if is_connected:  # of the server, at the end of the tunnel
            return explain_unreachable(error, host, timeout)
        case OSError():
            return unreached(proxy, error, timeout)
    return refused_by(proxy, None, host)


def refused_by(proxy: Proxy, status: int | None, host: str) -> Unreachable:
    """Explain what a proxy answered; None: nothing of sense."""
    if status is None:
        words = f"{_name(proxy)} closed the connection, or does not speak HTTP"
        return Unreachable(words, _PROXY, temporary=True)
    if status == HTTPStatus.PROXY_AUTHENTICATION_REQUIRED:
        words = f"{_name(proxy)} wants a user's name and password"
        hint = f"write them into {proxy.source}: http://NAME:PASSWORD@{proxy.name}"
        return Unreachable(words, hint)
    phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
    words = f"{_name(proxy)} does not connect to {host}: HTTP {status} {phrase}".rstrip()
    temporary = status == HTTPStatus.TOO_MANY_REQUESTS or status >= 500
    return Unreachable(words, _PROXY, temporary)


def unanswered(proxy: Proxy, host: str, timeout: float) -> Unreachable:
    """Explain that nobody answered within this many seconds."""
    words = f"{host} did not answer within {timeout:g} s through {_name(proxy)}"
    return Unreachable(words, _PROXY, temporary=True)


def unreached(proxy: Proxy, error: BaseException, timeout: float) -> Unreachable:
    """Explain that a proxy itself was not reached."""
    why = explain_unreachable(error, proxy.name, timeout)
    words = f"{why.words}, which is the proxy (from {proxy.source})"
    return Unreachable(words, _PROXY, why.temporary)


def _name(proxy: Proxy) -> str:
    return f"the proxy {proxy.name} (from {proxy.source})"
