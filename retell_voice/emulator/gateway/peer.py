"""One WebRTC connection of the gateway, on ``aiortc``. Loaded with the first web call."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from fractions import Fraction
from typing import Any

from aiortc import (
    RTCConfiguration,
    RTCPeerConnection,
    RTCRtpReceiver,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcdatachannel import RTCDataChannel
from aiortc.rtp import RtpPacket
from aiortc.sdp import candidate_from_sdp
from av.packet import Packet

from retell_voice.audio.opus import CLOCK
from retell_voice.emulator.gateway.agent_stream import FRAME_MS
from retell_voice.emulator.gateway.path import Path, Uplink
from retell_voice.net.loopback import fall_back_on_loopback
from retell_voice.protocol.gateway import CONTROL, Candidate
from retell_voice.protocol.sdp import ask_for_fec, without_mdns
from retell_voice.shown import logger

_FRAME = FRAME_MS / 1000
_LATE = 0.2  # seconds late by which a frame is left out, not sent after the others at once
_MOST_CANDIDATES = 100
_MOST_UNSAID = 100  # messages to a caller who has opened no channel; older ones are dropped
_MOST_TEXT = 1 << 16  # characters of a message of the caller
_CLOSE_TIMEOUT = 2.0
"""Seconds that the library may take to close; what takes longer goes on behind it."""
_FLUSH = 1.0  # seconds for the control channel to open, and for what waits to be sent on it
_unfinished: set[asyncio.Task[None]] = set()  # closings that nobody waits for any more
_logger = logger(__name__)
_TAP = "_RTCRtpReceiver__jitter_buffer"

Received = Callable[[int, int, bytes], None]
"""Takes sequence number, timestamp and payload of a packet, as it arrives."""


class BadOffer(ValueError):
    """An SDP offer, or a candidate, that nothing can be made of."""


class Peer:
    """Answers one caller.

    Args:
        next_packet: returns the next 20 ms, an Opus packet.
        received: takes the caller's packets.
        told: takes what the caller says on the control channel.

    Attributes:
        path: where all that is sent goes through.
        uplink: where the caller's audio comes through.
    """

    def __init__(
        self, next_packet: Callable[[], bytes], received: Received, told: Callable[[str], None]
    ) -> None:
        # Without servers: with none given, aiortc would ask a public STUN server.
        self._connection = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        transceiver = self._connection.addTransceiver(_Paced(next_packet), direction="sendrecv")
        codecs = RTCRtpSender.getCapabilities("audio").codecs
        transceiver.setCodecPreferences([each for each in codecs if each.mimeType == "audio/opus"])
        self.uplink = Uplink(received, asyncio.get_running_loop())
        self._told = told
        self._control: RTCDataChannel | None = None
        self._unsaid: deque[str | bytes] = deque(maxlen=_MOST_UNSAID)
        self._candidates = 0
        transport = transceiver.sender.transport.transport
        fall_back_on_loopback(transport)
        self.path = Path(transport._send, asyncio.get_running_loop().time)
        transport._send = self.path.send
        self._closing: asyncio.Task[None] | None = None
        self._opened = asyncio.Event()
        self._connected = asyncio.Event()
        self._closed = asyncio.Event()
        self._connection.on("connectionstatechange", self._state_changed)
        self._connection.on("track", self._track_added)
        self._connection.on("datachannel", self._channel_opened)

    async def answer(self, offer: str) -> str:
        """Take an SDP offer, the first or another; return the answer, all candidates in it.

        Raises:
            BadOffer: it cannot be one.
        """
        connection = self._connection
        try:
            description = RTCSessionDescription(sdp=without_mdns(offer), type="offer")
            await connection.setRemoteDescription(description)
            await connection.setLocalDescription(await connection.createAnswer())
        except Exception as error:  # whatever the library stumbles over
            raise BadOffer(str(error) or type(error).__name__) from error
        return ask_for_fec(connection.localDescription.sdp)

    async def add(self, candidate: Candidate) -> None:
        """Take a candidate of the caller's.

        Raises:
            BadOffer: it cannot be one, or there have been too many.
        """
        self._candidates += 1
        if self._candidates > _MOST_CANDIDATES:
            raise BadOffer(f"more than {_MOST_CANDIDATES} candidates")
        try:
            found = candidate_from_sdp(candidate.candidate)
            if found.ip.endswith(".local"):
                return  # nobody could look it up; the caller's checks show where it is
            found.sdpMid, found.sdpMLineIndex = candidate.mid, candidate.index
            await self._connection.addIceCandidate(found)
        except Exception as error:  # whatever the library stumbles over
            raise BadOffer(str(error) or type(error).__name__) from error

    def say(self, message: str | bytes) -> None:
        """Send on the control channel; once the caller has opened it, if it has yet to."""
        if self._control is None:
            self._unsaid.append(message)
        elif self._control.readyState == "open":
            self._control.send(message)

    async def flush(self) -> None:
        """Wait, a second at most, until all that was said on the control channel is sent."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_FLUSH):
                await self._opened.wait()
                if self._control is not None and self._control.bufferedAmount:
                    sent = asyncio.Event()
                    self._control.once("bufferedamountlow", sent.set)
                    await sent.wait()

    async def drop_control(self) -> None:
        """Close the control channel once all is sent; the audio goes on."""
        await self.flush()  # or what waits would be stuck, and the closing with it
        channel, self._control = self._control, None
        self._unsaid = deque(maxlen=0)
        if channel is not None:
            channel.close()

    async def wait_connected(self) -> bool:
        """Wait until audio is carried; False: the connection failed."""
        waiting = [asyncio.create_task(each.wait()) for each in (self._connected, self._closed)]
        try:
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waiting:
                each.cancel()
        return not self._closed.is_set()

    async def close(self) -> None:
        """End it; idempotent."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        # The library would never finish a closing that was cancelled halfway.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        closing = asyncio.create_task(self._close_connection())
        _unfinished.add(closing)
        closing.add_done_callback(_unfinished.discard)
        await asyncio.wait((closing,), timeout=_CLOSE_TIMEOUT)
        await self.path.stop()
        self.uplink.stop()
        self._closed.set()

    async def _close_connection(self) -> None:
        try:
            await self._connection.close()
        except Exception as error:  # whatever the library stumbles over
            _logger.info("a connection was not closed properly: %s", type(error).__name__)

    async def vanish(self) -> None:
        """End it without a word, as a server does that loses its power."""
        self.path.cut()
        await self.close()

    async def wait_closed(self) -> None:
        """Wait for its end."""
        await self._closed.wait()

    def _state_changed(self) -> None:
        match self._connection.connectionState:
            case "connected":
                self._connected.set()
            case "failed" | "closed":
                self._closed.set()

    def _track_added(self, track: MediaStreamTrack) -> None:
        for transceiver in self._connection.getTransceivers():
            if transceiver.receiver.track is track:
                tap(transceiver.receiver, self.uplink.receive)

    def _channel_opened(self, channel: RTCDataChannel) -> None:
        if channel.label == CONTROL:
            self._control = channel
            channel.on("message", self._channel_said)
            self._opened.set()
            while self._unsaid:
                self.say(self._unsaid.popleft())

    def _channel_said(self, message: str | bytes) -> None:
        if isinstance(message, str) and len(message) <= _MOST_TEXT:
            self._told(message)


def tap(receiver: RTCRtpReceiver, received: Received) -> None:
    """Have a receiver hand packets over as they arrive.

    Its own buffer would hold them for 80 ms, and after a lost one for 280 ms.
    """
    if not hasattr(receiver, _TAP):
        raise RuntimeError("this version of aiortc keeps its jitter buffer elsewhere")
    setattr(receiver, _TAP, _Tap(received))


class _Tap:
    """Takes the place of a receiver's jitter buffer."""

    def __init__(self, received: Received) -> None:
        self._received = received

    def add(self, packet: RtpPacket) -> tuple[bool, None]:
        self._received(packet.sequence_number, packet.timestamp, packet.payload)
        return False, None  # no picture to ask for, and nothing to decode


class _Paced(MediaStreamTrack):
    """A packet every 20 ms, by the event loop's clock."""

    kind = "audio"

    def __init__(self, next_packet: Callable[[], bytes]) -> None:
        super().__init__()
        self._next_packet = next_packet
        self._due: float | None = None
        self._sent = 0  # frames, those that were left out included

    async def recv(self) -> Any:  # aiortc's own says frames only, its sender takes packets
        loop = asyncio.get_running_loop()
        if self._due is None:
            self._due = loop.time()
        wait = self._due - loop.time()
        if wait > 0:
            await asyncio.sleep(wait)
        elif -wait > _LATE:
            late = int(-wait / _FRAME)
            self._due += late * _FRAME
            self._sent += late
        if self.readyState != "live":
            raise MediaStreamError
        packet = Packet(self._next_packet())
        packet.pts = self._sent * CLOCK * FRAME_MS // 1000
        packet.time_base = Fraction(1, CLOCK)
        self._due += _FRAME
        self._sent += 1
        return packet
