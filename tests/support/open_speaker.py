"""A virtual card whose speaker is heard by its microphone, and somebody who speaks in its room.

::

    program ─▶ vspk ─▶ the room's response (filter-chain) ─▶ micfeed ─▶ vmic ─▶ program
                                    Mouth: voice and noise ─────┘
"""

from __future__ import annotations

import contextlib
import fcntl
import subprocess
import sys
import tempfile
import termios
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray
from support.card import CardError, VirtualCard
from support.pacat import Pacat
from support.recorder import RATE
from support.rooms import NOISE_RMS, Room

from retell_voice.audio.format import Samples
from retell_voice.devices.files import WavWriter

_PERIOD = 0.01
_POLL = 0.002
_TIMEOUT = 10.0
_CONF = """\
context.spa-libs = {
    audio.convert.* = audioconvert/libspa-audioconvert
    support.* = support/libspa-support
}
context.modules = [
    { name = libpipewire-module-rt flags = [ ifexists nofail ] }
    { name = libpipewire-module-protocol-native }
    { name = libpipewire-module-client-node }
    { name = libpipewire-module-adapter }
    { name = libpipewire-module-filter-chain
      args = {
        filter.graph = { nodes = [ {
            type = builtin
            label = convolver
            name = room
            config = { filename = "@RESPONSE@" blocksize = 480 tailsize = 4096 }
        } ] }
        capture.props = {
          node.name = room_in
          node.target = vspk
          stream.capture.sink = true
          audio.position = [ FL ]
          node.passive = true
        }
        playback.props = {
          node.name = room_out
          node.target = micfeed
          audio.position = [ MONO ]
        }
      } }
]
"""


@contextlib.contextmanager
def in_room(card: VirtualCard, room: Room) -> Iterator[None]:
    """Let a card's microphone hear its speaker as in that room; drift and distortion left out.

    Raises:
        CardError: it does not come up.
    """
    with tempfile.TemporaryDirectory() as folder:
        wav, conf = Path(folder) / "response.wav", Path(folder) / "room.conf"
        writer = WavWriter(wav, RATE)
        writer.write(np.rint(room.response(RATE) * 32767).astype(np.int16))
        writer.close()
        conf.write_text(_CONF.replace("@RESPONSE@", str(wav)))
        process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", "pipewire", "-c", str(conf)],
            env=card.env,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            _wait_for_link(card, process)
            yield
        finally:
            process.terminate()
            process.wait(_TIMEOUT)


def _wait_for_link(card: VirtualCard, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + _TIMEOUT
    while not card.nodes("sink-inputs"):
        if process.poll() is not None or time.monotonic() > deadline:
            raise CardError("the room does not come up: does PipeWire have filter-chain?")
        time.sleep(0.02)  # a poll with a deadline


class Mouth(Pacat):
    """Speaks into a card's microphone, in the noise of its room; a context manager.

    Args:
        card: whose microphone.
        noise: RMS of the room's noise.
    """

    def __init__(self, card: VirtualCard, noise: float = NOISE_RMS) -> None:
        super().__init__(card, "micfeed", RATE, latency_ms=20)
        self._noise = np.random.default_rng(5).normal(0, noise, 10 * RATE)
        self._to_say: NDArray[np.int16] = np.zeros(0, np.int16)
        self._lock = threading.Lock()

    def say(self, samples: Samples) -> float:
        """Begin to say something, 48 kHz; return when (monotonic), to 10 ms."""
        with self._lock:
            self._to_say = samples
        return time.monotonic()

    def speak(self, pipe: IO[bytes]) -> None:
        size, at = round(_PERIOD * RATE), 0
        while not self.is_over:
            # What lies in the pipe is heard late, for good: half a second from the start alone.
            if _unread(pipe) >= 2 * size:
                time.sleep(_POLL)
                continue
            block = self._noise[at : at + size].copy()
            at = (at + size) % len(self._noise)
            with self._lock:
                said, self._to_say = self._to_say[:size], self._to_say[size:]
            block[: len(said)] += said
            pipe.write(np.clip(np.rint(block), -32768, 32767).astype(np.int16).tobytes())


def _unread(pipe: IO[bytes]) -> int:
    """Return how many bytes in a pipe its reader has not taken yet."""
    answer = fcntl.ioctl(pipe, termios.FIONREAD, bytes(4))
    return int.from_bytes(answer, sys.byteorder)
