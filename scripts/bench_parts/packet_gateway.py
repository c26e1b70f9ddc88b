"""The gateway of a measured web call: it speaks recorded speech and notes every packet's time.

::

    Speech ─▶ Voice ─▶ aiortc ─▶ relay ─▶ caller        the same packets, at once, to all callers
    Arrivals ◀─ tap ◀─ aiortc ◀─ relay ◀─ caller
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from av.packet import Packet
from support.gateway import Gateway, Session

from bench_parts.listen import sounds
from bench_parts.packet_relay import Relay, first_host, redirected
from bench_parts.packet_weather import FRAME, Fate
from retell_voice.audio.format import Samples
from retell_voice.audio.opus import OpusDecoder, OpusEncoder
from retell_voice.emulator.recordings import CALLER, GREETING, load_speech
from retell_voice.transport.webrtc.media import JITTER_BUFFER

RATE = 48000
SIZE = round(FRAME * RATE)
_PAUSE = 0.15
_TIME_BASE = Fraction(1, RATE)


def recorded_speech(seconds: float) -> Samples:
    """Return speech that pauses for 0.15 s at most, over and over until the time is up."""
    pause = round(_PAUSE * RATE)
    parts: list[Samples] = []
    for path in (GREETING, CALLER):
        said = load_speech(path, RATE).samples
        for begin, end in sounds(said, pause):
            parts += [said[max(0, begin - pause // 2) : end + pause // 2]]
    return np.resize(np.concatenate(parts), round(seconds * RATE))


class Speech:
    """What every caller is told, as packets of 20 ms, on one clock; silence until it starts.

    Args:
        samples: what is said, shape (n,), 48 kHz.
        endless: say it again and again.
    """

    def __init__(self, samples: Samples, *, endless: bool = False) -> None:
        encoder = OpusEncoder(RATE)
        whole = np.pad(samples, (0, -len(samples) % SIZE)).reshape(-1, SIZE)
        silence = OpusEncoder(RATE)
        self._silence = [silence.encode(np.zeros(SIZE, np.int16)) for _ in range(5)][-1]
        self.packets = [encoder.encode(each) for each in whole]
        self._began = time.monotonic()
        self._first: int | None = None
        self._endless = endless

    @property
    def seconds(self) -> float:
        """How long it is."""
        return len(self.packets) * FRAME

    def perfectly_heard(self) -> Samples:
        """Return it as whoever gets every packet hears it."""
        decoder = OpusDecoder(RATE)
        return np.concatenate([decoder.decode(each).copy() for each in self.packets])

    def start(self) -> float:
        """Begin in half a second; return when the first packet is sent (monotonic)."""
        self._first = self.tick + round(0.5 / FRAME)
        return self.due(self._first)

    @property
    def tick(self) -> int:
        """The number of packets sent so far, silence included."""
        return int((time.monotonic() - self._began) / FRAME) + 1

    def due(self, tick: int) -> float:
        """Return when a packet is sent (monotonic)."""
        return self._began + tick * FRAME

    def number(self, tick: int) -> int:
        """Return which packet of the speech that is; negative before it starts."""
        return -1 if self._first is None else tick - self._first

    def payload(self, tick: int) -> bytes:
        """Return the packet that is sent then."""
        number = self.number(tick)
        if self._endless and number >= 0:
            number %= len(self.packets)
        return self.packets[number] if 0 <= number < len(self.packets) else self._silence


class Voice(MediaStreamTrack):
    """The speech, from the moment at which somebody listens."""

    kind = "audio"

    def __init__(self, speech: Speech) -> None:
        super().__init__()
        self.first: int | None = None
        """The tick of the first packet."""
        self.count = 0
        self._speech = speech

    async def recv(self) -> Any:
        if self.readyState != "live":
            raise MediaStreamError
        if self.first is None:
            self.first = self._speech.tick
        tick = self.first + self.count
        await asyncio.sleep(self._speech.due(tick) - time.monotonic())
        self.count += 1
        packet: Any = Packet(self._speech.payload(tick))
        packet.pts, packet.time_base = tick * SIZE, _TIME_BASE
        return packet


@dataclass
class Arrivals:
    """The packets of one caller: monotonic time, sequence number, payload; a jitter buffer to
    aiortc, which gets nothing from it."""

    packets: list[tuple[float, int, bytes]] = field(default_factory=list)
    keep: bool = True
    count: int = 0
    first: float = 0.0
    last: float = 0.0
    begun: asyncio.Event = field(default_factory=asyncio.Event)
    capacity = 16

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet."""
        now = time.monotonic()
        self.first, self.last = self.first or now, now
        self.count += 1
        self.begun.set()
        if self.keep:
            self.packets.append((now, packet.sequence_number, packet.payload))
        return False, None

    def clicks(self, loud: int = 3000, apart: float = 0.2) -> list[float]:
        """Return when packets arrived in which a click begins."""
        decoder, found = OpusDecoder(RATE), [-1.0]
        for at, _, payload in self.packets:
            try:
                samples = decoder.decode(payload)
            except ValueError:
                continue
            if np.abs(samples.astype(np.int32)).max() > loud and at - found[-1] > apart:
                found.append(at)
        return found[1:]


class MeasuredGateway(Gateway):
    """A gateway for one caller, behind a relay.

    Args:
        speech: what it says.
        fate: what happens to a packet of the speech.
    """

    def __init__(self, speech: Speech, fate: Callable[[int], Fate]) -> None:
        super().__init__()
        self.relay: Relay | None = None
        self.arrivals = Arrivals()
        self._joined = asyncio.Event()
        self._speech, self._fate_of = speech, fate

    def expect_another(self) -> None:
        """Wait anew in ``until_it_speaks``: the last caller has gone."""
        self._joined.clear()

    @property
    def peer(self) -> RTCPeerConnection:
        """The connection with the caller."""
        return self.sessions[-1].peer

    async def until_it_speaks(self, within: float = 20.0) -> None:
        """Wait for the caller's first packet.

        Raises:
            TimeoutError: it does not come.
        """
        async with asyncio.timeout(within):
            await self._joined.wait()
            await self.arrivals.begun.wait()

    async def _join(self, body: dict[str, str]) -> dict[str, str]:
        self.arrivals = Arrivals(keep=self.arrivals.keep)
        peer, voice = RTCPeerConnection(RTCConfiguration(iceServers=[])), Voice(self._speech)

        def tap(_: MediaStreamTrack) -> None:
            for each in peer.getTransceivers():
                setattr(each.receiver, JITTER_BUFFER, self.arrivals)

        peer.on("track", tap)
        # ICE learns the real address, the relay's, from what comes from there.
        nobody = redirected(body["sdp"], ("127.0.0.1", 9))
        await peer.setRemoteDescription(RTCSessionDescription(nobody, "offer"))
        peer.addTrack(voice)
        await peer.setLocalDescription(await peer.createAnswer())
        answer = peer.localDescription.sdp
        if self.relay is not None:
            self.relay.close()
        self.relay = await Relay.open(
            first_host(answer),
            lambda: voice.first or 0,
            lambda tick: self._fate_of(self._speech.number(tick)),
        )
        self._joined.set()
        self.sessions.append(Session(peer, voice, body["sdp"]))  # type: ignore[arg-type]
        return {
            "session_id": str(len(self.sessions) - 1),
            "sdp": redirected(answer, self.relay.address),
        }


def by_phase(fates: Sequence[Fate]) -> Callable[[int], Fate]:
    """Return what happens to a packet by its number; 0: nothing, before and after."""
    return lambda number: fates[number] if 0 <= number < len(fates) else 0.0
