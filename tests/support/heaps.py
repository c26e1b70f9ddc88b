"""The heaps that glibc has given threads of a process, seen from outside."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

_RESERVED = 1 << 26
"""Bytes of address space that glibc reserves for each on 64 bits, and by which they are aligned."""

ARE_SEEN = Path("/proc/self/maps").exists()
needs_them = pytest.mark.skipif(not ARE_SEEN, reason="memory is mapped in /proc")


def heaps_of_threads(pid: int) -> list[int]:
    """Return where each begins. The process's own heap, which threads can share, is not one."""
    maps = []
    for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
        begin, end = (int(each, 16) for each in line.partition(" ")[0].split("-"))
        fields = line.split()
        maps.append((begin, end, fields[1], "".join(fields[5:])))
    return [
        begin
        for (begin, end, used, name), (begin_rest, end_rest, rest, _) in pairwise(maps)
        if begin % _RESERVED == 0
        and (used, name, rest) == ("rw-p", "", "---p")
        and (begin_rest, end_rest) == (end, begin + _RESERVED)
    ]
