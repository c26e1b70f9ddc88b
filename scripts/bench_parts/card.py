"""The card that is measured on, and how PortAudio gets to it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from support.card import VirtualCard

ROUTES = ("pipewire", "pulse")
"""ALSA's ways to the sound server. ``pipewire`` is what a desktop with PipeWire has
(pipewire-alsa); ``pulse``, its way to PulseAudio, is some 15 ms slower each way."""


@contextmanager
def measured_card(route: str = "pipewire") -> Iterator[VirtualCard]:
    """Start a card that PortAudio reaches by that route, and by no other.

    Raises:
        CardError: it does not come up, or programs it needs are missing.
    """
    with VirtualCard() as card:
        card.env = card.through(route)
        yield card
