"""The routes over a WebSocket: which server, which dialect, which audio.

Retell's own dialect has its function here; those of phone providers are in ``transport.phone``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from urllib.parse import urlsplit

from retell_voice.audio.format import AudioFormat
from retell_voice.errors import ConfigError
from retell_voice.protocol.web import WebClient, call_url
from retell_voice.secret import Secret, mask, mask_url
from retell_voice.transport.ports import Connection, Route
from retell_voice.transport.websocket import Dial, connect, server_of

DEFAULT_URL = "wss://api.retellai.com/audio-websocket"


class WebSocketRoute:
    """A ``Route`` over a WebSocket, whatever the dialect.

    Args:
        label: a name for people, without secrets.
        dial: returns the parameters of one attempt to connect, called for each; raises ConfigError
            if that is impossible.
        near_end: encoding and rate of what is sent.
        far_end: the same for what is received; None: as ``near_end``.
        frame_ms: length that every frame sent must have, ms; None: any.
        secrets: what must never be shown whole.
        connect_timeout: seconds within which the server must answer.
    """

    packets = False

    def __init__(
        self,
        label: str,
        dial: Callable[[], Dial],
        *,
        near_end: AudioFormat,
        far_end: AudioFormat | None = None,
        frame_ms: int | None = None,
        secrets: Sequence[str] = (),
        connect_timeout: float = 10.0,
    ) -> None:
        self.label = label
        self.near_end = near_end
        self.far_end = far_end or near_end
        self.frame_ms = frame_ms
        self._dial = dial
        self._secrets = secrets
        self._connect_timeout = connect_timeout

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"

    async def connect(self, clock: Callable[[], float]) -> Connection:
        """Open a connection; see ``Route.connect``."""
        return await connect(
            self._dial(),
            secrets=self._secrets,
            connect_timeout=self._connect_timeout,
            clock=clock,
        )


def web_route(
    call_id: str,
    *,
    url: str = DEFAULT_URL,
    audio: AudioFormat | None = None,
    updates: bool = True,
    alignment: bool = False,
    text_heartbeat: bool = False,
    connect_timeout: float = 10.0,
) -> Route:
    """Return the route of a registered call: Retell's Audio WebSocket, dialect ``web``.

    Args:
        call_id: the registered call. A secret: it also authenticates.
        url: prefix to which ``/{call_id}`` is appended, with or without a trailing slash.
        audio: encoding and rate the call was registered with; None: s16le, 24 kHz.
        updates: ask for the transcript and turns.
        alignment: ask for audio together with its text.
        text_heartbeat: also send the text ``ping``, besides WebSocket pings, for servers that
            expect it; one that accepts only JSON may not survive it.
        connect_timeout: seconds within which the server must answer.

    Raises:
        ConfigError: the call_id is empty.
    """
    if not call_id:
        raise ConfigError("the call_id is empty", "give the one returned by register-call")
    secret = Secret(call_id)
    audio = audio or AudioFormat()

    def dial() -> Dial:
        _check_prefix(url)
        return Dial(
            Secret(call_url(url, secret, updates=updates, alignment=alignment)),
            WebClient(audio.sample_width, text_heartbeat=text_heartbeat),
        )

    return WebSocketRoute(
        mask(secret),
        dial,
        near_end=audio,
        secrets=(secret,),
        connect_timeout=connect_timeout,
    )


def _check_prefix(url: str) -> None:
    """Raise ConfigError unless a call_id can be appended to the URL of a WebSocket."""
    server_of(url)
    parts = urlsplit(url)
    if parts.query or parts.fragment:
        raise ConfigError(f"{mask_url(url)!r} has a query: the URL must end where /CALL_ID follows")
