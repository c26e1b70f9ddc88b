"""The filters of list-calls, today's and the two versions before. Pure.

Each function reads ``filter_criteria`` and returns a predicate of calls. An unknown filter is
refused: ignoring it would return calls that were not asked for.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.rest.fields import Fields
from retell_voice.protocol.llm import ToolCallInvocation, ToolCallResult

Test = Callable[[RegisteredCall], bool]
_Test = Callable[[RegisteredCall, Mapping[str, Any]], bool]  # of a call and its JSON
_Condition = Callable[[Any], bool]  # of a value; None if the call has none

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_MATCHES: dict[str, Callable[[str, str], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "sw": str.startswith,
    "ew": str.endswith,
    "co": operator.contains,
}
_OPERATORS = {
    "string": tuple(_MATCHES),
    "number": tuple(_COMPARISONS),
    "range": ("bt",),
    "enum": ("in",),
    "boolean": ("eq",),
    "present": ("pr", "np"),
}
_AMOUNT = ("number", "range")
_ANY = tuple(_OPERATORS)
# Those the emulator never knows match as for a call without a value.
_TYPES: dict[str, tuple[str, ...]] = {
    "agent_tag": ("enum",),
    "batch_call_id": ("string",),
    "call_id": ("string", "enum"),
    "call_status": ("enum",),
    "call_successful": ("boolean",),
    "call_type": ("enum",),
    "combined_cost": _AMOUNT,
    "data_storage_setting": ("enum",),
    "direction": ("enum",),
    "disconnection_reason": ("enum",),
    "duration_ms": _AMOUNT,
    "e2e_latency_p50": _AMOUNT,
    "end_timestamp": _AMOUNT,
    "from_number": ("string",),
    "in_voicemail": ("boolean",),
    "start_timestamp": _AMOUNT,
    "to_number": ("string",),
    "user_sentiment": ("enum",),
}
_BY_KEY = {  # filters by key, and the object that has the keys
    "custom_analysis_data": "custom_analysis_data",
    "custom_attributes": "custom_attributes",
    "dynamic_variables": "retell_llm_dynamic_variables",
    "metadata": "metadata",
}

_V2_LISTS: dict[str, type] = {
    "agent_id": str,
    "call_status": str,
    "call_successful": bool,
    "call_type": str,
    "direction": str,
    "disconnection_reason": str,
    "from_number": str,
    "in_voicemail": bool,
    "to_number": str,
    "user_sentiment": str,
}
_PLURALS = {str: "strings", bool: "booleans"}
_V2_RANGES = ("duration_ms", "e2e_latency_p50", "end_timestamp", "start_timestamp")

_V1_BOUNDS = {
    "after_start_timestamp": ("start_timestamp", "ge"),
    "before_start_timestamp": ("start_timestamp", "lt"),
    "after_end_timestamp": ("end_timestamp", "ge"),
    "before_end_timestamp": ("end_timestamp", "lt"),
}


def filter_v3(criteria: Fields) -> Test:
    """Read the filters of ``POST /v3/list-calls``: objects of type, op and value."""
    criteria.only((*_TYPES, *_BY_KEY, "agent", "tool_calls"))
    tests: list[_Test] = []
    for name, types in _TYPES.items():
        if (read := criteria.inner(name)) is not None:
            tests.append(_value_is(name, condition(read, types)))
    for name, holder in _BY_KEY.items():
        for read in criteria.each(name) or ():
            key = read.string("key", required=True)
            tests.append(_entry_is(holder, key, condition(read, _ANY)))
    if (agents := criteria.each("agent")) is not None:
        tests.append(_agent_is([_agent(read) for read in agents]))
    tests += [_called_tool(_tool(read)) for read in criteria.each("tool_calls") or ()]
    return _all(tests)


def filter_v2(criteria: Fields) -> Test:
    """Read the filters of ``POST /v2/list-calls``: arrays of values, and thresholds."""
    criteria.only((*_V2_LISTS, *_V2_RANGES))
    tests: list[_Test] = []
    for name, kind in _V2_LISTS.items():
        if (values := criteria.array(name)) is not None:
            if not all(isinstance(value, kind) for value in values):
                criteria.wrong(name, f"must be an array of {_PLURALS[kind]}")
            tests.append(_value_is(name, partial(operator.contains, values)))
    for name in _V2_RANGES:
        if (bounds := criteria.inner(name)) is not None:
            least, most = bounds.number("lower_threshold"), bounds.number("upper_threshold")
            tests.append(_value_is(name, partial(_between, least, most)))
    return _all(tests)


def filter_v1(criteria: Fields) -> Test:
    """Read the filters of ``GET /list-calls``: agents, and bounds of start and end."""
    criteria.only(("agent_id", *_V1_BOUNDS))
    tests: list[_Test] = []
    if (agents := criteria.array("agent_id")) is not None:
        tests.append(_value_is("agent_id", partial(operator.contains, agents)))
    for name, (field, op) in _V1_BOUNDS.items():
        if (bound := criteria.integer(name)) is not None:
            tests.append(_value_is(field, partial(_compares, op, bound)))
    return _all(tests)


def _all(tests: list[_Test]) -> Test:
    def test(call: RegisteredCall) -> bool:
        body = call_body(call, transcripts=False)
        body["e2e_latency_p50"] = body.get("latency", {}).get("e2e", {}).get("p50")
        return all(each(call, body) for each in tests)

    return test


def _value_is(name: str, fits: _Condition) -> _Test:
    return lambda _, body: fits(body.get(name))


def _entry_is(holder: str, key: str, fits: _Condition) -> _Test:
    return lambda _, body: fits(body.get(holder, {}).get(key))


def _agent(read: Fields) -> tuple[str, list[Any]]:
    return read.string("agent_id", required=True), read.array("version") or []


def _agent_is(agents: list[tuple[str, list[Any]]]) -> _Test:
    return lambda _, body: any(
        agent_id == body["agent_id"] and (not versions or body["agent_version"] in versions)
        for agent_id, versions in agents
    )


def _tool(read: Fields) -> dict[str, _Condition]:
    conditions: dict[str, _Condition] = {}
    for name in ("name", "type"):
        if (wanted := read.string(name)) is not None:
            conditions[name] = partial(operator.eq, wanted)
    for name, types in (("success", ("boolean",)), ("latency_ms", _AMOUNT)):
        if (inner := read.inner(name)) is not None:
            conditions[name] = condition(inner, types)
    return conditions


def _called_tool(conditions: Mapping[str, _Condition]) -> _Test:
    def test(call: RegisteredCall, _: Mapping[str, Any]) -> bool:
        said = call.transcript_with_tool_calls or ()
        results = {item.tool_call_id: item for item in said if isinstance(item, ToolCallResult)}
        for item in said:
            if isinstance(item, ToolCallInvocation):
                result = results.get(item.tool_call_id)
                known = {"name": item.name, "success": result and result.successful}
                if all(fits(known.get(name)) for name, fits in conditions.items()):
                    return True
        return False

    return test


def condition(read: Fields, types: tuple[str, ...]) -> _Condition:
    """Read one condition, an object of type, op and value.

    Args:
        read: the object.
        types: those it may have.
    """
    kind = read.choice("type", types, required=True)
    op = read.choice("op", _OPERATORS[kind], required=True)
    match kind:
        case "string":
            return partial(_matches, op, read.string("value", required=True))
        case "number":
            return partial(_compares, op, read.number("value", required=True))
        case "range":
            bounds = read.array("value", required=True)
            if len(bounds) != 2 or not all(map(_is_number, bounds)):
                read.wrong("value", "must be two numbers, the lower bound and the upper")
            return partial(_between, *bounds)
        case "enum":
            values = read.array("value", required=True)
            if not all(isinstance(value, str) for value in values):
                read.wrong("value", "must be an array of strings")
            return partial(operator.contains, values)
        case "boolean":
            truth = read.boolean("value", required=True)
            return lambda value: value is truth
        case _:
            return lambda value: (value is not None) == (op == "pr")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _matches(op: str, wanted: str, value: Any) -> bool:
    return _MATCHES[op](value, wanted) if isinstance(value, str) else op == "ne"


def _compares(op: str, wanted: float, value: Any) -> bool:
    return _COMPARISONS[op](value, wanted) if _is_number(value) else op == "ne"


def _between(least: float | None, most: float | None, value: Any) -> bool:
    if not _is_number(value):
        return False
    return (least is None or least <= value) and (most is None or value <= most)
