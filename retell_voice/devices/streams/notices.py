"""What devices have to tell, and how it leaves their threads."""

from __future__ import annotations

from collections.abc import Callable

from retell_voice.errors import DeviceLost
from retell_voice.events import Event


class Audible:
    """A notice: the far end has something to ``poll``."""


Notice = bytes | Event | DeviceLost | Audible
"""A frame, an event without its time, the end of a device, or that there is news of playout."""

Post = Callable[[Notice], None]
"""Hands a notice to the event loop; called on any thread, neither blocks nor raises."""
