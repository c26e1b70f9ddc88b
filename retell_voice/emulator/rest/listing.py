"""Lists of calls, page by page: list-calls of today and of earlier versions. Pure.

::

    GET  /list-calls      query: filter_criteria[agent_id], …, sort_order, limit, pagination_key
    POST /v2/list-calls   the same in a JSON body; both answer with an array of calls
    POST /v3/list-calls   answers {"items", "has_more", "pagination_key", "total"}, the calls
                          without their transcripts

Sorted by ``start_timestamp``; a call that has not been joined counts from its registration. The
pagination_key of the first two is the last call_id of the page before, that of the third a key
that stays valid if that call is deleted.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import parse_qsl

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.rest.call_json import call_body, first_call_body
from retell_voice.emulator.rest.fields import Fields, load_object, parse_object
from retell_voice.emulator.rest.filters import Test, filter_v1, filter_v2, filter_v3

_MOST = 1000
_Position = tuple[int, int]  # time of the start in milliseconds, order of registration
_KEY = re.compile(r"(-?\d{1,18})\.(\d{1,18})", re.ASCII)
_CRITERION = re.compile(r"filter_criteria\[(\w+)\](\[\d*\])?", re.ASCII)
_NUMBER = re.compile(r"-?\d{1,18}", re.ASCII)


def list_v1(query: str, calls: Iterable[RegisteredCall]) -> list[dict[str, Any]]:
    """Answer ``GET /list-calls``."""
    return list(map(first_call_body, _array(_query(query), filter_v1, 100, calls)))


def list_v2(body: bytes, calls: Iterable[RegisteredCall]) -> list[dict[str, Any]]:
    """Answer ``POST /v2/list-calls``."""
    return list(map(call_body, _array(parse_object(body, optional=True), filter_v2, 50, calls)))


def list_v3(body: bytes, calls: Iterable[RegisteredCall]) -> dict[str, Any]:
    """Answer ``POST /v3/list-calls``."""
    read = parse_object(body, optional=True)
    matching = _sorted(read, filter_v3(read.inner("filter_criteria") or Fields({})), calls)
    limit, skip = read.integer("limit", 1, _MOST) or 50, read.integer("skip", 0)
    total = len(matching)
    if (key := read.string("pagination_key")) is not None:
        if skip is not None:
            read.wrong("skip", "cannot go with pagination_key")
        if (at := _KEY.fullmatch(key)) is None:
            read.wrong("pagination_key", "is not one of an answer to this request")
        matching = _after(read, (int(at[1]), int(at[2])), matching)
    matching = matching[skip or 0 :]
    answer: dict[str, Any] = {
        "items": [call_body(call, transcripts=False) for call in matching[:limit]],
        "has_more": len(matching) > limit,
    }
    if answer["has_more"]:
        answer["pagination_key"] = "{}.{}".format(*_position(matching[limit - 1]))
    if read.boolean("include_total"):
        answer["total"] = total
    return answer


def _array(
    read: Fields,
    criteria: Callable[[Fields], Test],
    most: int,
    calls: Iterable[RegisteredCall],
) -> list[RegisteredCall]:
    calls = list(calls)
    matching = _sorted(read, criteria(read.inner("filter_criteria") or Fields({})), calls)
    limit = read.integer("limit", 1, _MOST) or most
    if (key := read.string("pagination_key")) is not None:
        last = next((call for call in calls if call.call_id == key), None)
        if last is None:
            read.wrong("pagination_key", "is the call_id of no call")
        matching = _after(read, _position(last), matching)
    return matching[:limit]


def _sorted(read: Fields, test: Test, calls: Iterable[RegisteredCall]) -> list[RegisteredCall]:
    return sorted(filter(test, calls), key=_position, reverse=not _ascending(read))


def _ascending(read: Fields) -> bool:
    return bool(read.choice("sort_order", ("ascending", "descending")) == "ascending")


def _after(read: Fields, last: _Position, matching: list[RegisteredCall]) -> list[RegisteredCall]:
    beyond = operator.gt if _ascending(read) else operator.lt
    return [call for call in matching if beyond(_position(call), last)]


def _position(call: RegisteredCall) -> _Position:
    start = call.registered_at if call.started_at is None else call.started_at
    return round(start * 1000), call.number


def _query(query: str) -> Fields:
    """Return a query as the JSON body of the later versions."""
    read: dict[str, Any] = {}
    criteria: dict[str, Any] = {}
    for name, value in parse_qsl(query, keep_blank_values=True):
        number = int(value) if _NUMBER.fullmatch(value) else value
        if name == "filter_criteria":
            criteria |= load_object(value.encode(errors="replace"))
        elif (part := _CRITERION.fullmatch(name)) is None:
            read[name] = number if name == "limit" else value
        elif part[1] == "agent_id":  # repeated or comma-separated: SDKs have done both
            criteria.setdefault("agent_id", []).extend(value.split(","))
        else:
            criteria[part[1]] = number
    return Fields(read | {"filter_criteria": criteria})
