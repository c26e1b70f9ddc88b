"""What is told of a call with an LLM server: a line each, for people."""

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
    (LlmAsked, {"response_id": 3, "reminder": False}, "asks the LLM server for response 3"),
    (LlmAsked, {"response_id": 4, "reminder": True}, "asks the LLM server for reminder 4"),
    (
        ResponseDropped,
        {"number": 3, "interrupt": False, "why": "it is outdated", "so_far": 1},
        "response 3 dropped: it is outdated",
    ),
    (
        ResponseOverdue,
        {"number": 3, "interrupt": False, "begun": False, "seconds": 10.0},
        "for 10 s nothing has come of response 3",
    ),
    (
        ResponseOverdue,
        {"number": 0, "interrupt": False, "begun": False, "seconds": 10.0},
        "for 10 s nothing has come of response 0, the begin message; its content may be empty",
    ),
    (
        ResponseOverdue,
        {"number": 3, "interrupt": True, "begun": True, "seconds": 10.0},
        "agent_interrupt 3 is not complete, and no more of it has come for 10 s: "
        "its last message needs content_complete: true",
    ),
    (LlmLinkChanged, {"state": "lost", "why": "it broke"}, "LLM server lost: it broke"),
    (LlmLinkChanged, {"state": "back", "why": ""}, "LLM server back"),
    (LlmRetrying, {"why": "nobody listens"}, "nobody listens; trying again"),
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
    (MetadataForwarded, {"metadata": {"a": "ü"}}, 'metadata: {"a": "ü"}'),
    (TransferRequested, {"number": "+1555"}, "transfer to +1555 requested"),
    (DigitPressed, {"digits": "2"}, "agent presses 2"),
    (SpeechLost, {"part": "synthesis", "why": "it died"}, "synthesis failed: it died"),
    (UserSpoke, {"duration": 2.0, "content": "Hi"}, "user spoke 2.0 s: Hi"),
]


@pytest.mark.parametrize(("kind", "details", "line"), LINES)
def test_each_is_a_line_for_people(
    kind: type[ServerEvent], details: dict[str, Any], line: str
) -> None:
    assert str(kind(call="…", **details)) == line
