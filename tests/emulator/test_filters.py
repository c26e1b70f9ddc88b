"""Which calls a filter lets through, in the three forms filters have had."""

import contextlib
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.rest.fields import Fields
from retell_voice.emulator.rest.filters import Test, filter_v1, filter_v2, filter_v3
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.protocol.llm import ToolCallInvocation, ToolCallResult


def a_call() -> RegisteredCall:
    call = RegisteredCall(
        call_id="call_abc",
        agent_id="agent_1",
        from_number="+1415",
        metadata={"id": 7, "vip": True, "none": None, "name": "Ann"},
        dynamic_variables={"city": "Rome"},
        registered_at=99.0,
    )
    call.custom_attributes = {"tier": "gold"}
    call.join(100.0)
    call.measure("e2e", 400.0)
    call.transcript_with_tool_calls = (
        ToolCallInvocation(tool_call_id="1", name="look", arguments="{}"),
        ToolCallResult(tool_call_id="1", content="", successful=True),
        ToolCallInvocation(tool_call_id="2", name="book", arguments="{}"),
    )
    call.end(102.5, "user_hangup")
    return call


def string(op: str, value: str, **key: str) -> dict[str, Any]:
    return {"type": "string", "op": op, "value": value, **key}


def number(op: str, value: float, **key: str) -> dict[str, Any]:
    return {"type": "number", "op": op, "value": value, **key}


def between(*bounds: float, **key: str) -> dict[str, Any]:
    return {"type": "range", "op": "bt", "value": list(bounds), **key}


def among(*values: str, **key: str) -> dict[str, Any]:
    return {"type": "enum", "op": "in", "value": list(values), **key}


def truth(value: bool, **key: str) -> dict[str, Any]:
    return {"type": "boolean", "op": "eq", "value": value, **key}


def present(op: str, **key: str) -> dict[str, Any]:
    return {"type": "present", "op": op, **key}


@pytest.mark.parametrize(
    ("criteria", "passes"),
    [
        ({}, True),
        ({"agent": [{"agent_id": "agent_2"}, {"agent_id": "agent_1"}]}, True),
        ({"agent": [{"agent_id": "agent_1", "version": [0, 3]}]}, True),
        ({"agent": [{"agent_id": "agent_1", "version": [1]}]}, False),
        ({"agent": []}, False),
        ({"call_id": string("eq", "call_abc")}, True),
        ({"call_id": string("ne", "call_abc")}, False),
        ({"call_id": string("sw", "call_")}, True),
        ({"call_id": string("ew", "_ab")}, False),
        ({"call_id": string("co", "l_a")}, True),
        ({"call_id": among("x", "call_abc")}, True),
        ({"call_status": among("ongoing", "error")}, False),
        ({"call_status": among("ended")}, True),
        ({"call_type": among("web_call")}, True),
        ({"disconnection_reason": among("user_hangup")}, True),
        ({"data_storage_setting": among("everything")}, True),
        ({"direction": among("inbound")}, False),
        ({"from_number": string("sw", "+1")}, True),
        ({"to_number": string("ne", "+1")}, True),
        ({"start_timestamp": number("ge", 100_000)}, True),
        ({"start_timestamp": number("gt", 100_000)}, False),
        ({"start_timestamp": number("le", 100_000.5)}, True),
        ({"end_timestamp": number("lt", 102_500)}, False),
        ({"end_timestamp": number("eq", 102_500)}, True),
        ({"duration_ms": between(2500, 2500)}, True),
        ({"duration_ms": between(0, 2499)}, False),
        ({"e2e_latency_p50": number("ne", 400)}, False),
        ({"combined_cost": number("ge", 0)}, False),
        ({"combined_cost": number("ne", 0)}, True),
        ({"call_successful": truth(True)}, False),
        ({"metadata": [number("eq", 7, key="id"), truth(True, key="vip")]}, True),
        ({"metadata": [string("eq", "7", key="id")]}, False),
        ({"metadata": [truth(True, key="id")]}, False),
        ({"metadata": [number("eq", 1, key="vip")]}, False),
        ({"metadata": [present("pr", key="name"), present("np", key="none")]}, True),
        ({"metadata": [present("np", key="name")]}, False),
        ({"dynamic_variables": [among("Rome", "Oslo", key="city")]}, True),
        ({"custom_attributes": [string("eq", "gold", key="tier")]}, True),
        ({"custom_analysis_data": [present("pr", key="x")]}, False),
        ({"tool_calls": [{"name": "look", "success": truth(True)}, {"name": "book"}]}, True),
        ({"tool_calls": [{"name": "book", "success": truth(True)}]}, False),
        ({"tool_calls": [{"name": "look", "latency_ms": number("ge", 0)}]}, False),
        ({"call_status": among("ended"), "call_type": among("phone_call")}, False),
    ],
)
def test_filters_of_today(criteria: dict[str, Any], passes: bool) -> None:
    assert filter_v3(Fields(criteria))(a_call()) is passes


@pytest.mark.parametrize(
    ("criteria", "names"),
    [
        ({"agent_id": ["x"]}, "agent_id"),
        ({"agent": ["x"]}, "agent"),
        ({"agent": [{}]}, "agent[0].agent_id"),
        ({"call_status": ["ended"]}, "call_status"),
        ({"call_status": string("eq", "ended")}, "call_status.type"),
        ({"call_status": {"type": "enum", "op": "eq", "value": []}}, "call_status.op"),
        ({"call_status": {"type": "enum", "op": "in"}}, "call_status.value"),
        ({"call_status": {"type": "enum", "op": "in", "value": [1]}}, "call_status.value"),
        ({"duration_ms": between(1)}, "duration_ms.value"),
        ({"duration_ms": between(1, True)}, "duration_ms.value"),
        ({"duration_ms": number("eq", True)}, "duration_ms.value"),
        ({"metadata": [number("eq", 1)]}, "metadata[0].key"),
        ({"metadata": [number("eq", 1, key="x"), {"key": "x"}]}, "metadata[1].type"),
        ({"tool_calls": [{"success": number("eq", 1)}]}, "tool_calls[0].success.type"),
    ],
)
def test_a_wrong_filter_is_named(criteria: dict[str, Any], names: str) -> None:
    with pytest.raises(HttpError) as caught:
        filter_v3(Fields(criteria))
    assert (caught.value.reply.status, str(caught.value).split()[0]) == (422, names)


@pytest.mark.parametrize(
    ("criteria", "passes"),
    [
        ({}, True),
        ({"agent_id": ["agent_2", "agent_1"]}, True),
        ({"agent_id": []}, False),
        ({"call_status": ["ended"], "call_type": ["web_call"]}, True),
        ({"from_number": ["+1"]}, False),
        ({"in_voicemail": [False]}, False),
        ({"duration_ms": {"lower_threshold": 2500}}, True),
        ({"duration_ms": {"lower_threshold": 0, "upper_threshold": 2499}}, False),
        ({"start_timestamp": {"upper_threshold": 100_000}}, True),
    ],
)
def test_filters_of_the_second_list(criteria: dict[str, Any], passes: bool) -> None:
    assert filter_v2(Fields(criteria))(a_call()) is passes


@pytest.mark.parametrize(
    ("criteria", "passes"),
    [
        ({"agent_id": ["agent_1"]}, True),
        ({"agent_id": ["agent_2"]}, False),
        ({"after_start_timestamp": 100_000, "before_end_timestamp": 102_501}, True),
        ({"before_start_timestamp": 100_000}, False),
        ({"after_end_timestamp": 102_501}, False),
    ],
)
def test_filters_of_the_first_list(criteria: dict[str, Any], passes: bool) -> None:
    assert filter_v1(Fields(criteria))(a_call()) is passes


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text("aé", max_size=2),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab", max_size=1), inner),
    max_leaves=4,
)
CONDITION = st.fixed_dictionaries(
    {
        "type": st.sampled_from(["string", "number", "range", "enum", "boolean", "present"]),
        "op": st.sampled_from(["eq", "ne", "sw", "gt", "lt", "bt", "in", "pr", "np"]),
        "value": JSON,
    },
    optional={"key": st.sampled_from(["id", "name", "none"])},
)
NAMES = st.sampled_from(
    ["agent", "call_id", "duration_ms", "metadata", "tool_calls", "in_voicemail", "agent_id", "x"]
)


@pytest.mark.parametrize("read", [filter_v1, filter_v2, filter_v3])
@given(criteria=st.dictionaries(NAMES, CONDITION | st.lists(CONDITION, max_size=2) | JSON))
def test_random_filters_are_taken_or_refused(
    read: Callable[[Fields], Test], criteria: dict[str, Any]
) -> None:
    with contextlib.suppress(HttpError):
        assert read(Fields(criteria))(a_call()) in (True, False)
