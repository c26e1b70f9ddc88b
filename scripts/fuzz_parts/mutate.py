"""Inputs made of others: where there is no atheris, which knows what code an input reaches."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_WORDS = (
    *(b'"', b"{", b"}", b"[", b"]", b",", b":", b"null", b"NaN", b"1e999", b"-0", b"9" * 400),
    *(b"\\u0000", b"\\ud800", b"\xff", b"\x00", b"\r\n\r\n", b"\x1b[31m", b"\xe2\x80\xae"),
    *(b"transcript", b"content", b"event_type", b"=", b"[[step]]", b"\x00\xff\x00"),
    *(b"Content-Length: 5", b"chunked", b"[" * 200),
)


def mutations(seeds: Sequence[bytes], dice: random.Random) -> Iterator[bytes]:
    """Yield inputs without end, each a few changes away from one or two of the seeds."""
    while True:
        data = bytearray(dice.choice(seeds))
        for _ in range(dice.choice((1, 1, 2, 3, 8))):
            _change(data, seeds, dice)
        yield bytes(data)


def _change(data: bytearray, seeds: Sequence[bytes], dice: random.Random) -> None:
    at = dice.randrange(len(data) + 1)
    end = min(len(data), at + dice.choice((1, 1, 4, 32)))
    match dice.randrange(6):
        case 0:
            data[at:end] = dice.randbytes(end - at)
        case 1:
            del data[at:end]
        case 2:
            data[at:at] = dice.choice(_WORDS)
        case 3:
            data[at:end] = dice.choice(_WORDS)
        case 4:
            data[at:at] = data[at:end] * dice.choice((1, 2, 50))
        case _:
            other = dice.choice(seeds)
            start = dice.randrange(len(other) + 1)
            data[at:] = other[start : start + 4096]
