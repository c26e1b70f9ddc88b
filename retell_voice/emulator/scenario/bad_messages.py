"""Messages that no server should send, by name. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping

HUGE_TEXT = "huge_text"

BAD_MESSAGES: Mapping[str, Callable[[int], str | bytes]] = {
    "invalid_json": lambda _: '{"event_type": "update", "transcript": [{"role"',
    "wrong_json": lambda _: '{"event_type": "update", "transcript": 17, "turntaking": "nobody"}',
    "deep_json": lambda _: '{"event_type": "update", "transcript": ' + "[" * 100_000,
    "broken_base64": lambda _: '{"text": "Hello", "audio": "this is not base64!"}',
    "unknown_event": lambda _: '{"event_type": "weather", "weather": {"rain": true}}',
    "unknown_text": lambda _: "what is this?",
    "empty_text": lambda _: "",
    HUGE_TEXT: lambda size: "x" * size,
    "invalid_utf8": lambda _: b"\xff\xfe is not UTF-8",
    "bad_frame": lambda _: b"\x83\x00",
}
"""Given a size in bytes, for those that have one. A WebSocket client must fail the connection for
the last two: a text frame that is not UTF-8, and a frame with an unknown opcode."""
