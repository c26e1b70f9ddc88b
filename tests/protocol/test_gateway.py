import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.events import (
    MalformedMessage,
    Metadata,
    NodeTransition,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)
from retell_voice.protocol.gateway import (
    CALLER,
    Admission,
    Candidate,
    Joined,
    NotGateway,
    UnreadableAnswer,
    admission_body,
    create_body,
    join_body,
    read_admission,
    read_control,
    read_join,
    read_joined,
    read_trickle,
    sessions_path,
    status_message,
    trickle_body,
)
from retell_voice.protocol.ice import IceServer
from retell_voice.protocol.messages import AgentTalking, CallOver

CREATED: dict[str, Any] = {
    "call_id": "call_1234567890abcdef",
    "access_token": "token_1234567890abcdef",
    "transport": "gateway",
    "ice_servers": [{"urls": "turn:relay:3478", "username": "u", "credential": "secret-word"}],
    "expires_at": 1_790_000_030_000,
}
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)
filled = st.text(min_size=1, max_size=20)


def test_the_answer_to_create_is_read() -> None:
    admission = read_admission(CREATED)
    assert admission == Admission(
        call_id=CREATED["call_id"],
        access_token=CREATED["access_token"],
        identity=CALLER,
        ice_servers=(IceServer(urls=("turn:relay:3478",), username="u", credential="secret-word"),),
        expires_at=1_790_000_030.0,
    )
    for secret in (CREATED["call_id"], CREATED["access_token"], "secret-word"):
        assert secret not in repr(admission)


def test_only_what_is_needed_need_be_there() -> None:
    read = read_admission({"call_id": "c", "access_token": "t", "transport": "gateway", "new": 1})
    assert read == Admission(call_id="c", access_token="t")


def test_a_listener_joins_as_the_participant_it_is() -> None:
    body = {**CREATED, "participant_id": "p1", "room_name": "r"}
    del body["call_id"]
    read = read_admission(body, call_id="call_of_mine")
    assert (read.call_id, read.identity) == ("call_of_mine", "p1")
    with pytest.raises(UnreadableAnswer, match="participant_id is missing"):
        read_admission(CREATED, call_id="call_of_mine")


@pytest.mark.parametrize("transport", ["livekit", None])
def test_a_livekit_call_is_refused_in_words(transport: str | None) -> None:
    with pytest.raises(NotGateway, match="runs on LiveKit"):
        read_admission({**CREATED, "transport": transport})


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"transport": "carrier pigeon"}, "transport is not 'gateway'"),
        ({"transport": 3}, "transport is not 'gateway'"),
        ({"transport": None, "access_token": None}, "transport is not 'gateway'"),
        ({"call_id": None}, "call_id is missing"),
        ({"call_id": ""}, "call_id is empty"),
        ({"call_id": 7}, "call_id is a number"),
        ({"access_token": None}, "access_token is missing"),
        ({"expires_at": "soon"}, "expires_at is a string"),
    ],
)
def test_an_answer_that_makes_no_sense_is_refused(changes: dict[str, Any], says: str) -> None:
    with pytest.raises(UnreadableAnswer, match=says):
        read_admission(CREATED | changes)


@given(st.dictionaries(st.sampled_from([*CREATED, "participant_id"]), json_values))
def test_any_answer_is_read_or_refused(changes: dict[str, Any]) -> None:
    for call_id in (None, "c"):
        try:
            read = read_admission(CREATED | changes, call_id)
        except UnreadableAnswer:
            continue
        assert read_admission(admission_body(read), call_id and read.call_id) == read


@given(filled, filled, st.none() | st.integers(0, 2**40))
def test_an_admission_survives_the_round_trip(call_id: str, token: str, expiry: int | None) -> None:
    given_ = Admission(
        call_id=call_id,
        access_token=token,
        ice_servers=(IceServer(urls=("turn:a", "turns:b"), username="u", credential="c"),),
        expires_at=None if expiry is None else expiry / 1000,
    )
    assert read_admission(json.loads(json.dumps(admission_body(given_)))) == given_


def test_what_is_not_given_is_not_asked_for() -> None:
    assert create_body("agent_1") == {"agent_id": "agent_1"}
    assert create_body(
        "agent_1", agent_version=3, dynamic_variables={"a": "b"}, current_state="s"
    ) == {
        "agent_id": "agent_1",
        "agent_version": 3,
        "retell_llm_dynamic_variables": {"a": "b"},
        "current_state": "s",
    }


def test_paths_quote_what_is_in_them() -> None:
    assert sessions_path("a/b") == "/webrtc-proxy/a%2Fb/v1/webrtc/sessions"
    assert sessions_path("a", "../s") == "/webrtc-proxy/a/v1/webrtc/sessions/..%2Fs"


@given(filled, filled)
def test_joins_survive_the_round_trip(first: str, second: str) -> None:
    assert read_join(json.dumps(join_body(first, second))) == (first, second)
    answer = json.dumps({"session_id": first, "sdp": second})
    assert read_joined(answer) == Joined(first, second)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "is not JSON"),
        (b"[]", "not a JSON object"),
        (b"{}", "is missing"),
        (b'{"session_id": "", "identity": ""}', "is empty"),
        (b'{"session_id": 1, "identity": 1}', "is a number, must be a string"),
        (b"\xff", "is not JSON"),
    ],
)
def test_a_broken_join_is_told(body: bytes, says: str) -> None:
    for read in (read_join, read_joined):
        with pytest.raises(UnreadableAnswer, match=says):
            read(body)


@given(filled, st.none() | filled, st.none() | st.integers(0, 9))
def test_candidates_survive_the_round_trip(text: str, mid: str | None, index: int | None) -> None:
    wanted = Candidate(candidate=text, mid=mid, index=index)
    body = json.dumps(trickle_body(wanted))
    if mid is None and index is None:
        with pytest.raises(UnreadableAnswer, match="names no media section"):
            read_trickle(body)
    elif not text.startswith(("a=", "candidate:")):
        assert read_trickle(body) == wanted


def test_a_candidate_is_read_as_browsers_write_it() -> None:
    said = {"candidate": "candidate:1 1 udp 1 10.0.0.1 9 typ host", "sdpMid": "0"}
    read = read_trickle(json.dumps({"candidate": {**said, "usernameFragment": "x"}}))
    assert read == Candidate(candidate="1 1 udp 1 10.0.0.1 9 typ host", mid="0")


@pytest.mark.parametrize("body", ["{}", '{"candidate": null}', '{"candidate": {"candidate": ""}}'])
def test_the_end_of_candidates_is_none(body: str) -> None:
    assert read_trickle(body) is None


@given(json_values)
def test_any_candidate_is_read_or_refused(value: Any) -> None:
    with suppress(UnreadableAnswer):
        read_trickle(json.dumps({"candidate": value}))


def test_the_control_channel_tells_of_the_end() -> None:
    assert read_control(status_message("ended"), 2.0) == [CallOver(state="ended", at=2.0)]
    assert read_control(status_message("replaced").encode()) == [CallOver(state="replaced")]


def test_what_the_control_channel_may_tell_some_day() -> None:
    update: dict[str, Any] = {
        "event_type": "update",
        "transcript": [
            {"role": "agent", "content": "Hi", "metadata": {}},
            {"role": "transfer_target", "content": "Hello"},
            {"role": "user", "content": "Bye"},
            {"role": "dtmf", "digit": "3"},
        ],
        "turntaking": "user_turn",
    }
    said = (Utterance("agent", "Hi"), Utterance("user", "Bye"))
    for odd in (3, None, {"content": "x"}, {"role": "user"}, {"role": "agent", "content": 4}):
        spoiled = update | {"transcript": [odd, *update["transcript"], odd]}
        transcript, turn, told = read_control(json.dumps(spoiled), 1.0)
        assert (transcript, turn) == (
            Transcript(utterances=said, at=1.0),
            Turn(speaker="user", at=1.0),
        )
        assert isinstance(told, MalformedMessage)
    assert read_control(json.dumps(update), 1.0) == [
        Transcript(utterances=said, at=1.0),
        Turn(speaker="user", at=1.0),
    ]
    assert read_control('{"event_type": "metadata", "metadata": null}') == [Metadata(metadata=None)]
    assert read_control('{"event_type": "agent_start_talking"}') == [AgentTalking(talking=True)]
    assert read_control('{"event_type": "agent_stop_talking"}') == [AgentTalking(talking=False)]
    moved = {"former_node_id": "n1", "new_node_id": "n2", "new_node_name": "Pay"}
    assert read_control(json.dumps({"event_type": "node_transition"} | moved)) == [
        NodeTransition(former="n1", new="Pay")
    ]


@pytest.mark.parametrize(
    "message",
    [
        "{}",
        '{"type": "status"}',
        '{"type": "status", "state": "paused"}',
        '{"type": "status", "state": ["ended"]}',
        '{"event_type": ["update"]}',
        '{"event_type": "tomorrow"}',
    ],
)
def test_what_is_not_known_is_passed_on(message: str) -> None:
    assert read_control(message, 7.0) == [UnknownMessage(message=message, at=7.0)]


@pytest.mark.parametrize(
    "message",
    [
        "ended",
        b"\xff\x00",
        '{"event_type": "metadata"}',
        '{"event_type": "update", "turntaking": 4}',
        '{"a":' * 100_000,
    ],
)
def test_what_cannot_be_read_is_told(message: str | bytes) -> None:
    (event,) = read_control(message, 7.0)
    assert isinstance(event, MalformedMessage)
    assert event.at == 7.0


@given(st.text() | st.binary() | json_values.map(json.dumps))
def test_no_control_message_raises(message: str | bytes) -> None:
    read_control(message)


@given(
    st.dictionaries(
        st.sampled_from(["type", "state", "event_type", "transcript", "turntaking", "metadata"]),
        json_values | st.sampled_from(["status", "ended", "update", "node_transition"]),
    )
)
def test_no_control_message_raises_either_that_looks_like_one(body: dict[str, Any]) -> None:
    for event in read_control(json.dumps(body), 3.0):
        assert event.at == 3.0
