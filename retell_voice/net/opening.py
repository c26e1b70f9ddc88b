"""Opening a WebSocket: through the proxy that is to be used, to the address that answers, in TLS
with the certificates that are trusted, and with an answer to what went wrong."""

from __future__ import annotations

import asyncio
import ssl
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as websocket_connect
from websockets.exceptions import (
    InvalidHandshake,
    InvalidMessage,
    InvalidProxyStatus,
    InvalidURI,
    ProxyError,
)

from retell_voice.net.culprit import refused_by, unanswered, unreached, wrong_scheme
from retell_voice.net.dialling import connect_tcp
from retell_voice.net.proxy import Proxy, proxy_for
from retell_voice.net.refusal import PromptlyRefused
from retell_voice.net.tls import client_context
from retell_voice.net.unreachable import NotReached


class _Opening(websocket_connect):
    """Follows no redirect: secrets are for the server that was named, and for no other."""

    def process_redirect(self, exc: Exception) -> Exception | str:
        return exc


async def open_websocket(url: str, *, open_timeout: float, **settings: Any) -> ClientConnection:
    """Open a WebSocket.

    Args:
        url: whole; it may hold secrets, and so may what the library raises.
        open_timeout: seconds until it must be open.
        settings: of ``websockets.connect``.

    Raises:
        ConfigError: a variable of the environment cannot be used.
        OSError, WebSocketException, EOFError, UnicodeError, ImportError: as ``websockets.connect``;
            ``NotReached``, which is an OSError, where more is known.
    """
    parts = urlsplit(url)
    host, secure = parts.hostname or "", parts.scheme == "wss"
    port = parts.port or (443 if secure else 80)
    proxy = proxy_for(url)
    tls: dict[str, Any] = {"ssl": client_context(), "server_hostname": host} if secure else {}
    if proxy is not None and proxy.url.startswith("https:"):
        tls["proxy_ssl"] = client_context()
    deadline = asyncio.get_running_loop().time() + open_timeout
    if proxy is None:
        async with asyncio.timeout(open_timeout):
            tls["sock"] = await connect_tcp(host, port)
    left = max(deadline - asyncio.get_running_loop().time(), 0.1)
    failure: Exception
    try:
        return await _Opening(
            url,
            proxy=None if proxy is None else proxy.url,
            open_timeout=left,
            create_connection=PromptlyRefused,
            **tls,
            **settings,
        )
    except InvalidURI:
        if "sock" in tls:
            tls["sock"].close()  # nobody has taken it over
        raise
    except (InvalidHandshake, EOFError, OSError) as error:
        failure = error
    except TypeError as error:  # of Python 3.11, where TLS within a proxy's TLS fails
        if not isinstance(error.__context__, ssl.SSLError):
            raise
        failure = error.__context__
    # Raised out here, so that it has no context: the library's errors hold the URL.
    if proxy is not None:
        raise _through(proxy, failure, f"{host}:{port}", open_timeout)
    if isinstance(failure, InvalidMessage | EOFError | OSError):
        why = await wrong_scheme(failure, url)
        if why is not None:
            raise NotReached(why)
    raise failure


def _through(proxy: Proxy, error: Exception, host: str, open_timeout: float) -> Exception:
    """Return what went wrong with a proxy, or the error itself where that is about the server."""
    match error:
        case InvalidProxyStatus():
            return NotReached(refused_by(proxy, error.response.status_code, host))
        case ProxyError():
            return NotReached(refused_by(proxy, None, host))
        case ssl.SSLError() | InvalidHandshake() | EOFError():
            return error
        case TimeoutError():
            return NotReached(unanswered(proxy, host, open_timeout))
        case _:
            return NotReached(unreached(proxy, error, open_timeout))
