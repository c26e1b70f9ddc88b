"""What a server speaks that did not answer as it should: TLS, or HTTP without it.

Nothing secret is sent: a greeting of TLS, or a request for ``/``.
"""

from __future__ import annotations

import asyncio
import socket
import ssl

from retell_voice.net.dialling import connect_tcp

SECONDS = 1.0
"""How long finding out may take."""


async def speaks_tls(host: str, port: int) -> bool:
    """Return whether a server greets back in TLS, of whatever age and with any certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(incoming, outgoing, server_hostname=_name(host)).do_handshake()
    except ssl.SSLWantReadError:
        answer = await _ask(host, port, outgoing.read())
        return answer[:1] in (b"\x16", b"\x15") and answer[1:2] == b"\x03"
    except ValueError:  # no name that TLS could greet
        return False
    return False


async def speaks_http(host: str, port: int) -> bool:
    """Return whether a server answers a plain request in HTTP."""
    shown = f"[{host}]" if ":" in host else host
    request = f"GET / HTTP/1.1\r\nHost: {shown}\r\nConnection: close\r\n\r\n"
    return (await _ask(host, port, request.encode("ascii", "replace"))).startswith(b"HTTP/")


def _name(host: str) -> str | None:
    return host if host else None


async def _ask(host: str, port: int, question: bytes) -> bytes:
    """Return how the answer begins; empty where there is none in time."""
    loop = asyncio.get_running_loop()
    end: socket.socket | None = None
    try:
        async with asyncio.timeout(SECONDS):
            end = await connect_tcp(host, port)
            await loop.sock_sendall(end, question)
            answer = b""
            while len(answer) < 5 and (data := await loop.sock_recv(end, 5 - len(answer))):
                answer += data
            return answer
    except (OSError, UnicodeError):  # a TimeoutError is one
        return b""
    finally:
        if end is not None:
            end.close()
