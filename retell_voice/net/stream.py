"""A connection to an HTTP server over asyncio streams: through the proxy that is to be used, to the
address that answers, in TLS with the certificates that are trusted."""

from __future__ import annotations

import asyncio
import re
import ssl
from base64 import b64encode
from urllib.parse import unquote, urlsplit

from retell_voice.errors import ConfigError
from retell_voice.net.culprit import refused_by, unreached
from retell_voice.net.dialling import connect_tcp
from retell_voice.net.proxy import Proxy, proxy_for
from retell_voice.net.tls import client_context
from retell_voice.net.unreachable import NotReached
from retell_voice.secret import Secret

_STATUS = re.compile(rb"HTTP/1\.[01] (\d{3})")
_LONGEST = 60.0
"""Seconds; whoever connects has less patience, and cancels."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_stream(url: str) -> Stream:
    """Connect to the server of an http or https URL.

    Raises:
        ConfigError: a variable of the environment cannot be used.
        OSError: it is not reached; ``NotReached``, where more is known.
        UnicodeError: there can be no such host.
    """
    parts = urlsplit(url)
    secure, host = parts.scheme == "https", parts.hostname or ""
    port = parts.port or (443 if secure else 80)
    proxy, context = proxy_for(url), client_context() if secure else None
    if proxy is None:
        return await _connect(host, port, context)
    if context is None:
        return await _reach(proxy, host)
    reader, writer = await _tunnel(proxy, host, port)
    try:
        await writer.start_tls(context, server_hostname=host)
    except BaseException:
        writer.transport.abort()
        raise
    return reader, writer


def target_of(url: str) -> tuple[str, dict[str, str]]:
    """Return the target that a request on such a connection names, and headers for the proxy.

    A proxy passes on what is not encrypted: many tunnel to port 443 only.

    Raises:
        ConfigError: a variable of the environment cannot be used.
    """
    parts = urlsplit(url)
    target = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    proxy = proxy_for(url) if parts.scheme == "http" else None
    if proxy is None:
        return target, {}
    return f"http://{parts.netloc.rpartition('@')[2]}{target}", _login(proxy)


async def _connect(host: str, port: int, context: ssl.SSLContext | None) -> Stream:
    connected = await connect_tcp(host, port)
    name = None if context is None else host
    return await asyncio.open_connection(sock=connected, ssl=context, server_hostname=name)


async def _reach(proxy: Proxy, host: str) -> Stream:
    at = urlsplit(proxy.url)
    if at.scheme != "http":  # asyncio's TLS within TLS fails with a TypeError
        raise ConfigError(
            f"{proxy.source} in the environment cannot be used: there are no {at.scheme}:// "
            f"proxies for what is sent to {host}",
            "name an http:// proxy, or exempt this host with no_proxy",
        )
    try:
        return await _connect(at.hostname or "", at.port or 80, None)
    except OSError as error:
        raise NotReached(unreached(proxy, error, _LONGEST)) from None


def _login(proxy: Proxy) -> dict[str, str]:
    at = urlsplit(proxy.url)
    if at.username is None:
        return {}
    login = f"{unquote(at.username)}:{unquote(at.password or '')}"
    return {"Proxy-Authorization": Secret(f"Basic {b64encode(login.encode()).decode()}")}


async def _tunnel(proxy: Proxy, host: str, port: int) -> Stream:
    reader, writer = await _reach(proxy, host)
    shown = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
    lines = [f"CONNECT {shown} HTTP/1.1", f"Host: {shown}"]
    lines += [f"{name}: {value}" for name, value in _login(proxy).items()]
    try:
        writer.write("\r\n".join([*lines, "", ""]).encode())
        answer = _STATUS.match(await reader.readuntil(b"\r\n\r\n"))
    except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        answer = None
    except BaseException:
        writer.transport.abort()
        raise
    status = None if answer is None else int(answer[1])
    if status is None or not 200 <= status < 300:
        writer.transport.abort()
        raise NotReached(refused_by(proxy, status, shown))
    return reader, writer
