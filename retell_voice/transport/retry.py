"""Backoff: when to retry reaching a server, and how long to wait before."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from itertools import count

from retell_voice.errors import ConnectError, RetellVoiceError

_BASE, _CAP = 0.25, 4.0


def full_jitter(draw: Callable[[], float] = random.random) -> Iterator[float]:
    """Yield seconds to wait before each retry: random from 0 to a bound that doubles.

    Full jitter keeps clients that lost the same server from all coming back at once.

    Args:
        draw: returns random numbers from 0 to 1.
    """
    for attempt in count():
        yield draw() * min(_CAP, _BASE * 2**attempt)


def is_worth_retrying(error: RetellVoiceError) -> bool:
    """Tell whether the same attempt may succeed a moment later."""
    return isinstance(error, ConnectError) and error.temporary
