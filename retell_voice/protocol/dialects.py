"""The dialects by their names, and the server's side of those of phone providers.

A new one takes a line in ``PHONES`` here and, for the caller's side, one in ``transport.phone``.
The programs' settings read the names each time they start: a dialect is loaded when it is spoken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retell_voice.protocol.codecs import Codec
    from retell_voice.protocol.dialect import ServerDialect


@dataclass(frozen=True, slots=True)
class Phone:
    """A phone provider's dialect as a server speaks it.

    Attributes:
        server: makes the server's side from the codec of the call's own audio.
        mulaw, linear: sample rates, Hz, that the call's own audio may have in µ-law and in 16-bit
            PCM; what the dialect has on the wire is its own matter.
    """

    server: Callable[[Codec], ServerDialect]
    mulaw: tuple[int, ...]
    linear: tuple[int, ...]


def _side(dialect: str) -> Any:
    """Return a dialect's module."""
    return import_module(f"retell_voice.protocol.{dialect}")


PHONES: Mapping[str, Phone] = {
    "twilio": Phone(
        lambda codec: _side("twilio").TwilioServer(is_mulaw=codec.is_mulaw), (8000,), (8000,)
    ),
    "telnyx": Phone(
        lambda codec: _side("telnyx").TelnyxServer(sends=codec, is_mulaw=codec.is_mulaw),
        (8000,),
        (8000, 16_000, 22_050, 24_000, 48_000),
    ),
    "vonage": Phone(
        lambda codec: _side("vonage").VonageServer(codec=codec), (), (8000, 16_000, 24_000)
    ),
    "plivo": Phone(
        lambda codec: _side("plivo").PlivoServer(codec=codec, is_mulaw=codec.is_mulaw),
        (8000,),
        (8000, 16_000),
    ),
    "exotel": Phone(
        lambda codec: _side("exotel").ExotelServer(codec=codec), (), (8000, 16_000, 24_000)
    ),
}
"""Those of phone providers, by name."""

DIALECTS = ("web", *PHONES)
"""All of them; ``web`` is Retell's own Audio WebSocket, in ``protocol.web``."""
