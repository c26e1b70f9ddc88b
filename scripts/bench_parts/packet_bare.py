"""The floor of a web call: aiortc with a pass-through buffer, and two PortAudio callbacks.

Nothing waits for late packets, nothing conceals lost ones; blocks of 10 ms, frames of 20 ms, and
aiortc's own codecs. What it reaches on a calm network is about what can be reached on a machine.

    python scripts/bench_parts/packet_bare.py URL CALL_ID
"""

from __future__ import annotations

import asyncio
import json
import sys
import urllib.request
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
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame

from bench_parts.bare_card import BareCard

_RATE = 48000
_MOST = 2 * 2 * _RATE // 50
"""Bytes of two frames. If more waited after a burst, all that follows would be late."""


class PassThrough:
    """Hands each packet to aiortc's decoder as it comes."""

    capacity = 16

    def add(self, packet: Any) -> tuple[bool, Any]:
        return False, JitterFrame(data=packet._data, timestamp=packet.timestamp)


class Microphone(MediaStreamTrack):
    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self.frames: asyncio.Queue[bytes] = asyncio.Queue()
        self._sent = 0

    async def recv(self) -> Any:
        data = await self.frames.get()
        frame = AudioFrame.from_ndarray(np.frombuffer(data, np.int16)[None], "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = _RATE, self._sent, Fraction(1, _RATE)
        self._sent += len(data) // 2
        return frame


async def run(url: str, call_id: str) -> None:
    """Hold a call until the gateway closes it."""
    microphone, over = Microphone(), asyncio.Event()
    card = BareCard(_RATE, microphone.frames.put_nowait)
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(microphone)
    peer.createDataChannel("control")
    (transceiver,) = peer.getTransceivers()
    setattr(transceiver.receiver, "_RTCRtpReceiver__jitter_buffer", PassThrough())  # noqa: B010

    async def play(track: MediaStreamTrack) -> None:
        try:
            while True:
                frame: Any = await track.recv()
                card.playing.append(frame.to_ndarray()[0, ::2].tobytes())
                while sum(map(len, card.playing)) > _MOST:
                    card.playing.popleft()
        except MediaStreamError:
            over.set()

    players = set[asyncio.Task[None]]()
    peer.on("track", lambda track: players.add(asyncio.create_task(play(track))))
    await peer.setLocalDescription(await peer.createOffer())
    body = json.dumps({"identity": "client", "sdp": peer.localDescription.sdp}).encode()
    sessions = f"{url}/webrtc-proxy/{call_id}/v1/webrtc/sessions"
    request = urllib.request.Request(sessions, body, {"Content-Type": "application/json"})
    answer = await asyncio.to_thread(lambda: json.load(urllib.request.urlopen(request)))
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))

    with card:
        await over.wait()
    await peer.close()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
