"""Our end of the WebRTC connection: Opus packets out, Opus packets in, the control channel.

Made of aiortc, whose own encoder and jitter buffer are left out: packets are handed to its sender
ready, and taken from its receiver as they arrive.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import aioice.ice
import aioice.turn
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCSessionDescription,
)
from aiortc.rtcicetransport import candidate_from_aioice
from aiortc.sdp import candidate_to_sdp
from av.packet import Packet

from retell_voice.errors import ConfigError, ConnectError, Rejected
from retell_voice.extras import how_to_install
from retell_voice.net.loopback import fall_back_on_loopback
from retell_voice.protocol.gateway import CONTROL, Candidate, UnreadableAnswer
from retell_voice.protocol.ice import Relay
from retell_voice.protocol.sdp import check_answer, prepare_offer
from retell_voice.shown import logger

CLOCK = 48000
"""Units of the RTP timestamp a second."""
_TIME_BASE = Fraction(1, CLOCK)
_QUEUED = 50
"""Packets that may wait for the sender; it takes them at once unless it is stuck."""
_CLOSE_TIMEOUT = 1.0
"""Seconds for which closing is waited for: it takes milliseconds, or with a relay that has gone
silent half a minute."""
JITTER_BUFFER = "_RTCRtpReceiver__jitter_buffer"
"""The attribute of aiortc's receiver that we replace."""
_logger = logger("retell_voice.webrtc")
_unfinished: set[asyncio.Task[None]] = set()  # what goes on though nobody waits any longer


class _Voice(MediaStreamTrack):
    """What we send: packets that are encoded already."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._queue: asyncio.Queue[Any] = asyncio.Queue(_QUEUED)

    def put(self, payload: bytes, timestamp: int) -> bool:
        """Queue a packet for the sender; False: it is stuck."""
        packet: Any = Packet(payload)
        packet.pts, packet.time_base = timestamp, _TIME_BASE
        try:
            self._queue.put_nowait(packet)
        except asyncio.QueueFull:
            return False
        return True

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        return await self._queue.get()


class _Tap:
    """In place of aiortc's jitter buffer: hands packets over as they arrive, in order of arrival.

    aiortc's own waits for four packets, and after one that is lost for sixteen, for good.
    """

    capacity = 16

    def __init__(self, take: Callable[[int, int, bytes, int], None]) -> None:
        self._take = take

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet; aiortc gets nothing to decode."""
        self._take(packet.sequence_number, packet.timestamp, packet.payload, packet.ssrc)
        return False, None


class Peer:
    """One WebRTC connection with a gateway.

    Args:
        on_packet: gets sequence number, timestamp, payload and source of each packet.
        on_message: gets each message of the control channel.
        on_state: is told when ``state`` has changed.
        speaks: False for one who only listens, until ``speak`` is called.

    Raises:
        ConfigError: this aiortc is not one that can be used.
    """

    def __init__(
        self,
        on_packet: Callable[[int, int, bytes, int], None],
        on_message: Callable[[str | bytes], None],
        on_state: Callable[[], None],
        *,
        speaks: bool = True,
    ) -> None:
        self._relays: list[asyncio.Task[Candidate | None]] = []
        self._offering: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._on_state = on_state
        self._peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self._voice = _Voice()
        self._peer.addTrack(self._voice)
        (self._transceiver,) = self._peer.getTransceivers()
        fall_back_on_loopback(self._transceiver.receiver.transport.transport)
        self._speaks = speaks
        if not speaks:
            self._transceiver.direction = "recvonly"
        known: Any = RTCRtpReceiver.getCapabilities("audio")
        self._transceiver.setCodecPreferences(
            [codec for codec in known.codecs if codec.mimeType.lower() == "audio/opus"]
        )
        receiver = self._transceiver.receiver
        if not hasattr(receiver, JITTER_BUFFER):
            raise ConfigError(
                "this version of aiortc is not one that is known to work",
                f"the right one: {how_to_install('webrtc')}",
            )
        setattr(receiver, JITTER_BUFFER, _Tap(on_packet))
        self._peer.createDataChannel(CONTROL).on("message", on_message)
        self._peer.on("connectionstatechange", self._state_changed)

    @property
    def state(self) -> str:
        """``new``, ``connecting``, ``connected``, ``closed`` or ``failed``."""
        state: str = self._peer.connectionState
        return state

    @property
    def relayed(self) -> bool:
        """Whether what we send goes through a relay."""
        ice = self._transceiver.receiver.transport.transport._connection
        pair = ice._nominated.get(1)
        return pair is not None and pair.local_candidate.type == "relay"

    async def offer(self) -> str:
        """Return an SDP offer with all host candidates in it.

        Raises:
            ConnectError: this machine has no network.
        """
        # Cancelled halfway, the library would leave open the sockets that it has opened so far.
        self._offering = asyncio.create_task(self._gather())
        try:
            await asyncio.shield(self._offering)
        except OSError as error:
            raise ConnectError(
                f"network: the network interfaces cannot be listed: {error.strerror or error}",
                "a service of systemd's needs AF_NETLINK among its RestrictAddressFamilies",
            ) from None
        sdp: str = self._peer.localDescription.sdp
        if "a=candidate:" not in sdp:
            raise ConnectError(
                "network: this machine has no network at all, not even loopback",
                "connect it to one",
            )
        return prepare_offer(sdp)

    def speak(self) -> None:
        """Speak once the next offer, which says so, has been accepted."""
        self._transceiver.direction = "sendrecv"

    async def accept(self, answer: str) -> None:
        """Take the gateway's SDP answer; connecting begins.

        Raises:
            Rejected: it cannot be used.
        """
        try:
            check_answer(answer)
            await self._peer.setRemoteDescription(RTCSessionDescription(answer, "answer"))
        except UnreadableAnswer as error:
            why = str(error)
        except Exception as error:
            why = f"its answer is not SDP that can be used ({type(error).__name__})"
        else:
            self._speaks = self._transceiver.direction == "sendrecv"
            return
        raise Rejected(f"server: the gateway cannot be talked to: {why}", "is it Retell's gateway?")

    async def connected(self, timeout: float) -> None:  # noqa: ASYNC109 - it is told, too
        """Wait until audio can flow.

        Raises:
            ConnectError: that does not come about.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                while self.state in ("new", "connecting"):
                    self._changed.clear()
                    await self._changed.wait()
        await self.drop_relays()
        if self.state != "connected":
            is_late = self.state in ("new", "connecting")
            state = f"still connecting after {timeout:g} s" if is_late else self.state
            raise ConnectError(
                f"network: the gateway let us in, but no audio comes through to it ({state})",
                "does a firewall block UDP? a network that lets only TCP through needs a relay "
                "(TURN over TCP) from the server",
            )

    def send(self, payload: bytes, timestamp: int) -> bool:
        """Send an Opus packet, or none if we only listen; False: the sender is stuck."""
        return not self._speaks or self._voice.put(payload, timestamp)

    async def round_trip(self) -> float | None:
        """Return the seconds of the last round trip, as RTCP measures it; None before the first."""
        report = await self._transceiver.sender.getStats()
        trips = [getattr(each, "roundTripTime", None) for each in report.values()]
        return next((trip for trip in trips if trip is not None), None)

    async def close(self) -> None:
        """Close everything; the gateway sees that at once, if it is there. Never raises.

        Returns within a second; what takes longer goes on behind it.
        """
        await self.drop_relays()
        if self._closing is None:
            # In a task, as the library never finishes a closing that was cancelled halfway.
            self._closing = asyncio.create_task(self._close())
            _unfinished.add(self._closing)
            self._closing.add_done_callback(_unfinished.discard)
        await asyncio.wait((self._closing,), timeout=_CLOSE_TIMEOUT)

    async def _gather(self) -> None:
        await self._peer.setLocalDescription(await self._peer.createOffer())

    async def _close(self) -> None:
        if self._offering is not None:
            await asyncio.gather(self._offering, return_exceptions=True)
        try:
            await self._peer.close()
            # The library may have started them meanwhile, with the connection on its way.
            await self._transceiver.stop()
        except Exception as error:  # whatever the library stumbles over
            _logger.info("the media were not closed properly: %s", type(error).__name__)

    # A relay is allocated while all the rest goes on: it is only used where nothing else works.

    def use_relay(self, relay: Relay) -> asyncio.Task[Candidate | None]:
        """Begin to allocate a relay; what it returns is for the gateway, None: it did not work."""
        task = asyncio.create_task(self._allocate(relay))
        self._relays.append(task)
        return task

    async def drop_relays(self) -> None:
        """Give up those that are not there yet."""
        for task in self._relays:
            task.cancel()
        await asyncio.gather(*self._relays, return_exceptions=True)
        self._relays.clear()

    async def _allocate(self, relay: Relay) -> Candidate | None:
        ice = self._transceiver.receiver.transport.transport._connection
        try:
            candidate, protocol = await aioice.ice.relayed_candidate(
                component=1,
                hide_related_address=False,
                protocol_factory=lambda: aioice.ice.StunProtocol(ice),
                turn_server=(relay.host, relay.port),
                turn_username=relay.username,
                turn_password=relay.credential,
                turn_ssl=relay.tls,
                turn_transport=relay.transport,
            )
        except (OSError, aioice.stun.TransactionError):
            return None
        ice._protocols.append(protocol)  # closed together with the others
        for remote in ice.remote_candidates:
            ice._pair_remote_candidate(remote)
        ice.sort_check_list()
        if ice.remote_password is not None:
            for pair in ice._check_list:
                if pair.protocol is protocol:
                    ice.check_start_task(pair)
        text = candidate_to_sdp(candidate_from_aioice(candidate))
        return Candidate(candidate=f"candidate:{text}", mid=self._transceiver.mid, index=0)

    def _state_changed(self) -> None:
        self._changed.set()
        self._on_state()
