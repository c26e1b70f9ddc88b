"""The frames in the pipes to a worker and back. Pure.

::

    length of the head (4 bytes, big-endian) │ length of the body (4 bytes) │ head │ body

The head is a JSON object in UTF-8, the body is 16-bit little-endian audio.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

MAX_HEAD = 1 << 20
MAX_BODY = 64 << 20
"""Bytes; more than ten minutes of audio at 48 kHz."""

_LENGTHS = struct.Struct(">II")


class FrameError(ValueError):
    """Not a frame: something else writes to the pipe."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One request or answer."""

    head: Mapping[str, Any]
    body: bytes = b""


def pack(frame: Frame) -> bytes:
    """Return a frame as bytes.

    Raises:
        ValueError: it is too large, or its head is not JSON.
    """
    head = json.dumps(frame.head, ensure_ascii=False).encode("utf-8", "replace")
    if len(head) > MAX_HEAD or len(frame.body) > MAX_BODY:
        raise ValueError(f"a frame of {len(head)} + {len(frame.body)} bytes is too large")
    return b"".join((_LENGTHS.pack(len(head), len(frame.body)), head, frame.body))


class Unpacker:
    """Decodes a stream of bytes into frames."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> list[Frame]:
        """Take the next bytes, any number; return the frames they complete.

        Raises:
            FrameError: these are not frames; the stream is unusable from here on.
        """
        self._held += data
        frames = []
        while (end := self._end()) <= len(self._held):
            start = _LENGTHS.size + _LENGTHS.unpack_from(self._held)[0]
            frames.append(
                Frame(_head(self._held[_LENGTHS.size : start]), bytes(self._held[start:end]))
            )
            del self._held[:end]
        return frames

    def _end(self) -> int:
        """Return where the first frame ends, as far as known."""
        if len(self._held) < _LENGTHS.size:
            return _LENGTHS.size
        head, body = _LENGTHS.unpack_from(self._held)
        if head > MAX_HEAD or body > MAX_BODY:
            raise FrameError(f"a frame of {head} + {body} bytes is too large")
        return int(_LENGTHS.size + head + body)


def _head(data: bytes | bytearray) -> Mapping[str, Any]:
    try:
        head = json.loads(data)
    except ValueError as error:
        raise FrameError(f"the head of a frame is not JSON: {error}") from None
    if not isinstance(head, dict):
        raise FrameError("the head of a frame is not an object")
    return head
