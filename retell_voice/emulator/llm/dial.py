"""Dialling the developer's LLM server, and explaining in one line why that failed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_add
from retell_voice.net.opening import open_websocket
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.protocol.llm import llm_url
from retell_voice.secret import hiding
from retell_voice.shown import logger

OPEN = "error_llm_websocket_open"
LOST = "error_llm_websocket_lost_connection"
RUNTIME = "error_llm_websocket_runtime"
CORRUPT = "error_llm_websocket_corrupt_payload"
HUNG_UP = "agent_hangup"
"""How a call ends: values of Retell's ``disconnection_reason``."""

_CLOSE_TIMEOUT = 0.5
_MAX_MESSAGE = 16 * 1024 * 1024
_MISSING = "does its route take the call_id as the last part of the path? Does it have WebSockets?"

# The library logs request lines, and the call_id with them, at level DEBUG.
_logger = logger("retell_voice.llm")
_logger.setLevel(logging.INFO)


class LlmFailure(Exception):
    """The LLM server could not be reached, or the connection to it is over.

    ``str`` is one line that says what happened; it never contains a whole call_id.

    Attributes:
        why: Retell's ``disconnection_reason``; ``agent_hangup`` if the server hung up.
        words: what happened.
        hint: one line: what to try; may be empty.
    """

    def __init__(self, why: str, words: str, hint: str = "") -> None:
        super().__init__(words)
        self.why = why
        self.words = words
        self.hint = hint


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkSettings:
    """Retell's time-outs and retries with an LLM server.

    Source: the guides "Set up your server" and "Troubleshooting"
    (docs.retellai.com/integrate-llm).

    Attributes:
        connect_timeout: seconds within which the server must accept the connection.
        attempts: how often it is dialled.
        pause: seconds in between.
        refused_pause: the same if the first attempt of a call is refused at once, as when no
            server is running. Not Retell's: a developer should know within a second.
        ping_interval: seconds between ``ping_pong`` messages, with ``auto_reconnect``.
        keepalive_timeout: seconds without one from the server after which it is redialled.
        silent_redials: how often it is redialled for that in a call.
        broken_redials: how often it is redialled in a call because the connection broke (1006).
    """

    connect_timeout: float = 7.0
    attempts: int = 3
    pause: float = 3.0
    refused_pause: float = 0.5
    ping_interval: float = 2.0
    keepalive_timeout: float = 5.0
    silent_redials: int = 2
    broken_redials: int = 4


DEFAULT_LINK = LinkSettings()


async def dial(
    url: str,
    call_id: str,
    settings: LinkSettings,
    *,
    again: bool = False,
    retrying: Callable[[str], None] = lambda _words: None,
) -> ClientConnection:
    """Connect to the LLM server for a call, in as many attempts as the settings allow.

    Args:
        url: as configured for the agent, without the call_id.
        call_id: the call; never shown whole in an error.
        settings: how often and how long to try.
        again: it has been reached before in this call.
        retrying: called with one line about why the first attempt failed, if another follows.

    Raises:
        ConfigError: the URL is not that of an LLM server.
        LlmFailure: it was not reached; ``error_llm_websocket_open``.
    """
    address = llm_url(url, call_id)
    for attempt in range(1, settings.attempts + 1):
        try:
            return await _connect(address, settings.connect_timeout)
        except ConfigError as error:  # a variable of the environment: no other attempt mends it
            raise LlmFailure(OPEN, f"LLM server: {error}", error.hint) from None
        except (OSError, WebSocketException, EOFError, UnicodeError, ImportError) as error:
            words, hint = _explain(error, address, settings.connect_timeout)
            is_temporary = _is_temporary(error)
            refused = isinstance(error, OSError) and not isinstance(error, TimeoutError)
        words = hiding((call_id,))(f"LLM server: {words}")
        if attempt == settings.attempts or not is_temporary:
            break
        if attempt == 1:
            retrying(words)
        await asyncio.sleep(settings.refused_pause if refused and not again else settings.pause)
    # Raised here, so that it has no context: the library's errors contain the URL, and the URL
    # contains the call_id.
    raise LlmFailure(OPEN, words, hint)


async def hang_up(websocket: ClientConnection, code: int = 1000, reason: str = "") -> None:
    """Close a connection, within half a second whatever the server does.

    Args:
        reason: cut to the 123 bytes that fit into a close frame.
    """
    try:
        async with asyncio.timeout(_CLOSE_TIMEOUT):
            await websocket.close(code, reason.encode()[:123].decode(errors="ignore"))
    except TimeoutError:
        pass
    finally:
        websocket.transport.abort()


async def _connect(address: str, connect_timeout: float) -> ClientConnection:
    return await open_websocket(
        address,
        compression=None,
        max_size=_MAX_MESSAGE,
        ping_interval=None,  # ping_pong does that, if the server asks for it
        open_timeout=connect_timeout,
        close_timeout=_CLOSE_TIMEOUT,
        logger=_logger,
    )


def _is_temporary(error: Exception) -> bool:
    """Return whether another attempt may succeed in a few seconds: the server may be starting."""
    match error:
        case InvalidStatus():
            return error.response.status_code == 429 or error.response.status_code >= 500
        case OSError():
            return explain_unreachable(error, "", 0.0).temporary
        case _:
            return isinstance(error, EOFError)


def _explain(error: Exception, address: str, connect_timeout: float) -> tuple[str, str]:  # noqa: PLR0911 - a table of errors
    """Return what happened and what to try."""
    parts = urlsplit(address)
    name = parts.hostname or ""
    host = f"{name}:{parts.port or (443 if parts.scheme == 'wss' else 80)}"
    match error:
        case InvalidStatus():
            return _answered(error, host)
        case UnicodeError():
            return f"invalid host name {name!r}", "check the URL"
        case ImportError():
            return (
                "the proxy set in the environment needs the package python-socks",
                f"exempt this host with no_proxy, or: {how_to_add('python-socks')}",
            )
        case InvalidHandshake() | EOFError():
            return f"{host} answered, but not as a WebSocket", "check the port and the path"
        case TimeoutError():
            return (
                f"{host} did not accept the connection within {connect_timeout:g} s",
                "is its event loop blocked, or a firewall in the way?",
            )
        case WebSocketException():
            return f"{host}, or a proxy on the way, cannot be used", "check the URL and http_proxy"
        case _:
            why = explain_unreachable(error, host, connect_timeout)
            return why.words, why.hint


def _answered(error: InvalidStatus, host: str) -> tuple[str, str]:
    status = error.response.status_code
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    body = " ".join((error.response.body or b"").decode("utf-8", "replace").split())[:200]
    if 300 <= status < 400:
        hint = "redirects are not followed: give the URL it redirects to"
    else:
        hint = _MISSING if status == 404 else ""
    return f"{host} answered HTTP {status}{phrase}{f': {body}' if body else ''}", hint
