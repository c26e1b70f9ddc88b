"""WAV files: PCM, float and G.711, plain, extensible or RF64.

Headers are not trusted. Programs that write to a pipe cannot know the sizes in it and put 0 or the
largest number there; others forget the byte that pads an odd chunk; and files are cut off.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from io import RawIOBase

from retell_voice.devices.sound_files import pcm
from retell_voice.devices.sound_files.pcm import ByteStream, Encoding, PcmReader

_UNKNOWN = 0x7FFF_0000
"""Sizes from here on, and 0, mean "up to the end": 2³²−1 of ffmpeg, 2³¹−4096 of sox and espeak."""
_LARGEST_CHUNK = 2**28  # before the audio: pictures, for example
_PIECE = 2**16
_AT_ONCE = 2**20  # room is made for all that a read may return
_IDS = frozenset(
    each.encode()
    for each in (
        *("fmt ", "data", "fact", "LIST", "ds64", "JUNK", "junk", "PEAK", "bext", "cue ", "smpl"),
        *("id3 ", "ID3 ", "iXML", "axml", "chna", "inst", "acid", "FLLR", "PAD ", "levl", "_PMX"),
    )
)
_PCM, _FLOAT, _ALAW, _MULAW, _EXTENSIBLE = 1, 3, 6, 7, 0xFFFE


class NoWav(Exception):
    """It is no WAV file, or not a whole one; says why."""


class OtherCodec(Exception):
    """It is a WAV file, of something that is not read here: ADPCM, GSM, MP3."""


class Rereadable:
    """A file without a buffer, which may be a pipe; takes bytes back."""

    def __init__(self, file: RawIOBase) -> None:
        self._file = file
        self._back = b""

    def read(self, count: int, /) -> bytes:
        """Return this many bytes; fewer only at the end."""
        data, self._back = self._back[:count], self._back[count:]
        parts, left = [data], count - len(data)
        while left and (more := self._file.read(min(left, _AT_ONCE))):
            parts.append(more)
            left -= len(more)
        return b"".join(parts)

    def put_back(self, data: bytes) -> None:
        """Return these bytes before all others."""
        self._back = data + self._back

    def peek(self, count: int) -> bytes:
        """Return the next bytes, which stay."""
        self.put_back(data := self.read(count))
        return data


def open_wav(stream: Rereadable, length: int | None, close: Callable[[], None]) -> PcmReader:
    """Return a reader of a WAV file's audio.

    Args:
        stream: at its first byte.
        length: bytes of the file, None if unknown, as of a pipe.
        close: closes the stream.

    Raises:
        NoWav, OtherCodec: see there.
    """
    stream.read(12)  # RIFF, size, WAVE: the caller has looked
    at = 12
    layout: tuple[Encoding, int, int] | None = None
    long_size = 0
    while True:
        head = stream.read(8)
        if len(head) < 8:
            raise NoWav("it ends before the audio begins")
        name, size = struct.unpack("<4sI", head)
        at += 8
        if name == b"data":
            break
        content = _content(stream, name, size)
        at += size + _pad(stream, size)
        if name == b"fmt ":
            layout = _layout(content)
        elif name == b"ds64" and len(content) >= 16:
            (long_size,) = struct.unpack("<Q", content[8:16])
    if layout is None:
        raise NoWav("it does not say how its audio is encoded")
    encoding, rate, channels = layout
    is_long = size == 2**32 - 1 and 0 < long_size < 2**63
    stated: int | None = long_size if is_long else size
    if not is_long and (size >= _UNKNOWN or (size == 0 and stream.peek(4) not in _IDS)):
        stated = None
    missing = 0
    if stated is not None and length is not None and stated > length - at:
        stated, missing = length - at, stated - (length - at)
    return PcmReader(stream, encoding, rate, channels, size=stated, missing=missing, close=close)


def _content(stream: ByteStream, name: bytes, size: int) -> bytes:
    """Read a chunk; of one that says nothing here, the first bytes only are kept."""
    if size > _LARGEST_CHUNK:
        raise NoWav(f"a chunk of {size} bytes is before the audio")
    content = stream.read(min(size, _PIECE))
    left = size - len(content)
    while left > 0 and (piece := stream.read(min(left, _PIECE))):
        left -= len(piece)
    if left > 0:
        raise NoWav(f"it ends within its chunk {name.decode('ascii', 'replace')!r}")
    return content


def _pad(stream: Rereadable, size: int) -> int:
    """Skip the byte after a chunk of odd size, if it is there; return its length."""
    if size % 2 == 0:
        return 0
    ahead = stream.peek(5)
    if ahead[:4] in _IDS and ahead[1:5] not in _IDS:
        return 0
    return len(stream.read(1))


def _layout(fmt: bytes) -> tuple[Encoding, int, int]:
    """Return encoding, rate and channels.

    Raises:
        NoWav, OtherCodec: see there.
    """
    if len(fmt) < 16:
        raise NoWav("it does not say how its audio is encoded")
    tag, channels, rate, _, block, bits = struct.unpack("<HHIIHH", fmt[:16])
    if tag == _EXTENSIBLE and len(fmt) >= 26:
        (tag,) = struct.unpack("<H", fmt[24:26])
    if not channels:
        raise NoWav("it has no channels")
    width = (bits + 7) // 8
    if block % channels == 0 and width < block // channels <= 8:
        width = block // channels  # 20 bits in 4 bytes, for example
    encoding = _encoding(tag, width)
    if encoding is None:
        raise OtherCodec(f"codec 0x{tag:04x}, {bits} bits a sample")
    return encoding, rate, channels


def _encoding(tag: int, width: int) -> Encoding | None:
    if tag == _PCM and 1 <= width <= 8:
        return pcm.U8 if width == 1 else pcm.linear(width)
    if tag == _FLOAT and width in (4, 8):
        return pcm.floating(width)
    if tag in (_ALAW, _MULAW) and width == 1:
        return pcm.ALAW if tag == _ALAW else pcm.MULAW
    return None
