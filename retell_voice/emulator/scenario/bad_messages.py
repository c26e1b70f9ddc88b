"""What no server should say, by name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

HUGE_TEXT = "huge_text"

GARBAGE: Mapping[str, Callable[[int], str | bytes]] = {
    "invalid_json": lambda _: '{"event_type": "update", "transcript": [{"role"',
    "wrong_json": lambda _: '{"event_type": "update", "transcript": 17, "turntaking": "nobody"}',
    "deep_json": lambda _: '{"event_type": "update", "transcript": ' + "[" * 100_000,
    "broken_base64": lambda _: '{"text": "Hello", "audio": "this is no base64!"}',
    "unknown_event": lambda _: '{"event_type": "weather", "weather": {"rain": true}}',
    "unknown_text": lambda _: "what is this?",
    "empty_text": lambda _: "",
    HUGE_TEXT: lambda size: "x" * size,
    "invalid_utf8": lambda _: b"\xff\xfe is no UTF-8",
    "bad_frame": lambda _: b"\x83\x00",
}
"""Messages by name, of a size in bytes where they have one. The last two a WebSocket client
must not survive: a text frame that is not UTF-8, and a frame of an opcode there is not."""
