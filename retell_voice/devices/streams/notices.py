"""Notices from devices, and how they leave their threads."""

from __future__ import annotations

from collections.abc import Callable

from retell_voice.errors import DeviceLost
from retell_voice.events import Event


class Audible:
    """A notice: the far end has something to ``poll``."""


Notice = bytes | Event | DeviceLost | Audible
"""A frame, an event without its time, the end of a device, or news from the playout."""

Post = Callable[[Notice], None]
"""Hands a notice to the event loop; callable on any thread, neither blocks nor raises."""
