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
from collections import deque
from fractions import Fraction
from typing import Any

import numpy as np
import sounddevice as sd
from aiortc import (
    MediaStreamError,
    MediaStreamTrack,
    RTCConfiguration,
    RTCPeerConnection,
    RTCSessionDescription,
)
from aiortc.jitterbuffer import JitterFrame
from av import AudioFrame

_RATE = 48000
_FRAME = 2 * _RATE // 50  # bytes
_MOST = 2 * _FRAME  # bytes waiting to be played: what comes in a burst would delay all that follows


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
    loop = asyncio.get_running_loop()
    heard, playing = bytearray(), deque[bytes]()
    rest = b""
    microphone, over = Microphone(), asyncio.Event()
    peer = RTCPeerConnection(RTCConfiguration(iceServers=[]))
    peer.addTrack(microphone)
    peer.createDataChannel("control")
    (transceiver,) = peer.getTransceivers()
    setattr(transceiver.receiver, "_RTCRtpReceiver__jitter_buffer", PassThrough())  # noqa: B010

    async def play(track: MediaStreamTrack) -> None:
        try:
            while True:
                frame: Any = await track.recv()
                playing.append(frame.to_ndarray()[0, ::2].tobytes())
                while sum(map(len, playing)) > _MOST:
                    playing.popleft()
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

    def take(block: bytes) -> None:
        heard.extend(block)
        while len(heard) >= _FRAME:
            microphone.frames.put_nowait(bytes(heard[:_FRAME]))
            del heard[:_FRAME]

    def capture_rt(data: Any, *_: Any) -> None:
        loop.call_soon_threadsafe(take, bytes(data))

    def play_rt(out: Any, *_: Any) -> None:
        nonlocal rest
        data = rest
        while len(data) < len(out) and playing:
            data += playing.popleft()
        rest = data[len(out) :]
        out[:] = data[: len(out)].ljust(len(out), b"\0")

    settings = {"samplerate": _RATE, "channels": 1, "dtype": "int16", "latency": "low"}
    settings["blocksize"] = _RATE // 100
    with (
        sd.RawOutputStream(callback=play_rt, **settings),
        sd.RawInputStream(callback=capture_rt, **settings),
    ):
        await over.wait()
    await peer.close()


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], sys.argv[2]))
