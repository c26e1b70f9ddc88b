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


class NotReached(OSError):
    """A server was not reached, and it is known why; ``why`` says so."""

    def __init__(self, why: Unreachable) -> None:
        super().__init__(why.words)
        self.why = why


_TOO_OLD = re.compile(
    "UNSUPPORTED_PROTOCOL|PROTOCOL_VERSION|WRONG_SSL_VERSION|NO_PROTOCOLS_AVAILABLE"
    "|NO_CIPHERS_AVAILABLE|DH_KEY_TOO_SMALL|EE_KEY_TOO_SMALL|CA_MD_TOO_WEAK|MD_TOO_WEAK"
    "|LEGACY_SIGALG|UNSAFE_LEGACY"
)
"""What OpenSSL calls it where the other side offers nothing that is safe today."""


def explain_unreachable(  # noqa: PLR0911 - a table of errors
    error: BaseException, host: str, timeout: float
) -> Unreachable:
    """Explain an error of the system, of asyncio or of TLS.

    Args:
        error: what was raised.
        host: of the server, with its port if people should see it.
        timeout: seconds within which the server had to answer.
    """
    match error:
        case NotReached():
            return error.why
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
                "check the host name and the clock of this machine; a CA of your own goes into "
                "the system's store, or into SSL_CERT_FILE",
            )
        case ssl.SSLError() if _TOO_OLD.search(getattr(error, "reason", None) or ""):
            return Unreachable(
                f"TLS with {host} failed: what it speaks is too old ({error.reason})",
                "its owner must update it: TLS 1.2 or newer is needed",
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
