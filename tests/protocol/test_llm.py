import json
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.llm import (
    AgentConfig,
    AgentInterrupt,
    CallDetails,
    Config,
    LlmMessage,
    LlmMetadata,
    LlmPayloadError,
    LlmPingPong,
    LlmSide,
    PingPong,
    ReminderRequired,
    Response,
    ResponseRequired,
    RetellSide,
    ToolCallInvocation,
    ToolCallResult,
    UnknownLlmMessage,
    UpdateAgent,
    UpdateOnly,
)

RETELL, LLM = RetellSide(), LlmSide()

ids = st.integers(0, 2**53)
text = st.text(max_size=20)
maybe_flag = st.none() | st.booleans()
maybe_text = st.none() | text
share = st.none() | st.floats(0, 1)
seconds = st.floats(0, 1e5)
roles: st.SearchStrategy[Role] = st.sampled_from(["agent", "user"])
json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)
words = st.builds(Word, text, seconds, seconds)
utterances = st.builds(Utterance, roles, text, st.lists(words, max_size=2).map(tuple))
invocations = st.builds(ToolCallInvocation, tool_call_id=text, name=text, arguments=text)
results = st.builds(ToolCallResult, tool_call_id=text, content=text, successful=maybe_flag)
speech: dict[str, st.SearchStrategy[Any]] = {
    "content": text,
    "content_complete": st.booleans(),
    "no_interruption_allowed": maybe_flag,
    "end_call": st.booleans(),
    "transfer_number": maybe_text,
    "digit_to_press": maybe_text,
}
transcripts: dict[str, st.SearchStrategy[Any]] = {
    "transcript": st.lists(utterances, max_size=3).map(tuple),
    "transcript_with_tool_calls": st.none()
    | st.lists(utterances | invocations | results, max_size=4).map(tuple),
}
from_llm = st.one_of(
    st.builds(
        Config,
        auto_reconnect=st.booleans(),
        call_details=st.booleans(),
        transcript_with_tool_calls=st.booleans(),
    ),
    st.builds(
        UpdateAgent,
        agent_config=st.builds(
            AgentConfig,
            responsiveness=share,
            interruption_sensitivity=share,
            reminder_trigger_ms=st.none() | st.integers(1, 10**6),
            reminder_max_count=st.none() | st.integers(0, 99),
        ),
    ),
    st.builds(LlmPingPong, timestamp=ids),
    st.builds(Response, response_id=ids, show_transferee_as_caller=maybe_flag, **speech),
    st.builds(AgentInterrupt, interrupt_id=ids, **speech),
    invocations,
    results,
    st.builds(LlmMetadata, metadata=json_values),
)
from_retell = st.one_of(
    st.builds(PingPong, timestamp=ids),
    st.builds(CallDetails, call=st.dictionaries(text, json_values, max_size=3)),
    st.builds(UpdateOnly, turn=st.none() | roles, **transcripts),
    st.builds(ResponseRequired, response_id=ids, **transcripts),
    st.builds(ReminderRequired, response_id=ids, **transcripts),
)


@given(from_llm)
def test_what_the_llm_server_says_survives_the_way(message: LlmMessage) -> None:
    assert RETELL.receive(LLM.encode(message)) == message


@given(from_retell)
def test_what_retell_says_survives_the_way(message: LlmMessage) -> None:
    assert LLM.receive(RETELL.encode(message)) == message
