"""A call as JSON, one object per line, for programs to read.

Each object has ``event``, the event's class in snake_case, and all its fields (see
``retell_voice.events``; durations in seconds, levels in dBFS). In addition:

``call``
    the first line: ``call_id`` (masked; null for a web call not created yet),
    ``server``, ``microphone``, ``speaker``, ``transport`` (``webrtc`` or ``websocket``),
    ``encoding``, ``rate``, ``frame_ms``, ``version`` (of this program)
``recorded``
    after ``ended``, with ``--record``: ``path``, the directory of the recording
``call_details``
    after ``ended``, if there is an API key: ``retell_voice.CallDetails`` without ``body`` and
    ``recording_url``, ``call_id`` masked, ``error`` null; or only ``error``, as in ``ended``
``error``
    the only line, or the last, when a call never got as far as ``ended``: ``type``,
    ``message``, ``hint``, ``exit_code``

``ended`` carries its error as ``{"type", "message", "hint"}`` or null. The output is ASCII.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import fields, is_dataclass
from typing import Any

from retell_voice import errors
from retell_voice.errors import RetellVoiceError
from retell_voice.events import Event
from retell_voice.shown import escape_json


def line(event: Event) -> str:
    """Return an event as one line of JSON."""
    kind = name(type(event))
    try:
        return escape_json(json.dumps({"event": kind, **_fields(event)}, allow_nan=False))
    except RecursionError:  # the server's metadata, hundreds of levels deep
        return json.dumps({"event": kind, "at": event.at, "problem": "nested too deep"})


def to_json(value: dict[str, Any]) -> str:
    """Return an object as one line of JSON."""
    return escape_json(json.dumps(plain(value), allow_nan=False))


def error_object(error: RetellVoiceError) -> dict[str, object]:
    """Return an error as an object for JSON."""
    # Of a class that is no one else's business, the one that is documented.
    kinds = (kind.__name__ for kind in type(error).__mro__ if kind.__module__ == errors.__name__)
    return {"type": next(kinds), "message": str(error), "hint": error.hint}


def name(kind: type[Event]) -> str:
    """Return an event's name: ``StateChanged`` is ``state_changed``."""
    return re.sub(r"(?<!^)(?=[A-Z])", "_", kind.__name__).lower()


def _fields(value: Any) -> dict[str, Any]:
    return {each.name: plain(getattr(value, each.name)) for each in fields(value)}


def plain(value: Any) -> Any:
    """Return a value in a form that JSON supports."""
    if isinstance(value, RetellVoiceError):
        return error_object(value)
    if is_dataclass(value):
        return _fields(value)
    if isinstance(value, dict):
        return {str(key): plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [plain(each) for each in value]
    if isinstance(value, float):
        # JSON has no infinity; microseconds are precise enough.
        return round(value, 6) if math.isfinite(value) else None
    return value
