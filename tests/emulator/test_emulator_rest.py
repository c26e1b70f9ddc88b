"""The REST calls: fields, validation, errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator.calls import Calls, CallStatus, RegisteredCall
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.api import Rest
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.rest.registering import parse_registration
from retell_voice.emulator.rest.replies import HttpError, Request
from retell_voice.emulator.server_events import ServerEvents
from retell_voice.events import Utterance, Word
from retell_voice.protocol.gateway import Admission
from retell_voice.protocol.llm import ToolCallInvocation, ToolCallResult

MINIMAL = {
    "agent_id": "an agent",
    "audio_websocket_protocol": "web",
    "audio_encoding": "s16le",
    "sample_rate": 16000,
}
KEY = {"authorization": "Bearer key"}


class Server:
    """The REST calls, and the calls they are about."""

    def __init__(self, max_calls: int | None = None, **settings: Any) -> None:
        self.calls = Calls(max_open=max_calls)
        self.stopped: list[RegisteredCall] = []
        registry = Registry(self.calls, ServerEvents(), now=lambda: 1000.0)
        self.steered: list[tuple[str | None, bool]] = []
        self.taken_over: list[str] = []
        self.rest = Rest(registry, self, **settings)

    def stop(self, call: RegisteredCall) -> None:
        self.stopped.append(call)

    def listen(self, call: RegisteredCall) -> Admission:
        return Admission(
            call_id=call.call_id, access_token="listen", identity="listener_1", expires_at=1030.0
        )

    def take_over(self, call: RegisteredCall, identity: str) -> None:
        self.taken_over.append(identity)

    def steer(self, call: RegisteredCall, context: str | None, respond: bool) -> None:
        self.steered.append((context, respond))

    def create(self, call: RegisteredCall) -> Admission:
        assert self.calls.add(call, 1000.0)
        return Admission(call_id=call.call_id, access_token="token", expires_at=1030.0)

    def ask(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] = KEY
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self.rest.respond(Request(method, target, headers, data))
        return reply.status, json.loads(json.dumps(reply.body))

    def call(self, **fields: Any) -> RegisteredCall:
        call = RegisteredCall(**fields)
        assert self.calls.add(call, 1000.0)
        return call


def test_register_answers_with_every_field() -> None:
    optional = {
        "end_call_after_silence_ms": 10000,
        "from_number": "+1",
        "to_number": "+2",
        "direction": "inbound",
        "metadata": {"id": [1, None]},
        "retell_llm_dynamic_variables": {"name": "Ann"},
    }
    server = Server()
    status, body = server.ask("POST", "/register-call", MINIMAL | optional)
    assert status == 201
    (call,) = server.calls
    call_id = call.call_id
    assert body == MINIMAL | optional | {
        "call_id": call_id,
        "start_timestamp": 1_000_000,  # the first clients cannot do without
        "call_status": "registered",
        "drop_call_if_machine_detected": False,
        "opt_out_sensitive_data_storage": False,
    }
    assert call.audio == AudioFormat(Encoding.S16LE, 16000)


@pytest.mark.parametrize(
    ("changes", "names"),
    [
        ({"agent_id": None}, "agent_id"),
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": 3}, "agent_id"),
        ({"audio_websocket_protocol": "sip"}, "audio_websocket_protocol"),
        ({"audio_encoding": "opus"}, "audio_encoding"),
        ({"sample_rate": 7999}, "sample_rate"),
        ({"sample_rate": 48001}, "sample_rate"),
        ({"sample_rate": "16000"}, "sample_rate"),
        ({"sample_rate": True}, "sample_rate"),
        ({"sample_rate": 16000.5}, "sample_rate"),
        ({"audio_websocket_protocol": "twilio", "audio_encoding": "mulaw"}, "sample_rate"),
        ({"end_call_after_silence_ms": 9999}, "end_call_after_silence_ms"),
        ({"direction": "sideways"}, "direction"),
        ({"from_number": 1}, "from_number"),
        ({"metadata": []}, "metadata"),
        ({"retell_llm_dynamic_variables": {"a": 1}}, "retell_llm_dynamic_variables"),
    ],
)
def test_a_wrong_field_is_named(changes: dict[str, Any], names: str) -> None:
    status, body = Server().ask("POST", "/register-call", MINIMAL | changes)
    assert status == 422
    assert body["status"] == "error"
    assert body["message"] == body["error_message"]
    assert body["message"].startswith(names)


@pytest.mark.parametrize("missing", MINIMAL)
def test_a_missing_field_is_named(missing: str) -> None:
    fields = {name: value for name, value in MINIMAL.items() if name != missing}
    status, body = Server().ask("POST", "/register-call", fields)
    assert (status, body["message"]) == (422, f"{missing} is required")


@pytest.mark.parametrize("path", ["/register-phone-call", "/v2/register-phone-call"])
def test_a_phone_call_is_registered_as_the_first_and_as_todays_clients_do(path: str) -> None:
    server = Server()
    today = {"agent_id": "a", "from_number": "+1", "to_number": "+2", "direction": "inbound"}
    status, body = server.ask("POST", path, today)
    assert status == 201
    (call,) = server.calls
    assert body == body | today | {"call_id": call.call_id, "call_type": "phone_call"}
    assert (call.protocol, call.audio) == ("twilio", AudioFormat(Encoding.MULAW, 8000))
    first = MINIMAL | {"sample_rate": 16000}
    status, body = server.ask("POST", path, first)
    assert (status, body["call_type"], body["sample_rate"]) == (201, "web_call", 16000)
    wrong = first | {"audio_websocket_protocol": "twilio"}
    status, body = server.ask("POST", path, wrong)
    assert status == 422
    assert body["message"].startswith("sample_rate does not fit: twilio carries mulaw 8000 Hz")
    assert server.ask("POST", path, {})[0] == 422


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"[1]",
        b"3",
        b'{"metadata": NaN}',
        b'{"metadata": {"x": 1e999}}',
        b"[" * 100_000,
        b'{"metadata": ' + b'{"x": ' * 100 + b"1" + b"}" * 101,
    ],
)
def test_what_is_not_a_json_object_is_400(body: bytes) -> None:
    assert Server().ask("POST", "/register-call", body)[0] == 400


@given(st.binary(max_size=200))
def test_random_bodies_are_refused_in_order(body: bytes) -> None:
    with pytest.raises(HttpError):
        parse_registration(body)


TEXT = st.text("ab€\ud800", max_size=3)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=4,
)


@given(st.dictionaries(st.sampled_from([*MINIMAL, "metadata", "direction", "x"]), JSON))
def test_random_fields_are_taken_or_refused(fields: dict[str, Any]) -> None:
    status, _ = Server().ask("POST", "/register-call", MINIMAL | fields)
    assert status in (201, 400, 422)


FIELDS = ["metadata", "data_storage_setting", "custom_attributes"]


@given(st.binary(max_size=100) | st.dictionaries(st.sampled_from(FIELDS), JSON))
def test_random_updates_are_taken_or_refused(fields: Any) -> None:
    server = Server()
    call = server.call()
    status, _ = server.ask("PATCH", f"/v2/update-call/{call.call_id}", fields)
    assert status in (200, 400, 422)


@pytest.mark.parametrize(
    "headers",
    [{}, {"authorization": ""}, {"authorization": "Bearer "}, {"authorization": "Basic key"}],
)
def test_a_key_is_needed(headers: dict[str, str]) -> None:
    for method, target in (("POST", "/register-call"), ("GET", "/get-call/x")):
        assert Server().ask(method, target, MINIMAL, headers)[0] == 401


def test_the_one_key_is_needed_where_there_is_one() -> None:
    server = Server(api_key="schlüssel")
    assert server.ask("POST", "/register-call", MINIMAL)[0] == 401
    right = {"authorization": "bearer schlüssel"}
    assert server.ask("POST", "/register-call", MINIMAL, right)[0] == 201


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("GET", "/register-call", 405),
        ("POST", "/get-call/x", 405),
        ("GET", "/get-call/x", 404),
        ("GET", "/v2/get-call/x", 404),
        ("GET", "/get-call", 404),
        ("GET", "/v3/list-calls", 405),
        ("POST", "/list-calls", 405),
        ("POST", "/v2/update-call/x", 405),
        ("PATCH", "/v2/update-call/x", 404),
        ("GET", "/v2/stop-call/x", 405),
        ("POST", "/v2/stop-call/x", 404),
        ("DELETE", "/v2/delete-call/x", 404),
        ("POST", "/v2/create-web-call", 501),
        ("POST", "/v3/create-web-call", 400),
        ("GET", "/v2/register-phone-call", 405),
        ("POST", "/create-phone-call", 501),
        ("POST", "/v2/listen-live-call/x", 404),
        ("POST", "/v2/take-over-live-call/x", 404),
        ("PATCH", "/v2/update-live-call/x", 404),
        ("PUT", "/rerun-call-analysis/x", 501),
        ("GET", "/rerun-call-analysis/x", 405),
        ("GET", "/", 404),
        ("GET", "*", 404),
        ("GET", "http://[", 404),
        ("GET", "/audio-websocket/x", 426),
    ],
)
def test_paths_and_methods(method: str, target: str, status: int) -> None:
    assert Server().ask(method, target)[0] == status


def test_a_prefix_stands_before_every_route() -> None:
    server = Server(prefix="/retell")
    assert server.ask("POST", "/retell/register-call", MINIMAL)[0] == 201
    assert server.ask("POST", "/register-call", MINIMAL)[0] == 404


def test_what_the_emulator_is_not_is_said_once() -> None:
    reply = Server().rest.respond(Request("POST", "/v2/create-web-call", KEY))
    assert "/v3/create-web-call" in reply.body["message"]
    assert reply.headers["X-Should-Retry"] == "false"


def test_too_many_calls_are_429_until_one_is_over() -> None:
    server = Server(max_calls=1)
    call = server.call()
    call.join(1000.0)
    assert server.ask("POST", "/register-call", MINIMAL)[0] == 429
    call.end(1001.0, "user_hangup")
    assert server.ask("POST", "/register-call", MINIMAL)[0] == 201


def test_concurrency_is_what_is_ongoing() -> None:
    server = Server(max_calls=3)
    server.call()
    server.call().join(1000.0)
    assert server.ask("GET", "/get-concurrency") == (
        200,
        {"current_concurrency": 1, "concurrency_limit": 3},
    )


def test_a_web_call_is_created_with_what_it_was_asked_for() -> None:
    server = Server()
    asked = {
        "agent_id": "an agent",
        "agent_version": 3,
        "metadata": {"id": 1},
        "retell_llm_dynamic_variables": {"name": "Ann"},
        "agent_override": {},
        "current_node_id": "n",
        "current_state": "s",
    }
    status, body = server.ask("POST", "/v3/create-web-call", asked)
    (call,) = server.calls
    assert status == 201
    assert body == {
        "call_id": call.call_id,
        "access_token": "token",
        "transport": "gateway",
        "ice_servers": [],
        "expires_at": 1_030_000,
    }
    assert (call.protocol, call.format) == ("gateway", "WebRTC")
    shown = call_body(call)
    assert shown["call_type"] == "web_call"
    assert shown["agent_version"] == 3
    assert shown["metadata"] == {"id": 1}
    assert shown["retell_llm_dynamic_variables"] == {"name": "Ann"}
    assert "audio_encoding" not in shown


@pytest.mark.parametrize("version", ["latest_published", "a tag", None])
def test_the_only_version_there_is_has_every_name(version: Any) -> None:
    server = Server()
    asked = {"agent_id": "a", "agent_version": version}
    assert server.ask("POST", "/v3/create-web-call", asked)[0] == 201
    (call,) = server.calls
    assert call_body(call)["agent_version"] == 0


@pytest.mark.parametrize(
    ("wrong", "name"),
    [
        ({"agent_id": ""}, "agent_id"),
        ({"agent_id": None}, "agent_id"),
        ({"agent_version": -1}, "agent_version"),
        ({"agent_version": 1.5}, "agent_version"),
        ({"metadata": []}, "metadata"),
        ({"retell_llm_dynamic_variables": {"a": 1}}, "retell_llm_dynamic_variables"),
        ({"agent_override": 1}, "agent_override"),
        ({"current_node_id": 1}, "current_node_id"),
        ({"current_state": 1}, "current_state"),
    ],
)
def test_a_web_call_asked_for_wrongly_is_refused(wrong: dict[str, Any], name: str) -> None:
    server = Server()
    status, body = server.ask("POST", "/v3/create-web-call", {"agent_id": "a"} | wrong)
    assert status == 422
    assert body["message"].startswith(name)
    assert not list(server.calls)


def test_get_call_tells_how_the_call_went() -> None:
    server = Server()
    call = server.call(metadata={"id": 7})
    status, body = server.ask("GET", f"/get-call/{call.call_id}")
    assert (status, body["call_status"], body["call_type"]) == (200, "registered", "web_call")
    assert "transcript" not in body
    call.join(1000.5)
    call.transcript = (
        Utterance("agent", "Hi there", (Word("Hi", 0.0, 0.2), Word("there", 0.2, 0.5))),
        Utterance("user", "Hello"),
    )
    call.transcript_with_tool_calls = (
        *call.transcript,
        ToolCallInvocation(tool_call_id="1", name="look", arguments="{}"),
        ToolCallResult(tool_call_id="1", content="seen"),
    )
    for latency in (100, 300, 200):
        call.measure("e2e", latency)
    assert "latency" not in call_body(call)
    call.end(1002.25, "user_hangup")
    status, body = server.ask("GET", f"/v2/get-call/{call.call_id}?x=1")
    assert status == 200
    assert body["call_status"] == "ended"
    assert body["metadata"] == {"id": 7}
    assert (body["start_timestamp"], body["end_timestamp"]) == (1000500, 1002250)
    assert body["duration_ms"] == 1750
    assert body["transcript"] == "Agent: Hi there\nUser: Hello\n"
    assert body["transcript_object"][0]["words"][1] == {"word": "there", "start": 0.2, "end": 0.5}
    assert body["transcript_with_tool_calls"][2:] == [
        {"role": "tool_call_invocation", "tool_call_id": "1", "name": "look", "arguments": "{}"},
        {"role": "tool_call_result", "tool_call_id": "1", "content": "seen"},
    ]
    assert body["latency"]["e2e"]["p50"] == 200
    assert (body["latency"]["e2e"]["min"], body["latency"]["e2e"]["num"]) == (100, 3)
    assert body["disconnection_reason"] == "user_hangup"


def test_an_update_changes_what_it_names() -> None:
    server = Server()
    call = server.call(metadata={"old": 1})
    path = f"/v2/update-call/{call.call_id}"
    strict = {"data_storage_setting": "everything_except_pii", "custom_attributes": {"tier": 1}}
    status, body = server.ask("PATCH", path, strict)
    assert (status, body["metadata"]) == (200, {"old": 1})
    assert body["data_storage_setting"] == "everything_except_pii"
    status, body = server.ask("PATCH", path, {"metadata": {"new": [2]}})
    assert (status, body["metadata"]) == (200, {"new": [2]})
    assert body["custom_attributes"] == {"tier": 1}
    assert server.ask("GET", f"/v2/get-call/{call.call_id}")[1] == body


@pytest.mark.parametrize(
    ("changes", "name"),
    [
        ({"metadata": [1]}, "metadata"),
        ({"metadata": {"x": "y" * 50_000}}, "metadata"),
        ({"data_storage_setting": "nothing"}, "data_storage_setting"),
        ({"data_storage_setting": "everything"}, "data_storage_setting"),
        ({"custom_attributes": {"x": []}}, "custom_attributes"),
    ],
)
def test_a_wrong_update_names_the_field_and_changes_nothing(
    changes: dict[str, Any], name: str
) -> None:
    server = Server()
    call = server.call(storage="basic_attributes_only")
    before = call_body(call)
    wrong = {"metadata": {"x": 1}} | changes
    status, body = server.ask("PATCH", f"/v2/update-call/{call.call_id}", wrong)
    assert (status, body["message"].split()[0]) == (422, name)
    assert call_body(call) == before


def test_only_an_ongoing_call_is_stopped() -> None:
    server = Server()
    call = server.call()
    path = f"/v2/stop-call/{call.call_id}"
    status, body = server.ask("POST", path)
    assert (status, body["message"]) == (
        422,
        "call_id is of a call that is registered, not ongoing",
    )
    call.join(1000.0)
    assert server.ask("POST", path) == (204, None)
    assert server.stopped == [call]


def test_a_call_is_deleted_unless_it_is_ongoing() -> None:
    server = Server()
    call, waiting = server.call(), server.call()
    call.join(1000.0)
    assert server.ask("DELETE", f"/v2/delete-call/{call.call_id}")[0] == 422
    call.end(1001.0, "user_hangup")
    for each in (call, waiting):
        assert server.ask("DELETE", f"/v2/delete-call/{each.call_id}") == (204, None)
        assert server.ask("GET", f"/v2/get-call/{each.call_id}")[0] == 404
    assert (waiting.over, waiting.disconnection_reason) == (True, "manual_stopped")


def test_an_error_is_a_status_of_its_own() -> None:
    call = RegisteredCall()
    call.end(1.0, "error_unknown")
    call.end(2.0, "user_hangup")
    assert (call.status, call.disconnection_reason) == (CallStatus.ERROR, "error_unknown")


# -- calls that are going on -----------------------------------------------------------------------


def test_a_listener_is_let_in() -> None:
    server = Server()
    call = server.call(protocol="gateway")
    path = f"/v2/listen-live-call/{call.call_id}"
    assert server.ask("POST", path, {})[0] == 422  # not ongoing
    call.join(1000.0)
    assert server.ask("POST", path, {}) == (
        201,
        {
            "access_token": "listen",
            "expires_at": 1_030_000,
            "participant_id": "listener_1",
            "room_name": "web_call_1",
            "transport": "gateway",
            "ice_servers": [],
        },
    )


def test_a_call_is_taken_over_by_a_listener() -> None:
    server = Server()
    call = server.call()
    path = f"/v2/take-over-live-call/{call.call_id}"
    assert server.ask("POST", path, {"participant_id": "x"})[0] == 422
    call.join(1000.0)
    for wrong in ({}, {"participant_id": 7}):
        assert server.ask("POST", path, wrong)[0] == 422
    assert server.ask("POST", path, {"participant_id": "x"}) == (200, {"success": True})
    assert server.taken_over == ["x"]


def test_a_live_call_is_steered_and_its_fields_are_overridden() -> None:
    server = Server()
    call = server.call(dynamic_variables={"name": "Ann", "city": "Bonn"})
    call.join(1000.0)

    def update(**body: Any) -> tuple[int, Any]:
        return server.ask("PATCH", f"/v2/update-live-call/{call.call_id}", body)

    overrides = {
        "metadata": {"id": 2},
        "data_storage_setting": "everything_except_pii",
        "override_dynamic_variables": {"name": "Eve"},
    }
    control = {"additional_context": "hurry up", "trigger_response": True}
    done = update(fields_to_override=overrides, call_control=control)
    assert done == (200, {"success": True})
    shown = call_body(call)
    assert shown["metadata"] == {"id": 2}
    assert shown["data_storage_setting"] == "everything_except_pii"
    assert shown["retell_llm_dynamic_variables"] == {"name": "Eve", "city": "Bonn"}
    assert server.steered == [("hurry up", True)]
    assert update(fields_to_override={"override_dynamic_variables": {"city": "Kiel"}})[0] == 200
    assert call_body(call)["retell_llm_dynamic_variables"] == {"name": "Eve", "city": "Kiel"}
    assert update(fields_to_override={"override_dynamic_variables": None})[0] == 200
    assert call_body(call)["retell_llm_dynamic_variables"] == {"name": "Ann", "city": "Bonn"}
    assert update(call_control={})[0] == update()[0] == 200
    assert len(server.steered) == 1


@pytest.mark.parametrize(
    ("body", "name"),
    [
        ({"fields_to_override": []}, "fields_to_override"),
        ({"fields_to_override": {"metadata": "x"}}, "fields_to_override.metadata"),
        ({"fields_to_override": {"metadata": {"x": "y" * 50_000}}}, "fields_to_override.metadata"),
        (
            {"fields_to_override": {"override_dynamic_variables": {"x": 1}}},
            "fields_to_override.override_dynamic_variables",
        ),
        (
            {"fields_to_override": {"data_storage_setting": "everything"}},
            "fields_to_override.data_storage_setting",
        ),
        ({"call_control": {"additional_context": ""}}, "call_control.additional_context"),
        ({"call_control": {"trigger_response": 1}}, "call_control.trigger_response"),
    ],
)
def test_a_wrong_update_of_a_live_call_changes_nothing(body: dict[str, Any], name: str) -> None:
    server = Server()
    call = server.call(storage="everything_except_pii")
    call.join(1000.0)
    control = {"call_control": {"additional_context": "x"}} | body
    status, answer = server.ask("PATCH", f"/v2/update-live-call/{call.call_id}", control)
    assert status == 422
    assert answer["message"].startswith(name)
    assert not server.steered
    assert call.metadata is None


@given(JSON)
def test_random_updates_of_a_live_call_are_taken_or_refused(body: Any) -> None:
    server = Server()
    call = server.call()
    call.join(1000.0)
    for inner in ({"fields_to_override": body}, {"call_control": body}, body):
        path = f"/v2/update-live-call/{call.call_id}"
        assert server.ask("PATCH", path, inner)[0] in (200, 400, 422)
