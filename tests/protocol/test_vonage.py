"""Vonage's dialect, both sides, against its guide."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import Row, messages, read, replay, reply, take_anything

from retell_voice.events import (
    MalformedMessage,
    ProviderComplaint,
    UnknownMessage,
)
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Digit,
    Marked,
    MicrophoneAudio,
)
from retell_voice.protocol.phone import MOST_MARKS, Caller
from retell_voice.protocol.vonage import VonageClient, VonageServer

CALLER = Caller(parameters={"plan": "gold", "from_number": "+15550100"})
CONNECTED = {
    "event": "websocket:connected",
    "content-type": "audio/l16;rate=16000",
    "plan": "gold",
    "from_number": "+15550100",
}
FRAME = b"\1\2" * 320
CONVERSATION: list[Row] = [
    ("provider", CONNECTED, []),
    ("provider", FRAME, [MicrophoneAudio(data=FRAME)]),
    ("server", FRAME, [AgentAudio(data=FRAME)]),
    ("server", {"action": "notify", "payload": {"mark": "a"}}, [AgentAudio(data=b"", cue=1)]),
    ("provider", {"event": "websocket:dtmf", "digit": "5", "duration": 260}, [Digit(digit="5")]),
    ("provider", {"event": "websocket:dtmf", "dtmf": {"digit": "6"}}, [Digit(digit="6")]),
    ("provider", {"event": "websocket:notify", "payload": {"mark": "a"}}, [Marked(name="a")]),
    ("provider", {"event": "websocket:notify", "payload": [1]}, []),
    ("server", {"action": "clear"}, [Clear(), reply("websocket:cleared")]),
    ("provider", {"event": "websocket:cleared"}, []),
    (
        "provider",
        {"event": "websocket:media:update"},
        [UnknownMessage(message='{"event": "websocket:media:update"}')],
    ),
]


def test_a_conversation_as_documented() -> None:
    server = VonageServer()
    assert not server.is_ready
    assert server.frame_ms == 20
    replay(VonageClient(CALLER), server, CONVERSATION)
    assert server.is_ready
    assert server.caller == CALLER


def test_what_vonage_says_is_to_the_letter() -> None:
    client = VonageClient(CALLER)
    assert [json.loads(each) for each in client.opening()] == [CONNECTED]
    assert client.audio(FRAME, 1.0) == FRAME
    assert json.loads(client.digit("#")) == {
        "event": "websocket:dtmf",
        "digit": "#",
        "duration": 260,
    }
    assert client.closing() == ()
    assert client.left() == []


def test_headers_do_not_hide_what_vonage_says_itself() -> None:
    caller = Caller(parameters={"event": "x", "content-type": "y"})
    (connected,) = VonageClient(caller).opening()
    assert json.loads(connected)["event"] == "websocket:connected"
    assert json.loads(connected)["content-type"] == "audio/l16;rate=16000"


def test_a_notify_comes_back_as_it_was_sent_and_not_after_a_clear() -> None:
    client = VonageClient(CALLER)
    payload = {"any": [1, None, {"deep": "x"}]}
    cues = [read(client, {"action": "notify", "payload": payload})[0].cue for _ in range(2)]
    assert json.loads(client.heard(cues[0]) or "") == {
        "event": "websocket:notify",
        "payload": payload,
    }
    clear, cleared = read(client, {"action": "clear"})
    assert (clear, json.loads(cleared.message)) == (Clear(), {"event": "websocket:cleared"})
    assert client.heard(cues[1]) is None


def test_notifies_have_a_bound() -> None:
    client = VonageClient(CALLER)
    for _ in range(MOST_MARKS):
        client.receive('{"action":"notify","payload":{}}')
    (event,) = client.receive('{"action":"notify","payload":{}}')
    assert isinstance(event, MalformedMessage)


@pytest.mark.parametrize(
    ("message", "words"),
    [
        ("{", "no JSON"),
        ("[]", "expected an object, got list"),
        ({}, "the action None is none that Vonage takes (clear, notify)"),
        ({"event": "clear"}, "the action None"),
        ({"action": ["clear"]}, "the action ['clear']"),
        ({"action": "notify"}, "its payload is no object"),
        ({"action": "notify", "payload": "x"}, "its payload is no object"),
    ],
)
def test_what_vonage_does_not_take_is_told(message: Any, words: str) -> None:
    (event,) = read(VonageClient(CALLER), message, 1.0)
    assert isinstance(event, ProviderComplaint)
    assert (event.provider, event.code, event.at) == ("Vonage", "", 1.0)
    assert words in event.problem
    (event,) = read(VonageClient(CALLER, strict=False), message)
    assert isinstance(event, MalformedMessage | UnknownMessage)


@pytest.mark.parametrize(("rate", "length"), [(8000, 320), (16_000, 640), (24_000, 960)])
def test_a_message_of_audio_is_20_ms_long(rate: int, length: int) -> None:
    client = VonageClient(CALLER, codec=Codec("L16", rate))
    assert read(client, bytes(length)) == [AgentAudio(data=bytes(length))]
    complaint, audio = read(client, bytes(length + 2))
    assert f"not {length} bytes long, which is 20 ms" in complaint.problem
    assert len(audio.data) == length + 2
    assert json.loads(client.opening()[0])["content-type"] == f"audio/l16;rate={rate}"


def test_more_than_a_minute_is_dropped() -> None:
    client = VonageClient(CALLER)
    for _ in range(3072):
        assert len(read(client, FRAME)) == 1
    (complaint,) = read(client, FRAME)
    assert "more than 61 s of audio wait" in complaint.problem
    assert read(client, FRAME) == []
    (audio,) = read(client, FRAME, 0.02)
    assert audio.data == FRAME


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ("{", "no JSON"),
        ({"event": "websocket:connected"}, "content-type is missing"),
        (
            {"event": "websocket:connected", "content-type": "audio/l16;rate=8000"},
            "audio is 'audio/l16;rate=8000', and the call's is audio/l16;rate=16000",
        ),
        ({"event": "websocket:dtmf"}, "digit is missing"),
    ],
)
def test_the_server_names_what_it_cannot_read(message: Any, problem: str) -> None:
    server = VonageServer()
    (event,) = read(server, message)
    assert isinstance(event, MalformedMessage)
    assert problem in event.problem
    assert not server.is_ready


NEARLY: dict[str, list[Any]] = {
    "event": ["websocket:connected", "websocket:dtmf", "websocket:notify", "websocket:cleared"],
    "action": ["clear", "notify"],
    "content-type": ["audio/l16;rate=16000"],
    "payload": [{}, {"mark": "a"}],
    "digit": ["1"],
    "dtmf": [{"digit": "1"}],
    "mark": ["a"],
}


@given(st.lists(messages(NEARLY), max_size=4), st.booleans())
def test_no_message_ever_raises(said: list[str | bytes], strict: bool) -> None:
    sides: list[Any] = [VonageClient(CALLER, strict=strict), VonageServer()]
    take_anything(sides, said)


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_no_byte_is_lost_whatever_the_chunking(pieces: list[bytes]) -> None:
    client, server = VonageClient(CALLER), VonageServer()
    there = b"".join(each.data for piece in pieces for each in read(server, piece))
    back = b"".join(
        each.data
        for piece in pieces
        for each in read(client, piece)
        if isinstance(each, AgentAudio)
    )
    whole = b"".join(pieces)
    assert there == back == whole[: len(whole) // 2 * 2]
