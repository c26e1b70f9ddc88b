"""The route of a web call: one way to be let in, one join, and nothing left behind.

::

    ┌─ find the libraries ─▶ offer ─┐
    └─ admit: create-web-call ──────┴─▶ join ─▶ answer ─▶ connected ─▶ WebRtcConnection
                    │                     │               │
    cancelled: ─────┴─▶ stop-call         └── leave ──────┘
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterable, Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from types import ModuleType
from typing import TYPE_CHECKING, Any

from retell_voice.audio.format import AudioFormat
from retell_voice.errors import ConfigError, ConnectError
from retell_voice.events import Event
from retell_voice.extras import how_to_install
from retell_voice.net.http import DEFAULT_API_URL, Base, parse_base
from retell_voice.protocol.gateway import Admission, Candidate, Joined
from retell_voice.protocol.ice import usable_relays
from retell_voice.protocol.sdp import leave_open
from retell_voice.transport.ports import Connection
from retell_voice.transport.webrtc.connection import USUAL, Timeouts, WebRtcConnection

if TYPE_CHECKING:
    from retell_voice.transport.webrtc.media import Peer
    from retell_voice.transport.webrtc.signalling import Signalling

RATE = 48000
FRAME_MS = 20
_FINISH = 1.5
"""Seconds that a request may go on for once nobody wants the call any more."""
_STOP = 1.0
_LIBRARIES = ("aiortc", "httpx")


class WebRtcRoute:
    """A ``Route`` over Retell's WebRTC gateway; it can be dialled once.

    Args:
        label: what people call it; without secrets.
        admit: creates the call, or knows it; called once.
        api_url: base of the REST API, where the gateway is.
        stop: ends a call that was admitted and is not joined; may raise what it likes.
        transcript: returns the events of the monitor of a call, given the call_id and the
            call's clock; None: no transcript.
        ended: asks the server why a call is over; None: it goes on. Asked every few seconds where
            no monitor tells; may raise what it likes.
        connect_timeout: seconds that the gateway may take to answer, and then to be connected.
        timeouts: see ``WebRtcConnection``.
        speaks: False for one who only listens, until ``speak`` is called.

    Raises:
        ConfigError: the URL cannot be one of a REST API.
    """

    packets = True
    near_end = AudioFormat(rate=RATE)
    far_end = AudioFormat(rate=RATE)
    frame_ms: int | None = FRAME_MS

    def __init__(
        self,
        label: str,
        admit: Callable[[], Awaitable[Admission]],
        *,
        api_url: str = DEFAULT_API_URL,
        stop: Callable[[Admission], Awaitable[None]] | None = None,
        transcript: Callable[[str, Callable[[], float]], AsyncIterable[Event]] | None = None,
        ended: Callable[[Admission], Awaitable[str | None]] | None = None,
        connect_timeout: float = 10.0,
        timeouts: Timeouts = USUAL,
        speaks: bool = True,
    ) -> None:
        self.label = label
        self._base = parse_base(api_url, DEFAULT_API_URL)
        self._admit = admit
        self._stop = stop
        self._transcript = transcript
        self._ended = ended
        self._timeout = connect_timeout
        self._timeouts = timeouts
        self._speaks = speaks
        self._attempt: _Attempt | None = None
        self._dialled = False
        self.admission: Admission | None = None
        """What let us in, once that is known."""
        self.joined = False
        """Whether the gateway has let us in, even if no audio came through."""

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.label}>"

    async def connect(self, clock: Callable[[], float]) -> Connection:
        """Create or take the call, join it and wait until audio flows; see ``Route.connect``.

        Cancelled, or failing, it leaves no call behind, which may take two seconds.

        Raises:
            RestError: the call could not be created.
        """
        if self._dialled:
            raise ConfigError("a web call can be joined once", "create another one")
        self._dialled = True
        find_libraries()
        attempt = _Attempt(self._base, self._timeout, self._admit, self._stop, speaks=self._speaks)
        connection = WebRtcConnection(self.near_end, clock, self._timeouts)
        try:
            admission, peer = await attempt.join(connection)
        except BaseException as error:
            await _see_through(attempt.abandon())
            if isinstance(error, ConnectError):
                error.temporary = False  # a second try would be a second call
            raise
        finally:
            self.admission = attempt.admission or self.admission
            self.joined = attempt.joined
        self._attempt = attempt
        follow, ended = self._transcript, self._ended
        connection.open(
            peer,
            attempt.leave,
            None if follow is None else follow(admission.call_id, clock),
            None if ended is None else partial(ended, admission),
        )
        return connection

    @property
    def relayed(self) -> bool:
        """Whether audio goes through a relay; False before it goes at all."""
        peer = None if self._attempt is None else self._attempt.peer
        return peer is not None and peer.relayed

    async def speak(self) -> None:
        """Speak from now on, where we only listened.

        Raises:
            ConnectError: the gateway was not reached, or does not let us; we go on listening.
        """
        if self._attempt is None:
            raise ConfigError("the call has not been joined yet")
        await self._attempt.speak()


class _Attempt:
    """One attempt to join, and all that must be undone if it fails."""

    def __init__(
        self,
        base: Base,
        timeout: float,
        admit: Callable[[], Awaitable[Admission]],
        stop: Callable[[Admission], Awaitable[None]] | None,
        *,
        speaks: bool,
    ) -> None:
        self._speaks = speaks
        self.admission: Admission | None = None
        self.peer: Peer | None = None
        self._base, self._timeout = base, timeout
        self._admit, self._stop = admit, stop
        self._admitting: asyncio.Future[Admission] | None = None
        self._joining: asyncio.Task[Joined] | None = None
        self._joined: Joined | None = None
        self._signalling: Signalling | None = None
        self._trickling: list[asyncio.Task[None]] = []

    @property
    def joined(self) -> bool:
        """Whether the gateway has let us in."""
        return self._joined is not None

    async def join(self, connection: WebRtcConnection) -> tuple[Admission, Peer]:
        """Join, up to where audio flows; what the peer tells goes to the connection."""
        # Requests go on when this is cancelled: what they bring about has to be undone.
        admitting = self._admitting = asyncio.ensure_future(self._admit())
        media, signalling = await asyncio.to_thread(_load, self._base, self._timeout)
        self._signalling = signalling
        peer: Peer = media.Peer(
            connection.packet, connection.message, connection.changed, speaks=self._speaks
        )
        self.peer = peer
        offer = await peer.offer()
        admission = self.admission = await asyncio.shield(admitting)
        connection.hide((admission.call_id, admission.access_token))
        if relays := usable_relays(admission.ice_servers):
            offer = leave_open(offer)
        joining = self._joining = asyncio.create_task(signalling.join(admission, offer))

        async def trickle(allocating: asyncio.Task[Candidate | None]) -> None:
            if (candidate := await allocating) is not None:
                joined = await asyncio.shield(joining)
                await signalling.trickle(admission, joined.session_id, candidate)

        for relay in relays:
            self._trickling.append(asyncio.create_task(trickle(peer.use_relay(relay))))
        joined = self._joined = await asyncio.shield(joining)
        await peer.accept(joined.sdp)
        await peer.connected(self._timeout)
        return admission, peer

    async def speak(self) -> None:
        """Renegotiate, so that our voice goes out."""
        peer, signalling, admission, joined = (
            self.peer,
            self._signalling,
            self.admission,
            self._joined,
        )
        if peer is None or signalling is None or admission is None or joined is None:
            raise ConfigError("the call has not been joined yet")
        peer.speak()
        offer = await peer.offer()
        await peer.accept(await signalling.renegotiate(admission, joined.session_id, offer))

    async def leave(self) -> None:
        """Tell the gateway that we leave; bounded in time, never raises."""
        for task in self._trickling:
            task.cancel()
        await asyncio.gather(*self._trickling, return_exceptions=True)
        if self._signalling is not None:
            if self._joined is not None and self.admission is not None:
                await self._signalling.leave(self.admission, self._joined.session_id)
            await self._signalling.close()

    async def abandon(self) -> None:
        """Undo what has been done, at most in two seconds or so; never raises."""
        self.admission = await _finished(self._admitting) or self.admission
        self._joined = await _finished(self._joining) or self._joined
        if self.admission is not None and self._joined is None and self._stop is not None:
            with contextlib.suppress(Exception):  # nobody is left to be told
                async with asyncio.timeout(_STOP):
                    await self._stop(self.admission)
        await self.leave()
        if self.peer is not None:
            await self.peer.close()


def find_libraries() -> None:
    """Check that what web calls need is installed, without loading it.

    Raises:
        ConfigError: something is missing.
    """
    for name in _LIBRARIES:
        if find_spec(name) is None:
            raise _missing(name)


def _load(base: Base, timeout: float) -> tuple[ModuleType, Signalling]:
    """Load the libraries, which takes a third of a second. Runs on: a thread of its own."""
    try:
        from retell_voice.transport.webrtc import media  # noqa: PLC0415 - see above
        from retell_voice.transport.webrtc.signalling import Signalling  # noqa: PLC0415
    except (ImportError, OSError) as error:
        raise _missing(str(error)) from None
    return media, Signalling(base, timeout)


def _missing(what: str) -> ConfigError:
    return ConfigError(
        f"web calls need packages that are not installed: {what}",
        how_to_install("webrtc"),
    )


async def _finished(work: asyncio.Future[Any] | None) -> Any:
    """Return the result of a request that is on its way, None if it fails or takes too long."""
    if work is None:
        return None
    await asyncio.wait((work,), timeout=_FINISH)
    if not work.done():
        work.cancel()
        await asyncio.wait((work,))
    return None if work.cancelled() or work.exception() is not None else work.result()


async def _see_through(work: Any) -> None:
    """Await what must be done, however often this is cancelled meanwhile."""
    task = asyncio.ensure_future(work)
    while not task.done():
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.shield(task)
