"""One HTTP POST over asyncio streams: no redirects, certificates verified, nothing kept open."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import Mapping
from urllib.parse import urlsplit

import h11

from retell_voice.emulator.rest.replies import phrase
from retell_voice.errors import ConfigError
from retell_voice.net.culprit import refused_by, wrong_scheme
from retell_voice.net.proxy import proxy_for
from retell_voice.net.stream import open_stream, target_of
from retell_voice.net.tls import client_context
from retell_voice.net.unreachable import NotReached
from retell_voice.secret import mask_url

_MAX_ANSWER = 1 << 20  # bytes of an answer that are read and discarded


class PostError(Exception):
    """There was no answer with 2xx; says what happened instead, for people."""


class HttpPoster:
    """Posts JSON to one URL.

    Raises:
        ConfigError: the URL cannot be posted to.
    """

    def __init__(self, url: str) -> None:
        self._url, self._name = url, mask_url(url)
        try:
            parts = urlsplit(url)
            name = parts.hostname or ""
            host = f"[{name}]" if ":" in name else name
            self._headers = {
                "Host": f"{host}:{parts.port}" if parts.port else host,
                "User-Agent": "retell-voice emulator",
                "Content-Type": "application/json",
                "Connection": "close",
            }
            self._head({}, 0)
            good = parts.scheme in ("http", "https") and name and "@" not in parts.netloc
        except (ValueError, h11.LocalProtocolError):
            good = False
        if not good:
            raise ConfigError(
                f"{self._name!r} is not a URL that webhooks can be sent to",
                "it looks like https://example.org/webhook, without a user or password",
            )
        proxy_for(url)  # what the environment says and cannot be used is told now
        if parts.scheme == "https":
            client_context()

    async def post(self, body: bytes, headers: Mapping[str, str], timeout: float) -> int:  # noqa: ASYNC109 - the error tells it
        """Post a body and return the status of the answer, 2xx.

        Raises:
            PostError: there was no such answer within ``timeout`` seconds.
        """
        try:
            async with asyncio.timeout(timeout):
                status = await self._exchange(body, headers)
        except TimeoutError:
            words = f"did not answer within {timeout:g} s"
            raise PostError(await self._explained(TimeoutError(), words)) from None
        except ConfigError as error:  # a variable of the environment
            raise PostError(str(error)) from None
        except ssl.SSLCertVerificationError as error:
            raise PostError(
                f"the certificate of {self._name} is not valid: {error.verify_message}"
            ) from None
        except NotReached as error:
            raise PostError(f"{self._name} cannot be reached: {error}") from None
        except OSError as error:
            # The system's words: asyncio's repeat the address. Errors of look-ups are negative.
            code = error.errno or 0
            why = os.strerror(code) if code > 0 else error.strerror or error
            raise PostError(await self._explained(error, f"cannot be reached: {why}")) from None
        except (h11.RemoteProtocolError, UnicodeError) as error:
            words = f"did not answer in HTTP: {error}"
            raise PostError(await self._explained(error, words)) from None
        parts = urlsplit(self._url)
        # Through a tunnel, it is the server that answers.
        proxy = proxy_for(self._url) if parts.scheme == "http" else None
        if status == 407 and proxy is not None:
            refused = refused_by(proxy, status, parts.hostname or "")
            raise PostError(f"{self._name} cannot be reached: {refused.words}")
        if 300 <= status < 400:
            raise PostError(f"{self._name} answered {status}, and redirects are not followed")
        if not 200 <= status < 300:
            raise PostError(f"{self._name} answered {status} {phrase(status)}".rstrip())
        return status

    async def _explained(self, error: Exception, words: str) -> str:
        """Return the words for an error, or those for a server that is there in TLS, or without."""
        # A question of its own would go past the proxy.
        why = await wrong_scheme(error, self._url) if proxy_for(self._url) is None else None
        return f"{self._name} {words}" if why is None else f"{self._name}: {why.words}; {why.hint}"

    def _head(self, headers: Mapping[str, str], length: int) -> h11.Request:
        target, login = target_of(self._url)
        every = {**self._headers, **login, **headers, "Content-Length": str(length)}
        return h11.Request(method="POST", target=target, headers=list(every.items()))

    async def _exchange(self, body: bytes, headers: Mapping[str, str]) -> int:
        reader, writer = await open_stream(self._url)
        try:
            http = h11.Connection(h11.CLIENT)
            request = (self._head(headers, len(body)), h11.Data(data=body), h11.EndOfMessage())
            writer.write(b"".join(http.send(part) or b"" for part in request))
            status, length = 0, 0
            while length <= _MAX_ANSWER:
                event = http.next_event()
                match event:
                    case h11.NEED_DATA:
                        data = await reader.read(65536)
                        length += len(data)
                        http.receive_data(data)
                    case h11.Response():
                        status = event.status_code
                    case h11.EndOfMessage():
                        break
            return status
        finally:
            writer.transport.abort()
