"""In which dialect a call is answered on its WebSocket.

A new dialect needs a function here and a line in ``DIALECTS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.protocol.dialect import ServerDialect
from retell_voice.protocol.web import WebServer

Query: TypeAlias = Mapping[str, list[str]]
"""The query of the URL that a caller dialled."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a caller is answered.

    Attributes:
        dialect: what is spoken, new for each caller.
        updates, alignment: what the caller asked for.
    """

    dialect: ServerDialect
    updates: bool = False
    alignment: bool = False


def _web(call: RegisteredCall, query: Query) -> Answer:
    alignment = _flag(query, "enable_audio_alignment")
    return Answer(
        WebServer(call.audio.sample_width, alignment=alignment),
        updates=_flag(query, "enable_update"),
        alignment=alignment,
    )


DIALECTS: Mapping[str, Callable[[RegisteredCall, Query], Answer]] = {"web": _web}
"""Those spoken here, by ``audio_websocket_protocol``."""


def _flag(query: Query, name: str) -> bool:
    return query.get(name, ["false"])[-1].lower() in ("true", "1")
