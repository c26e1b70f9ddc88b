"""Why a server was not reached: the same words for every kind of connection."""

from __future__ import annotations

import errno
import re
import socket
import ssl
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Unreachable:
    """What happened, for people.

    Attributes:
        words: one line, without the part that failed.
        hint: one line: what to try; may be empty.
        temporary: the same attempt may succeed a moment later.
    """

    words: str
    hint: str = ""
    temporary: bool = False


def explain_unreachable(error: BaseException, host: str, timeout: float) -> Unreachable:
    """Explain an error of the system, of asyncio or of TLS.

    Args:
        error: what was raised.
        host: of the server, with its port if people should see it.
        timeout: seconds within which the server had to answer.
    """
    match error:
        case socket.gaierror():
            name = re.sub(r":\d+$", "", host)
            return Unreachable(
                f"no such host: {name} ({error.strerror})",
                "check the URL and the name server",
                temporary=error.errno == socket.EAI_AGAIN,
            )
        case TimeoutError():
            return Unreachable(
                f"{host} did not answer within {timeout:g} s",
                "check the URL, the network and any firewall",
                temporary=True,
            )
        case ssl.SSLCertVerificationError():
            return Unreachable(
                f"the TLS certificate of {host} is not valid: {error.verify_message}",
                "check the host name and the clock of this machine",
            )
        case ssl.SSLError():
            return Unreachable(
                f"TLS with {host} failed: {getattr(error, 'reason', None) or error}",
                "for a server without TLS, use ws:// or http://",
            )
        # Where a host has several addresses, asyncio raises one error that quotes all.
        case _ if f"[Errno {errno.ECONNREFUSED}]" in str(error):
            return Unreachable(
                f"{host} refused the connection",
                "is the server running, and is that its port?",
                temporary=True,
            )
        case _:
            text = getattr(error, "strerror", None) or str(error) or type(error).__name__
            hint = "check the URL and the network"
            return Unreachable(f"cannot connect to {host}: {text}", hint, temporary=True)
