"""Lists of calls: order, pages, and that no call is lost or doubled over pages."""

import contextlib
import json
from functools import partial
from typing import Any
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.calls import Calls, RegisteredCall
from retell_voice.emulator.rest.listing import list_v1, list_v2, list_v3
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.events import Utterance


def calls_of(starts: list[float | None]) -> Calls:
    """Calls registered at 0 and started then; None: not joined."""
    calls = Calls()
    for number, start in enumerate(starts):
        call = RegisteredCall(call_id=f"call_{number}", agent_id=f"agent_{number % 2}")
        calls.add(call, 10.0)
        call.transcript = (Utterance("agent", "Hi"),)
        if start is not None:
            call.join(start)
    return calls


def v3(calls: Calls, **body: Any) -> dict[str, Any]:
    return list_v3(json.dumps(body).encode(), calls)


def ids(bodies: list[dict[str, Any]]) -> list[str]:
    return [body["call_id"].removeprefix("call_") for body in bodies]


def test_the_latest_come_first_unless_told_otherwise() -> None:
    calls = calls_of([30.0, 10.0, 20.0, None, 10.0])
    assert ids(list_v3(b"", calls)["items"]) == ["0", "2", "4", "3", "1"]
    assert ids(v3(calls, sort_order="ascending")["items"]) == ["1", "3", "4", "2", "0"]
    assert ids(list_v2(b'{"sort_order": "ascending"}', calls)) == ["1", "3", "4", "2", "0"]
    assert ids(list_v1("sort_order=ascending&limit=2", calls)) == ["1", "3"]


def test_todays_list_is_of_pages_without_transcripts() -> None:
    calls = calls_of([1.0, 2.0, 3.0])
    page = v3(calls, limit=2, include_total=True)
    assert (ids(page["items"]), page["has_more"], page["total"]) == (["2", "1"], True, 3)
    assert not [name for item in page["items"] for name in item if "transcript" in name]
    last = v3(calls, limit=2, pagination_key=page["pagination_key"])
    assert (ids(last.pop("items")), last) == (["0"], {"has_more": False})
    assert ids(v3(calls, skip=2)["items"]) == ["0"]
    assert "transcript" in list_v2(b"", calls)[0]


def test_a_page_is_50_calls_long_and_1000_at_most() -> None:
    calls = calls_of([float(n) for n in range(1100)])
    assert len(v3(calls)["items"]) == 50
    assert len(v3(calls, limit=1000)["items"]) == 1000
    assert len(list_v2(b"{}", calls)) == 50
    assert len(list_v1("", calls)) == 100
    for limit in (0, 1001):
        with pytest.raises(HttpError, match="limit must be 1–1000"):
            v3(calls, limit=limit)


@pytest.mark.parametrize(
    "query",
    [
        "filter_criteria[agent_id][]=agent_1&filter_criteria[after_start_timestamp]=2000",
        "filter_criteria%5Bagent_id%5D=agent_1,agent_7&filter_criteria[after_start_timestamp]=2000",
        "filter_criteria=" + quote('{"agent_id":["agent_1"],"after_start_timestamp":2000}'),
    ],
)
def test_the_first_list_has_its_filters_in_the_query(query: str) -> None:
    assert ids(list_v1(query, calls_of([1.0, 1.0, 2.0, 2.0]))) == ["3"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("limit=x", "limit"),
        ("limit=0", "limit"),
        ("sort_order=up", "sort_order"),
        ("pagination_key=nobody", "pagination_key"),
        ("filter_criteria[agent]=x", "filter_criteria.agent"),
        ("filter_criteria[after_start_timestamp]=x", "filter_criteria.after_start_timestamp"),
    ],
)
def test_a_wrong_query_is_named(query: str, names: str) -> None:
    with pytest.raises(HttpError) as caught:
        list_v1(query, [])
    assert (caught.value.reply.status, str(caught.value).split()[0]) == (422, names)


def test_skip_and_a_key_exclude_each_other() -> None:
    with pytest.raises(HttpError, match="skip"):
        v3(Calls(), skip=0, pagination_key="1.1")


STARTS = st.lists(st.none() | st.sampled_from([1.0, 2.0, 3.0, 10.0, 11.0]), max_size=20)
ORDER = st.sampled_from(["ascending", "descending"])


@given(STARTS, st.integers(1, 7), ORDER)
def test_no_call_is_lost_or_doubled_over_pages(
    starts: list[float | None], limit: int, order: str
) -> None:
    calls = calls_of(starts)
    whole = ids(v3(calls, sort_order=order, limit=1000)["items"])
    assert sorted(map(int, whole)) == list(range(len(starts)))
    paged, page = [], v3(calls, sort_order=order, limit=limit)
    while True:
        assert len(page["items"]) == limit or not page["has_more"]
        paged += ids(page["items"])
        if not page["has_more"]:
            break
        key = page["pagination_key"]
        page = v3(calls, sort_order=order, limit=limit, pagination_key=key)
    assert paged == whole
    older: list[str] = []
    body: dict[str, Any] = {"sort_order": order, "limit": limit}
    while items := list_v2(json.dumps(body).encode(), calls):
        older += ids(items)
        body["pagination_key"] = items[-1]["call_id"]
    assert older == whole


@given(STARTS, st.integers(1, 7), ORDER, st.data())
def test_deleting_calls_between_pages_loses_no_other(
    starts: list[float | None], limit: int, order: str, data: st.DataObject
) -> None:
    calls = calls_of(starts)
    paged: list[str] = []
    body: dict[str, Any] = {"sort_order": order, "limit": limit}
    while True:
        page = v3(calls, **body)
        paged += ids(page["items"])
        if not page["has_more"]:
            break
        body["pagination_key"] = page["pagination_key"]
        for call in data.draw(st.lists(st.sampled_from(list(calls)), max_size=3)):
            calls.remove(call)
    left = {call.call_id.removeprefix("call_") for call in calls}
    assert len(paged) == len(set(paged))
    assert left <= set(paged)


PIECES = ["filter_criteria", "[agent_id]", "[]", "limit", "=", "&", "{}", "3", "%5b", ";", "é"]


@given(
    st.binary(max_size=60), st.lists(st.sampled_from(PIECES), max_size=9).map("".join) | st.text()
)
def test_random_requests_are_answered_or_refused(body: bytes, query: str) -> None:
    calls = calls_of([1.0])
    reads = (partial(list_v2, body), partial(list_v3, body), partial(list_v1, query))
    for read in reads:
        with contextlib.suppress(HttpError):
            json.dumps(read(calls))
