"""Is the server there? Each layer is checked by itself and timed, to show where it fails."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.errors import ConfigError, ConnectError, Rejected
from retell_voice.net.culprit import find_culprit
from retell_voice.net.dialling import Address, connect_tcp
from retell_voice.net.proxy import proxy_for
from retell_voice.net.tls import client_context
from retell_voice.secret import mask_url
from retell_voice.transport.route import web_route

Resolve = Callable[[str, int], Awaitable[list[Address]]]
"""Looks up host and port and returns socket addresses; raises OSError."""

_SOON = 14 * 86400.0
_SLOW = 0.3
_LISTEN = 0.5
"""Seconds within which a server that let us in may still say that there is no such call."""


@dataclass(frozen=True, slots=True)
class _Way:
    """Where to connect to, and whether with TLS."""

    host: str
    port: int
    secure: bool


async def examine(
    url: str, *, step_timeout: float = 5.0, resolve: Resolve | None = None
) -> AsyncIterator[Finding]:
    """Check the server of a URL, layer by layer, up to the first that fails.

    No real call is used up: the call_id is fictitious, and a refusal counts as an answer.

    Args:
        url: prefix of the Audio WebSocket.
        step_timeout: seconds that each layer may take.
        resolve: looks up a host; None asks the system.
    """
    try:
        way, proxy = _way(url)
    except ConfigError as error:  # a variable for proxies
        yield _failed("proxy", str(error), error.hint, code=2)
        return
    except ValueError as error:
        yield _failed("URL", f"{mask_url(url)!r} cannot be used: {error}", "check --url", code=2)
        return
    if proxy:
        words = f"through the proxy {proxy.host}:{proxy.port}, as set in the environment"
        yield Finding("network", "proxy", Verdict.PASS, words)
    reached = proxy or way
    addresses, finding = await _look_up(reached, step_timeout, resolve or _resolve)
    yield finding
    if not addresses:
        return
    connected, finding = await _reach(reached, addresses, step_timeout)
    yield finding
    if connected is None:
        return
    with connected:
        if way.secure and not proxy:
            finding = await _secure(way, connected, step_timeout)
            yield finding
            if finding.verdict is Verdict.FAIL:
                return
    yield await _join(url, step_timeout)


def judge_certificate(expires: float, now: float, issuer: str) -> tuple[Verdict, str, str]:
    """Return verdict, words and hint for a valid certificate."""
    days = (expires - now) / 86400
    words = f"certificate by {issuer or 'an unnamed issuer'} valid for {days:.0f} more days"
    if expires - now < _SOON:
        return Verdict.WARN, words, "it expires soon: the server's owner must renew it"
    return Verdict.PASS, words, ""


def judge_refusal(error: Rejected) -> Finding:
    """Judge how a server answered a nonexistent call; it should refuse."""
    status = error.status
    if error.code is not None or status in (400, 401, 403, 404, 409, 410, 422):
        says = f"it refuses a nonexistent call, as it should ({_answer(error)})"
        hint = ""
        if status == 404:
            hint = "the path may be wrong, too: only a real call can tell"
        return Finding("network", "WebSocket", Verdict.PASS, says, hint)
    if status == 429 or (status or 0) >= 500:
        return Finding(
            "network", "WebSocket", Verdict.WARN, str(error), "it is busy or down: try again later"
        )
    return _failed("WebSocket", str(error), error.hint, code=error.exit_code)


def _answer(error: Rejected) -> str:
    return f"close code {error.code}" if error.status is None else f"HTTP {error.status}"


def _way(url: str) -> tuple[_Way, _Way | None]:
    """Return where a URL leads, and its proxy; raises ValueError if it leads nowhere."""
    parts = urlsplit(url)
    if parts.scheme not in ("ws", "wss") or not parts.hostname:
        raise ValueError("it does not look like wss://host/audio-websocket")
    secure = parts.scheme == "wss"
    way = _Way(parts.hostname, parts.port or (443 if secure else 80), secure)
    found = proxy_for(url)
    if found is None:
        return way, None
    proxy = urlsplit(found.url)
    return way, _Way(proxy.hostname or "", proxy.port or 80, secure=False)


async def _look_up(
    way: _Way, step_timeout: float, resolve: Resolve
) -> tuple[list[Address], Finding]:
    began = time.monotonic()
    try:
        async with asyncio.timeout(step_timeout):
            found = await resolve(way.host, way.port)
    except TimeoutError:
        return [], _failed(
            "DNS", f"no answer for {way.host} within {step_timeout:g} s", "check the name server"
        )
    except (OSError, UnicodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        hint = "check the URL, the network and the name server"
        return [], _failed("DNS", f"no such host: {way.host}: {why}", hint)
    took = time.monotonic() - began
    numbers = ", ".join(dict.fromkeys(str(each[-1][0]) for each in found[:4]))
    return found, _timed("DNS", f"{way.host} is {numbers}", took)


async def _reach(
    way: _Way, addresses: list[Address], step_timeout: float
) -> tuple[socket.socket | None, Finding]:
    began = time.monotonic()

    async def known(_host: str, _port: int) -> list[Address]:
        return addresses

    try:
        async with asyncio.timeout(step_timeout):
            end = await connect_tcp(way.host, way.port, look_up=known)
    except TimeoutError:
        why = f"no answer within {step_timeout:g} s"
    except OSError as error:
        why = os.strerror(error.errno) if error.errno else str(error)
    else:
        words = f"{way.host} port {way.port} answers"
        return end, _timed("TCP", words, time.monotonic() - began)
    hint = "is the server running, is that its port, and does a firewall let you through?"
    return None, _failed("TCP", f"{way.host} port {way.port}: {why}", hint)


async def _secure(way: _Way, connected: socket.socket, step_timeout: float) -> Finding:
    began = time.monotonic()
    context = client_context()
    try:
        async with asyncio.timeout(step_timeout):
            _, writer = await asyncio.open_connection(
                sock=connected.dup(), ssl=context, server_hostname=way.host
            )
    except ssl.SSLCertVerificationError as error:
        hint = "check the host name, the clock of this machine and its certificates (SSL_CERT_FILE)"
        return _failed("TLS", f"the certificate is not valid: {error.verify_message}", hint)
    except OSError as error:  # a TimeoutError is one
        host = f"[{way.host}]" if ":" in way.host else way.host
        why = await find_culprit(error, f"wss://{host}:{way.port}", step_timeout)
        return _failed("TLS", why.words, why.hint)
    took = time.monotonic() - began
    end: ssl.SSLObject = writer.get_extra_info("ssl_object")
    certificate: dict[str, Any] = end.getpeercert() or {}
    writer.transport.abort()
    expires = float(ssl.cert_time_to_seconds(certificate["notAfter"]))
    issuer = dict(pair for group in certificate.get("issuer", ()) for pair in group)
    name = str(issuer.get("organizationName") or issuer.get("commonName") or "")
    verdict, says, hint = judge_certificate(expires, time.time(), name)
    return Finding(
        "network",
        "TLS",
        verdict,
        f"{end.version()}, {says} ({took * 1000:.0f} ms)",
        hint,
        {"ms": round(took * 1000, 1), "certificate_days": round((expires - time.time()) / 86400)},
    )


async def _join(url: str, step_timeout: float) -> Finding:
    began = time.monotonic()
    made_up = f"doctor-{os.urandom(8).hex()}"
    try:
        route = web_route(made_up, url=url, updates=False, connect_timeout=step_timeout)
        connection = await route.connect(time.monotonic)
    except Rejected as error:
        return _with_time(judge_refusal(error), time.monotonic() - began)
    except ConfigError as error:
        return _failed("WebSocket", str(error), error.hint, code=error.exit_code)
    except ConnectError as error:
        return _failed("WebSocket", str(error), error.hint)
    took = time.monotonic() - began
    try:
        with suppress(TimeoutError):
            async with asyncio.timeout(_LISTEN):
                async for _ in connection:
                    pass
    finally:
        await connection.close()
    closed = connection.closed
    if closed is not None and closed.by == "server":
        says = f"it refuses a nonexistent call, as it should (close code {closed.code})"
        return _with_time(Finding("network", "WebSocket", Verdict.PASS, says), took)
    says = "it lets anybody in, even to a nonexistent call"
    return _with_time(Finding("network", "WebSocket", Verdict.PASS, says), took)


async def _resolve(host: str, port: int) -> list[Address]:
    loop = asyncio.get_running_loop()
    return list(await loop.getaddrinfo(host, port, type=socket.SOCK_STREAM))


def _timed(check: str, says: str, took: float) -> Finding:
    if check == "TCP" and took > _SLOW:
        hint = "slow: every answer of the agent will be late by as much"
        return _with_time(Finding("network", check, Verdict.WARN, says, hint), took)
    return _with_time(Finding("network", check, Verdict.PASS, says), took)


def _with_time(finding: Finding, took: float) -> Finding:
    return Finding(
        finding.part,
        finding.check,
        finding.verdict,
        f"{finding.says} ({took * 1000:.0f} ms)",
        finding.hint,
        {"ms": round(took * 1000, 1)},
        finding.code,
    )


def _failed(check: str, says: str, hint: str, *, code: int | None = None) -> Finding:
    return Finding("network", check, Verdict.FAIL, says, hint, code=code)
