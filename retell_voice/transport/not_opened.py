"""Why a WebSocket was not opened, in a line for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping, Sequence
from http import HTTPStatus

from websockets.exceptions import InvalidHandshake, InvalidStatus, WebSocketException

from retell_voice.errors import ConfigError, ConnectError, Rejected, RetellVoiceError
from retell_voice.extras import how_to_add
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.secret import hiding

_HINTS: Mapping[int, str] = {
    401: "check the call_id: it also authenticates",
    403: "check the call_id: it also authenticates",
    404: "check the call_id and the path in the URL; a call_id expires soon",
    409: "a call can be joined only once",
    410: "that call is over: register a new one",
}


def explain(
    error: Exception,
    host: str,
    *,
    secrets: Sequence[str],
    connect_timeout: float,
    hints: Mapping[int, str] | None,
) -> RetellVoiceError:
    """Return the error to raise for one of ``websockets`` or of the network.

    Args:
        error: what opening raised.
        host: the server, for people.
        secrets: masked in what the server says.
        connect_timeout: seconds within which it had to answer.
        hints: what to try, by the HTTP status of a refusal; None: those about a call_id.
    """
    match error:
        case InvalidStatus():
            return _rejected(error, host, secrets, _HINTS if hints is None else hints)
        case UnicodeError():
            return ConfigError(f"invalid host name {host.rpartition(':')[0]!r}", "check the URL")
        case ImportError():
            return ConfigError(
                "the proxy set in the environment needs the package python-socks",
                f"exempt this host with no_proxy, or: {how_to_add('python-socks')}",
            )
        case InvalidHandshake() | EOFError():
            return Rejected(
                f"server: {host} answered, but not as a WebSocket",
                "check --url: scheme (ws or wss), port and path",
            )
        case WebSocketException():
            return ConfigError(
                f"the URL of {host}, or of its proxy, cannot be used",
                "check --url, and http_proxy and https_proxy in the environment",
            )
        case _:
            why = explain_unreachable(error, host, connect_timeout)
            return ConnectError(f"network: {why.words}", why.hint, temporary=why.temporary)


def _rejected(
    error: InvalidStatus, host: str, secrets: Sequence[str], hints: Mapping[int, str]
) -> Rejected:
    status = error.response.status_code
    try:
        phrase = f" {HTTPStatus(status).phrase}"
    except ValueError:
        phrase = ""
    body = (error.response.body or b"").decode("utf-8", "replace").strip()
    with contextlib.suppress(ValueError, TypeError, KeyError):
        body = str(json.loads(body)["message"])
    said = " ".join(hiding(secrets)(body).split())[:200]
    hint = hints.get(status, "")
    if status in (301, 302, 303, 307, 308):
        hint = "redirects are not followed: name the server"
    return Rejected(
        f"server: {host} answered HTTP {status}{phrase}" + (f": {said}" if said else ""),
        hint,
        status=status,
    )
