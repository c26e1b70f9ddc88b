"""The card that is measured on, and how PortAudio gets to it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

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
    with tempfile.TemporaryDirectory() as folder, VirtualCard() as card:
        conf = Path(folder) / "asound.conf"
        conf.write_text(
            "".join(
                f"{kind}.{name} {{ type {route} }}\n"
                for kind, name in [
                    ("pcm", route),
                    ("ctl", route),
                    ("pcm", "!default"),
                    ("ctl", "!default"),
                ]
            )
        )
        card.env["ALSA_CONFIG_PATH"] = str(conf)
        yield card
