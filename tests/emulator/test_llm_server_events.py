"""Server events of a call with an LLM server: a line each, for people."""

from typing import Any

import pytest

from retell_voice.emulator.llm.server_events import (
    AgentReconfigured,
    DigitPressed,
    LlmAsked,
    LlmFailed,
    LlmLinkChanged,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    LlmStatistics,
    MetadataForwarded,
    ResponseDropped,
    ResponseOverdue,
    SpeechLost,
    ToolCalled,
    ToolReturned,
    TransferRequested,
    UserTyped,
)
from retell_voice.emulator.server_events import ServerEvent, UserSpoke

LINES = [
    (UserTyped, {"content": "Hi"}, "user types: Hi"),
    (LlmAsked, {"response_id": 3, "reminder": False}, "asked the LLM server for response 3"),
    (LlmAsked, {"response_id": 4, "reminder": True}, "asked the LLM server for reminder 4"),
    (
        ResponseDropped,
        {"number": 3, "interrupt": False, "why": "it is outdated", "so_far": 1},
        "response 3 dropped: it is outdated",
    ),
    (
        ResponseOverdue,
        {"number": 3, "interrupt": False, "begun": False, "seconds": 10.0},
        "response 3 has not come for 10 s",
    ),
    (
        ResponseOverdue,
        {"number": 0, "interrupt": False, "begun": False, "seconds": 10.0},
        "response 0 (the begin message; it may be empty) has not come for 10 s",
    ),
    (
        ResponseOverdue,
        {"number": 3, "interrupt": True, "begun": True, "seconds": 10.0},
        "agent_interrupt 3 is not complete: nothing more came for 10 s; "
        "its last message needs content_complete: true",
    ),
    (
        ResponseOverdue,
        {
            "number": 2,
            "interrupt": False,
            "begun": False,
            "seconds": 1.234,
            "cut_short": "the next turn began",
            "other_ids": (0, 1),
        },
        "response 2 has not come for 1.23 s, the next turn began; what came had response_id 0, 1",
    ),
    (
        LlmStatistics,
        {"asked": 5, "answered": 4, "median_ms": 320.4, "p95_ms": 611.0},
        "the LLM server answered 4 of 5, in 320 ms (median), 95 % within 611 ms",
    ),
    (
        LlmStatistics,
        {"asked": 1, "answered": 0, "median_ms": None, "p95_ms": None},
        "the LLM server answered 0 of 1",
    ),
    (LlmLinkChanged, {"state": "lost", "why": "it broke"}, "LLM server lost: it broke"),
    (LlmLinkChanged, {"state": "back", "why": ""}, "LLM server back"),
    (LlmRetrying, {"why": "nobody listens"}, "nobody listens; retrying"),
    (
        LlmFailed,
        {"why": "error_llm_websocket_open", "words": "nobody listens", "hint": "is it running?"},
        "nobody listens (error_llm_websocket_open); is it running?",
    ),
    (LlmMessageUnknown, {"message": "{}"}, "unknown message from the LLM server: {}"),
    (
        LlmMessageMalformed,
        {"problem": "content is missing", "excerpt": "{}"},
        "message from the LLM server ignored: content is missing: {}",
    ),
    (
        AgentReconfigured,
        {
            "responsiveness": 0.5,
            "interruption_sensitivity": 1.0,
            "reminder_trigger_ms": 8000,
            "reminder_max_count": 2,
        },
        "agent set to responsiveness 0.5, interruption_sensitivity 1, 2 reminders after 8000 ms",
    ),
    (
        ToolCalled,
        {"tool_call_id": "t", "name": "weather", "arguments": '{"city": "Bonn"}'},
        'tool weather called with {"city": "Bonn"}',
    ),
    (ToolReturned, {"tool_call_id": "t", "content": "rain"}, "tool call t returned rain"),
    (
        ToolReturned,
        {"tool_call_id": "t", "content": "no key", "successful": False},
        "tool call t failed with no key",
    ),
    (MetadataForwarded, {"metadata": {"a": "ü"}}, 'metadata: {"a": "ü"}'),
    (TransferRequested, {"number": "+1555"}, "transfer to +1555 requested"),
    (
        TransferRequested,
        {"number": "+1555", "show_transferee_as_caller": True},
        "transfer to +1555 requested, showing the transferee as caller",
    ),
    (DigitPressed, {"digits": "2"}, "agent presses 2"),
    (SpeechLost, {"part": "synthesis", "why": "it died"}, "synthesis failed: it died"),
    (UserSpoke, {"duration": 2.0, "content": "Hi"}, "user spoke 2.0 s: Hi"),
]


@pytest.mark.parametrize(("kind", "details", "line"), LINES)
def test_each_is_a_line_for_people(
    kind: type[ServerEvent], details: dict[str, Any], line: str
) -> None:
    assert str(kind(call="…", **details)) == line
