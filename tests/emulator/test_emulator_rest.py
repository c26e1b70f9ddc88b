"""register-call and get-call: fields, validation, errors."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator.calls import CallStatus, RegisteredCall
from retell_voice.emulator.rest import HttpError, Request, Rest, parse_registration
from retell_voice.events import Utterance, Word

MINIMAL = {
    "agent_id": "an agent",
    "audio_websocket_protocol": "web",
    "audio_encoding": "s16le",
    "sample_rate": 16000,
}
KEY = {"authorization": "Bearer key"}


class Server:
    """The REST calls over a plain dict of calls."""

    def __init__(self, **settings: Any) -> None:
        self.calls: dict[str, RegisteredCall] = {}
        self.full = False
        self.rest = Rest(self._register, self.calls.get, **settings)

    def _register(self, call: RegisteredCall) -> bool:
        self.calls[call.call_id] = call
        return not self.full

    def ask(
        self, method: str, target: str, body: Any = None, headers: dict[str, str] = KEY
    ) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        reply = self.rest.respond(Request(method, target, headers, data))
        return reply.status, json.loads(json.dumps(reply.body))


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
    (call_id,) = server.calls
    assert body == MINIMAL | optional | {
        "call_id": call_id,
        "call_status": "registered",
        "drop_call_if_machine_detected": False,
        "opt_out_sensitive_data_storage": False,
    }
    assert server.calls[call_id].audio == AudioFormat(Encoding.S16LE, 16000)


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


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff", b"[1]", b"3", b'{"metadata": NaN}', b"[" * 100_000]
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


def test_too_many_calls_are_429() -> None:
    server = Server()
    server.full = True
    assert server.ask("POST", "/register-call", MINIMAL)[0] == 429


def test_get_call_tells_how_the_call_went() -> None:
    server = Server()
    call = RegisteredCall()
    server.calls[call.call_id] = call
    status, body = server.ask("GET", f"/get-call/{call.call_id}")
    assert (status, body["call_status"]) == (200, "registered")
    assert "transcript" not in body
    call.join(1000.5)
    call.transcript = (
        Utterance("agent", "Hi there", (Word("Hi", 0.0, 0.2), Word("there", 0.2, 0.5))),
        Utterance("user", "Hello"),
    )
    call.end(1002.25, "user_hangup")
    status, body = server.ask("GET", f"/v2/get-call/{call.call_id}?x=1")
    assert status == 200
    assert body["call_status"] == "ended"
    assert (body["start_timestamp"], body["end_timestamp"]) == (1000500, 1002250)
    assert body["transcript"] == "Agent: Hi there\nUser: Hello\n"
    assert body["transcript_object"][0]["words"][1] == {"word": "there", "start": 0.2, "end": 0.5}
    assert body["disconnection_reason"] == "user_hangup"


def test_an_error_is_a_status_of_its_own() -> None:
    call = RegisteredCall()
    call.end(1.0, "error_unknown")
    call.end(2.0, "user_hangup")
    assert (call.status, call.disconnection_reason) == (CallStatus.ERROR, "error_unknown")
