import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import ConfigError
from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.llm import (
    AgentConfig,
    AgentInterrupt,
    CallDetails,
    Config,
    Dtmf,
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
    llm_url,
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
keys = st.builds(Dtmf, text)
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
    | st.lists(utterances | invocations | results | keys, max_size=4).map(tuple),
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


ALL_FROM_LLM: dict[str, dict[str, Any]] = {
    "config": {"config": {}},
    "update_agent": {"agent_config": {}},
    "ping_pong": {"timestamp": 1},
    "response": {"response_id": 1, "content": "", "content_complete": True},
    "agent_interrupt": {"interrupt_id": 1, "content": "", "content_complete": True},
    "tool_call_invocation": {"tool_call_id": "a", "name": "b", "arguments": "{}"},
    "tool_call_result": {"tool_call_id": "a", "content": "b"},
    "metadata": {"metadata": 1},
}
ALL_FROM_RETELL: dict[str, dict[str, Any]] = {
    "ping_pong": {"timestamp": 1},
    "call_details": {"call": {}},
    "response_required": {"response_id": 1},
    "reminder_required": {"response_id": 1},
}
OPTIONAL = [("response", "content"), ("agent_interrupt", "content")]  # with content_complete
REQUIRED = [
    (side, type_field, kind, body, missing)
    for side, type_field, table in (
        (RETELL, "response_type", ALL_FROM_LLM),
        (LLM, "interaction_type", ALL_FROM_RETELL),
    )
    for kind, body in table.items()
    for missing in body
    if (kind, missing) not in OPTIONAL and (side, kind) != (RETELL, "ping_pong")
]


@pytest.mark.parametrize(("side", "type_field", "kind", "body", "missing"), REQUIRED)
def test_a_required_field_that_is_missing_is_named(
    side: RetellSide | LlmSide, type_field: str, kind: str, body: dict[str, Any], missing: str
) -> None:
    whole = {type_field: kind, **body}
    side.receive(json.dumps(whole))
    del whole[missing]
    with pytest.raises(LlmPayloadError, match=f"^{kind}: {missing} is missing$") as caught:
        side.receive(json.dumps(whole))
    assert caught.value.field == missing


def from_llm_server(kind: str, **body: Any) -> LlmMessage:
    return RETELL.receive(json.dumps({"response_type": kind, **ALL_FROM_LLM[kind], **body}))


def required(transcript: Any) -> LlmMessage:
    body = {"interaction_type": "response_required", "response_id": 1, "transcript": transcript}
    return LLM.receive(json.dumps(body))


@pytest.mark.parametrize(
    ("kind", "body", "words"),
    [
        ("response", {"response_id": "1"}, "response_id is a string, must be a number"),
        ("response", {"response_id": True}, "response_id is true or false, must be a number"),
        ("response", {"response_id": 1.5}, "response_id is 1.5, must be a whole number"),
        ("response", {"response_id": 10**400}, "response_id is too large a number"),
        (
            "response",
            {"content_complete": "true"},
            "content_complete is a string, must be true or false",
        ),
        ("response", {"content": 5}, "content is a number, must be a string"),
        ("response", {"end_call": 1}, "end_call is a number, must be true or false"),
        ("config", {"config": []}, "config is an array, must be an object"),
        (
            "config",
            {"config": {"call_details": "no"}},
            "config.call_details is a string, must be true or false",
        ),
        (
            "update_agent",
            {"agent_config": {"responsiveness": 1.5}},
            "agent_config.responsiveness is 1.5, must be from 0 to 1",
        ),
        (
            "update_agent",
            {"agent_config": {"reminder_trigger_ms": 0}},
            "agent_config.reminder_trigger_ms is 0, must be at least 1",
        ),
        (
            "update_agent",
            {"agent_config": {"reminder_max_count": -1}},
            "agent_config.reminder_max_count is -1, must be at least 0",
        ),
        ("tool_call_invocation", {"arguments": {}}, "arguments is an object, must be a string"),
    ],
)
def test_a_field_of_the_wrong_type_is_named(kind: str, body: Any, words: str) -> None:
    with pytest.raises(LlmPayloadError) as caught:
        from_llm_server(kind, **body)
    assert str(caught.value) == f"{kind}: {words}"
    assert caught.value.field == words.partition(" ")[0]


@pytest.mark.parametrize(
    ("transcript", "words"),
    [
        ({}, "transcript is an object, must be an array"),
        (["a"], "transcript[0] is a string, must be an object"),
        ([None], "transcript[0] is null, must be an object"),
        ([{"role": "user"}], "transcript[0].content is missing"),
        (
            [{"role": "user", "content": "", "words": [{"word": "a", "start": "0", "end": 1}]}],
            "transcript[0].words[0].start is a string, must be a number",
        ),
    ],
)
def test_what_is_wrong_in_a_transcript_is_named_by_its_place(transcript: Any, words: str) -> None:
    with pytest.raises(LlmPayloadError) as caught:
        required(transcript)
    assert str(caught.value) == f"response_required: {words}"


def test_whole_numbers_may_be_written_as_floats() -> None:
    assert from_llm_server("response", response_id=3.0) == Response(
        response_id=3, content_complete=True
    )
    assert from_llm_server("ping_pong", timestamp=1703302407333.25) == LlmPingPong(
        timestamp=1703302407333
    )
    assert from_llm_server(
        "update_agent", agent_config={"responsiveness": 1, "reminder_trigger_ms": 5000.0}
    ) == UpdateAgent(agent_config=AgentConfig(responsiveness=1.0, reminder_trigger_ms=5000))


def test_null_counts_as_absent() -> None:
    assert from_llm_server("config", config={"call_details": None}) == Config()
    assert from_llm_server("response", transfer_number=None, end_call=None) == Response(
        response_id=1, content_complete=True
    )
    assert required(None) == ResponseRequired(response_id=1)
    with pytest.raises(LlmPayloadError, match="response_id is missing"):
        from_llm_server("response", response_id=None)
    assert from_llm_server("metadata", metadata=None) == LlmMetadata(metadata=None)


@pytest.mark.parametrize("kind", ["response", "agent_interrupt"])
@pytest.mark.parametrize("complete", [True, False])
def test_content_may_be_null_or_missing_beside_content_complete(kind: str, complete: bool) -> None:
    body = {"response_type": kind, **ALL_FROM_LLM[kind], "content_complete": complete}
    del body["content"]
    for received in (body, {**body, "content": None}):
        message = RETELL.receive(json.dumps(received))
        assert isinstance(message, Response | AgentInterrupt)
        assert (message.content, message.content_complete) == ("", complete)


@pytest.mark.parametrize("timestamp", [None, "1703302407333", "", True, {}, [], 1e300, 10**400])
def test_a_ping_pong_counts_whatever_its_timestamp(timestamp: Any) -> None:
    assert from_llm_server("ping_pong", timestamp=timestamp) == LlmPingPong(timestamp=None)
    assert RETELL.receive('{"response_type": "ping_pong"}') == LlmPingPong()


@pytest.mark.parametrize("side", [RETELL, LLM])
def test_a_byte_order_mark_is_skipped(side: RetellSide | LlmSide) -> None:
    text = '{"response_type": "ping_pong", "interaction_type": "ping_pong", "timestamp": 1}'
    for received in (f"\ufeff{text}", f"\ufeff{text}".encode()):
        assert side.receive(received) in (LlmPingPong(timestamp=1), PingPong(timestamp=1))


def test_fields_that_are_not_known_are_ignored() -> None:
    assert from_llm_server("config", config={"later": 1}, response_id=1) == Config()
    assert required([{"role": "user", "content": "a", "id": 7}]) == ResponseRequired(
        response_id=1, transcript=(Utterance("user", "a"),)
    )


def test_items_of_a_role_that_is_not_known_are_left_out() -> None:
    tool = {"role": "tool_call_result", "tool_call_id": "1", "content": ""}
    said = {"role": "user", "content": "a"}
    transcript = [{"role": "node_transition"}, tool, said]
    message = LLM.receive(
        json.dumps(
            {
                "interaction_type": "update_only",
                "transcript": transcript,
                "transcript_with_tool_calls": transcript,
                "turntaking": "user_turn",
            }
        )
    )
    assert message == UpdateOnly(
        transcript=(Utterance("user", "a"),),
        transcript_with_tool_calls=(
            ToolCallResult(tool_call_id="1", content=""),
            Utterance("user", "a"),
        ),
        turn="user",
    )


def test_a_type_that_is_not_known_is_passed_on() -> None:
    text = '{"response_type": "later",  "x": 1}'
    assert RETELL.receive(text) == UnknownLlmMessage(message=text)
    assert RETELL.receive(text.encode()) == UnknownLlmMessage(message=text)
    long = json.dumps({"interaction_type": "later", "x": "y" * 9000})
    assert LLM.receive(long) == UnknownLlmMessage(message=long[:4096])


def test_a_message_without_a_type_is_a_response() -> None:
    body = '{"response_id": 1, "content": "Hi", "content_complete": true}'
    assert RETELL.receive(body) == Response(response_id=1, content="Hi", content_complete=True)
    with pytest.raises(
        LlmPayloadError, match=r"\(there is no response_type\): content_complete is missing"
    ):
        RETELL.receive('{"type": "response", "response_id": 1}')
    with pytest.raises(LlmPayloadError, match="interaction_type is missing"):
        LLM.receive(body)


NOT_OBJECTS = [
    *("", " ", "hello", "{", "[1]", "3", '"x"', "null", "true", "NaN"),
    *("\ufeff", "\ufeffx", "{}}"),
    '{"a":' * 100_000,
    '{"response_type": "metadata", "metadata": NaN}',
    '{"response_type": "metadata", "metadata": -Infinity}',
    '{"response_type": "metadata", "metadata": 1e999}',
    '{"response_type": "ping_pong", "timestamp": ' + "9" * 5000 + "}",
    b"\xff\xfe\x00",
    b"\x80",
]


@pytest.mark.parametrize("message", NOT_OBJECTS, ids=lambda message: repr(message[:40]))
@pytest.mark.parametrize("side", [RETELL, LLM])
def test_what_is_no_json_object_has_no_field(
    side: RetellSide | LlmSide, message: str | bytes
) -> None:
    with pytest.raises(LlmPayloadError) as caught:
        side.receive(message)
    assert caught.value.field == ""
    assert len(str(caught.value)) < 200


def reading(side: RetellSide | LlmSide, message: str | bytes) -> LlmMessage | LlmPayloadError:
    try:
        return side.receive(message)
    except LlmPayloadError as error:
        return error


@given(st.text() | st.binary())
def test_anything_else_raises_nothing_else(message: str | bytes) -> None:
    for side in (RETELL, LLM):
        assert isinstance(reading(side, message), LlmMessage | LlmPayloadError)


names = st.sampled_from(
    [
        *(name for body in (*ALL_FROM_LLM.values(), *ALL_FROM_RETELL.values()) for name in body),
        *AgentConfig.__dataclass_fields__,
        *Config.__dataclass_fields__,
        *("transcript", "transcript_with_tool_calls", "turntaking", "role", "words", "word"),
        *("start", "end", "end_call", "transfer_number", "successful"),
    ]
)
kinds = st.sampled_from([*ALL_FROM_LLM, *ALL_FROM_RETELL, "update_only", "", 5, None])
nearly = st.dictionaries(
    names,
    st.recursive(
        json_values | st.sampled_from(["agent", "user", "tool_call_invocation", "user_turn"]),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=4),
        max_leaves=6,
    ),
    max_size=6,
)


@given(kinds, nearly)
def test_what_is_nearly_right_raises_nothing_else(kind: Any, body: dict[str, Any]) -> None:
    text = json.dumps({"response_type": kind, "interaction_type": kind, **body})
    for side in (RETELL, LLM):
        outcome = reading(side, text)
        assert isinstance(outcome, LlmMessage) or outcome.field


def test_on_the_wire() -> None:
    said = Utterance("user", "Hi", (Word("Hi", 0.5, 1.0),))
    call = ToolCallInvocation(tool_call_id="1", name="f", arguments="{}")
    result = ToolCallResult(tool_call_id="1", content="ok", successful=True)
    update = UpdateOnly(
        transcript=(said,), transcript_with_tool_calls=(said, call, result, Dtmf("#"))
    )
    words = {"role": "user", "content": "Hi", "words": [{"word": "Hi", "start": 0.5, "end": 1.0}]}
    assert json.loads(RETELL.encode(update)) == {
        "interaction_type": "update_only",
        "transcript": [words],
        "transcript_with_tool_calls": [
            words,
            {"role": "tool_call_invocation", "tool_call_id": "1", "name": "f", "arguments": "{}"},
            {
                "role": "tool_call_result",
                "tool_call_id": "1",
                "content": "ok",
                "successful": True,
            },
            {"role": "dtmf", "digit": "#"},
        ],
    }
    assert json.loads(RETELL.encode(UpdateOnly(turn="agent"))) == {
        "interaction_type": "update_only",
        "transcript": [],
        "turntaking": "agent_turn",
    }
    assert json.loads(LLM.encode(Config(call_details=True))) == {
        "response_type": "config",
        "config": {
            "auto_reconnect": False,
            "call_details": True,
            "transcript_with_tool_calls": False,
        },
    }
    assert json.loads(LLM.encode(UpdateAgent(agent_config=AgentConfig(responsiveness=0.5)))) == {
        "response_type": "update_agent",
        "agent_config": {"responsiveness": 0.5},
    }
    assert json.loads(LLM.encode(Response(response_id=0, content="Hi"))) == {
        "response_type": "response",
        "response_id": 0,
        "content": "Hi",
        "content_complete": False,
        "end_call": False,
    }


def test_a_side_encodes_only_what_it_sends() -> None:
    with pytest.raises(TypeError, match="PingPong is not what this side sends"):
        LLM.encode(PingPong(timestamp=1))
    with pytest.raises(TypeError, match="LlmPingPong is not what this side sends"):
        RETELL.encode(LlmPingPong(timestamp=1))


@pytest.mark.parametrize(
    ("prefix", "url"),
    [
        ("ws://host/llm-websocket", "ws://host/llm-websocket/c%2F1"),
        ("wss://host:8080/llm-websocket/", "wss://host:8080/llm-websocket/c%2F1"),
        ("http://host", "ws://host/c%2F1"),
        ("https://user:word@host/a?tenant=7&x=y", "wss://user:word@host/a/c%2F1?tenant=7&x=y"),
    ],
)
def test_the_call_id_becomes_the_last_part_of_the_path(prefix: str, url: str) -> None:
    assert llm_url(prefix, "c/1") == url


@pytest.mark.parametrize(
    "prefix",
    ["", "localhost:8080", "ftp://host", "ws://", "ws://host:port/", "ws://host/#a", "ws://["],
)
def test_what_is_no_url_of_an_llm_server_is_refused(prefix: str) -> None:
    with pytest.raises(ConfigError, match="is not the URL of an LLM server"):
        llm_url(prefix, "c1")


def test_a_refused_url_is_shown_without_its_secrets() -> None:
    with pytest.raises(ConfigError) as caught:
        llm_url("ftp://user:word@host/a?key=7", "c1")
    assert "'ftp://host/a'" in str(caught.value)
