"""A microphone and a speaker behind a serial line: a UART, or USB to a board with I²S.

python examples/serial_audio.py CALL_ID URL /dev/ttyUSB0

What goes over the line, the same both ways, mono s16le at 16 kHz (512 kbit/s: use 921600 baud or
more, or USB)::

    A5 5A  length (2 bytes, little-endian)  samples  checksum (1 byte: the sum of those bytes)

The board asks: it plays a block, and sends one that it recorded, every 10 ms. We answer each of
its frames with one to play. So its crystal is the clock of both directions, and nothing piles up
on the way. A frame that noise has broken is left out; the next one is found by its mark. A board
that is unplugged does not end the call: it goes on when the board is back.
"""

import argparse
import asyncio
import os
import select
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import suppress

import numpy as np

from retell_voice import AudioFormat, Call, DeviceError, Samples, Sink, Source

RATE = 16000
BLOCK = RATE // 100
AUDIO = AudioFormat(rate=RATE)
MARK = b"\xa5\x5a"
LONGEST = 4096
"""Bytes of samples in a frame; a length beyond that is noise."""
SPEED: int = getattr(termios, "B921600", 921600)  # macOS takes the number itself
POLL = 0.1
"""Seconds within which a thread that waits for the line notices that it is to stop."""


def pack(samples: Samples) -> bytes:
    """Return samples as a frame."""
    data = samples.astype("<i2").tobytes()
    return MARK + len(data).to_bytes(2, "little") + data + bytes([sum(data) & 0xFF])


class Unpacker:
    """Finds the frames in a stream of bytes, whatever the pieces it comes in."""

    def __init__(self) -> None:
        self.broken = 0
        """Frames that were left out."""
        self._held = b""

    def feed(self, data: bytes) -> Iterator[Samples]:
        """Yield the samples of each whole frame."""
        self._held += data
        while True:
            start = self._held.find(MARK)
            if start < 0:
                self._held = self._held[-1:]  # may be the first half of a mark
                return
            self._held = self._held[start:]
            if len(self._held) < 4:
                return
            length = int.from_bytes(self._held[2:4], "little")
            if length > LONGEST or length % 2:
                self._skip()
                continue
            if len(self._held) < length + 5:
                return
            body, check = self._held[4 : 4 + length], self._held[4 + length]
            if sum(body) & 0xFF != check:
                self._skip()
                continue
            self._held = self._held[5 + length :]
            yield np.frombuffer(body, "<i2").astype(np.int16)

    def _skip(self) -> None:
        self.broken += 1
        self._held = self._held[len(MARK) :]


class SerialBoard:
    """The board at the other end of the line; ``microphone`` and ``speaker`` are for a call.

    One thread serves both. It opens the line when the first of them starts, and ends when the
    second stops, or when the line fails: a call then starts them anew until they work.

    Args:
        path: of the line, such as ``/dev/ttyUSB0``.
        speed: a constant of ``termios``.
    """

    def __init__(self, path: str, speed: int = SPEED) -> None:
        self.unpacker = Unpacker()
        self.microphone = SerialMicrophone(self)
        self.speaker = SerialSpeaker(self)
        self._path = path
        self._speed = speed
        self._sink: Sink | None = None
        self._source: Source | None = None
        self._thread: threading.Thread | None = None
        self._stopping = threading.Event()
        self._lock = threading.Lock()

    def attach(self, *, sink: Sink | None = None, source: Source | None = None) -> None:
        """Take one end of a call.

        Raises:
            DeviceError: the line cannot be opened.
        """
        with self._lock:
            if self._thread is None:
                line = open_serial(self._path, self._speed)
                self._stopping = threading.Event()
                self._thread = threading.Thread(
                    target=self._serve, args=(line, self._stopping), daemon=True
                )
                self._thread.start()
            self._sink, self._source = sink or self._sink, source or self._source

    def detach(self, *, microphone: bool) -> None:
        """Let one end go."""
        with self._lock:
            if microphone:
                self._sink = None
            else:
                self._source = None
            if self._sink or self._source or self._thread is None:
                return
            thread, self._thread = self._thread, None
            self._stopping.set()
        thread.join(1.0)

    def _serve(self, line: int, stopping: threading.Event) -> None:
        try:
            while not stopping.is_set():
                if not select.select([line], [], [], POLL)[0]:
                    continue
                data = os.read(line, 4096)
                if not data:
                    raise OSError("it was closed")
                for heard in self.unpacker.feed(data):
                    self._write(line, pack(self._pass_on(heard)), stopping)
        except OSError as error:
            self._fail(f"the serial line failed: {error}", stopping)
        finally:
            os.close(line)

    def _pass_on(self, heard: Samples) -> Samples:
        """Give the call what was heard; return what is to be played."""
        sink, source = self._sink, self._source
        if sink is not None:
            sink.write_rt(heard, len(heard) / RATE)  # sent as soon as it was whole
        block = np.zeros(len(heard), np.int16)
        if source is not None:
            # The board plays what it has, one block, before this one.
            source.fill_rt(block, len(block) / RATE)
        return block

    def _write(self, line: int, frame: bytes, stopping: threading.Event) -> None:
        while frame and not stopping.is_set():
            if select.select([], [line], [], POLL)[1]:
                frame = frame[os.write(line, frame) :]

    def _fail(self, why: str, stopping: threading.Event) -> None:
        with self._lock:
            if stopping.is_set():
                return
            ends = self._sink, self._source
            self._sink = self._source = self._thread = None
        for end in ends:
            if end is not None:
                end.lost(why)


class SerialMicrophone:
    """The board's microphone."""

    name, rate, latency = "serial board", RATE, BLOCK / RATE

    def __init__(self, board: SerialBoard) -> None:
        self._board = board

    def start(self, sink: Sink) -> None:
        """Begin to push what the board records."""
        self._board.attach(sink=sink)

    def stop(self) -> None:
        """Stop."""
        self._board.detach(microphone=True)


class SerialSpeaker:
    """The board's speaker."""

    name, rate, latency = "serial board", RATE, BLOCK / RATE

    def __init__(self, board: SerialBoard) -> None:
        self._board = board

    def start(self, source: Source) -> None:
        """Begin to pull what the board plays."""
        self._board.attach(source=source)

    def stop(self) -> None:
        """Stop."""
        self._board.detach(microphone=False)


def open_serial(path: str, speed: int) -> int:
    """Open a serial line: raw, and never waiting. Returns its descriptor.

    Raises:
        DeviceError: it cannot be opened.
    """
    line = -1
    try:
        line = os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        tty.setraw(line)
        settings = termios.tcgetattr(line)
        settings[2] |= termios.CLOCAL | termios.CREAD  # there is no modem
        settings[4] = settings[5] = speed
        termios.tcsetattr(line, termios.TCSANOW, settings)
        termios.tcflush(line, termios.TCIOFLUSH)  # what is old would only be late
    except (OSError, termios.error) as error:
        if line >= 0:
            os.close(line)
        hint = "is it plugged in, and may you use it? (on Linux: the group dialout)"
        raise DeviceError(f"the serial line {path} cannot be opened: {error}", hint) from error
    return line


async def main(path: str, call_id: str, url: str) -> None:
    """Hold a call through the board."""
    board = SerialBoard(path)
    call = Call(call_id, url=url, audio=AUDIO, microphone=board.microphone, speaker=board.speaker)
    async with call:
        async for event in call:
            print(event)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A call through a board behind a serial line.")
    parser.add_argument("call_id", metavar="CALL_ID", help="registered as s16le at 16000 Hz")
    parser.add_argument("url", metavar="URL")
    parser.add_argument("path", metavar="PATH", help="the serial line, such as /dev/ttyUSB0")
    with suppress(KeyboardInterrupt):  # it hangs up
        asyncio.run(main(**vars(parser.parse_args())))
