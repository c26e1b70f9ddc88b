"""Whether a compressed file was cut off, by how its container ends."""

from __future__ import annotations

import os
import struct
from typing import BinaryIO

_OGG_PAGE = 27 + 255 + 255 * 255
"""Bytes of the longest page of an Ogg file."""
_LAST_PAGE = 0x04
_UNKNOWN = 0x7F00_0000
"""Sizes from here on are of files that were written to a pipe."""


def ends_early(file: BinaryIO) -> bool:
    """Tell whether less is there than the container says; leaves the file at its beginning."""
    head = file.read(12)
    length = file.seek(0, os.SEEK_END)
    try:
        if head[:4] == b"OggS":
            file.seek(max(0, length - 2 * _OGG_PAGE))
            return _lacks_last_page(file.read())
        if head[:4] == b"FORM" and head[8:12] in (b"AIFF", b"AIFC"):
            size: int = struct.unpack(">I", head[4:8])[0]
            return length < 8 + size < _UNKNOWN
        return False
    finally:
        file.seek(0)


def _lacks_last_page(end: bytes) -> bool:
    """Tell whether the last page of an Ogg file is not whole, or not marked as the last one."""
    at = end.rfind(b"OggS")
    if at < 0 or at + 27 > len(end):
        return True
    lengths = end[at + 27 : at + 27 + end[at + 26]]
    is_whole = at + 27 + end[at + 26] + sum(lengths) <= len(end)
    return not is_whole or not end[at + 5] & _LAST_PAGE
