"""What tests of registered calls share."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Awaitable, Callable

from support.rest import answer

from retell_voice.emulator import RegisteredCall

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Awaitable[Result]]
KEY = "key_1234567890abcdef"
AGENT = ("--agent", "agent_1")
OLD = ("--transport", "websocket")
WITH_KEY = {"RETELL_API_KEY": KEY}
TOLD = (
    *("--agent-version", "7", "--direction", "inbound", "--from-number", "+15550001"),
    *("--to-number", "+15550002", "--end-call-after-silence-ms", "30000"),
    *("--dynamic-variable", "name=Ann", "--metadata", "order=17"),
)
"""Options that tell a new call all there is to tell."""
HEARD = (7, "inbound", "+15550001", "+15550002", 30_000, {"name": "Ann"}, {"order": "17"})
"""What is ``heard`` of them."""


def said(status: int, body: object) -> bytes:
    """An answer of a REST API."""
    return answer(json.dumps(body).encode(), f"{status} X")


def heard(call: RegisteredCall) -> tuple[object, ...]:
    """What a call was told."""
    numbers = (call.direction, call.from_number, call.to_number)
    pairs = (call.dynamic_variables, call.metadata)
    return (call.agent_version, *numbers, call.end_call_after_silence_ms, *pairs)
