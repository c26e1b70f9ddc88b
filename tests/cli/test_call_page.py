"""Everything the server knows about one call, as lines."""

from __future__ import annotations

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.cli.call_page import call_page
from retell_voice.rest.api import Api
from retell_voice.rest.calls import read_call
from retell_voice.rest.fields import text

ANALYSED: dict[str, Any] = {
    "call_id": "call_0123456789abcdef",
    "call_status": "ended",
    "call_type": "phone_call",
    "agent_id": "agent_1",
    "agent_name": "Front desk",
    "agent_version": 3,
    "direction": "inbound",
    "from_number": "+15550001",
    "to_number": "+15550002",
    "disconnection_reason": "user_hangup",
    "start_timestamp": 1_790_000_000_000,
    "end_timestamp": 1_790_000_083_000,
    "latency": {"e2e": {"p50": 900, "p95": 1850.5}, "llm": {"p50": 410}, "asr": {"p50": "x"}},
    "call_cost": {
        "combined_cost": 21.4,
        "product_costs": [{"product": "elevenlabs_tts", "cost": 7}, {"product": "x"}, None],
    },
    "retell_llm_dynamic_variables": {"name": "Zoë"},
    "metadata": {},
    "call_analysis": {
        "call_summary": "Ann asked\nfor a table.",
        "user_sentiment": "Positive",
        "call_successful": True,
        "custom_analysis_data": {"guests": 4},
    },
    "recording_url": "https://x/recording.wav",
    "transcript": "Agent: Hello!\nUser: A table for four.\n",
    "transcript_object": [{"role": "agent", "content": "not this"}],
    "transcript_with_tool_calls": [
        {"role": "agent", "content": "Hello!", "words": [{"word": "Hello!", "start": 0.4}]},
        {"role": "user", "content": "A table\x1b[2J for four.", "words": []},
        {"role": "tool_call_invocation", "name": "book", "arguments": '{"n": 4}', "time_sec": 63.5},
        {"role": "tool_call_result", "content": "done"},
        {"role": "node_transition", "former_node_name": "Ask", "new_node_name": "Bye"},
    ],
}

PAGE = """\
call        call_0123456789abcdef
status      ended by user_hangup
agent       Front desk, agent_1, version 3
kind        inbound phone call
numbers     +15550001 called +15550002
length      01:23
latency     0.90 s (median), 1.85 s (95 %), LLM 0.41 s
cost        $0.21 (elevenlabs_tts $0.070)
variables   {"name": "Zoë"}
summary     Ann asked for a table.
mood        Positive
successful  yes
analysis    {"guests": 4}
recording   https://x/recording.wav

00:00  agent: Hello!
       user: A table[2J for four.
01:03  tool call invocation: book({"n": 4})
       tool call result: done
       node transition: Ask → Bye"""


def page(body: dict[str, Any]) -> str:
    api = Api("http://127.0.0.1", "key_1234567890", 1.0, what="call")
    return call_page(read_call(body, text(body, "call_id") or "", api))


def test_all_of_an_analysed_call() -> None:
    lines = page(ANALYSED).split("\n")
    local = [line for line in lines if line.startswith(("began ", "ended "))]
    assert [len(line.partition("2026-09-2")[2]) for line in local] == [10, 10]
    assert "\n".join(line for line in lines if line not in local) == PAGE


def test_a_transcript_that_is_only_text() -> None:
    body = {"call_id": "call_1", "call_status": "ended", "transcript": ANALYSED["transcript"]}
    assert page(body) == (
        "call        call_1\nstatus      ended\n\nAgent: Hello!\nUser: A table for four."
    )


def test_a_call_that_has_hardly_begun() -> None:
    body = {"call_id": "call_0123456789abcdef", "call_status": "ongoing"}
    assert page(body) == "call        …cdef\nstatus      ongoing"


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=4,
)


@settings(max_examples=40)
@given(st.fixed_dictionaries({}, optional=dict.fromkeys(ANALYSED, JSON)))
def test_whatever_a_server_says_is_printed(body: dict[str, Any]) -> None:
    assert "\x1b" not in page({**body, "call_status": "ended"})


@settings(max_examples=40)
@given(st.lists(st.dictionaries(st.sampled_from(["role", "content", "words", "time_sec"]), JSON)))
def test_and_whatever_was_said(items: list[Any]) -> None:
    page({"call_id": "x", "call_status": "ended", "transcript_object": items})
