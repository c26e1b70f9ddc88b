"""Plivo's dialect, both sides."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import Row, carry, messages, read, replay, reply, take_anything

from retell_voice.events import MalformedMessage, ProviderComplaint
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Digit,
    Marked,
    MicrophoneAudio,
)
from retell_voice.protocol.phone import Caller
from retell_voice.protocol.plivo import PlivoClient, PlivoServer

CALLER = Caller(account="MA1", call="c1", stream="s1", parameters={"plan": "gold", "n": "1"})
EXTRA = "plan=gold;n=1"
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": 1,
    "start": {
        "callId": "c1",
        "streamId": "s1",
        "accountId": "MA1",
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000},
    },
    "extra_headers": EXTRA,
}


def inbound(chunk: int, moment: str, data: bytes) -> dict[str, Any]:
    return {
        "event": "media",
        "sequenceNumber": chunk + 1,
        "streamId": "s1",
        "media": {
            "track": "inbound",
            "timestamp": moment,
            "chunk": chunk,
            "payload": b64encode(data).decode(),
        },
        "extra_headers": EXTRA,
    }


def play(data: bytes, kind: str = "audio/x-mulaw", rate: int = 8000) -> dict[str, Any]:
    payload = b64encode(data).decode()
    media = {"contentType": kind, "sampleRate": rate, "payload": payload}
    return {"event": "playAudio", "media": media}


CONVERSATION: list[Row] = [
    ("provider", START, []),
    ("provider", inbound(1, "1000", b"\1\2"), [MicrophoneAudio(data=b"\1\2")]),
    ("server", play(b"\3\4"), [AgentAudio(data=b"\3\4")]),
    (
        "server",
        {"event": "checkpoint", "streamId": "s1", "name": "a"},
        [AgentAudio(data=b"", cue=1)],
    ),
    (
        "provider",
        {
            "event": "dtmf",
            "sequenceNumber": 3,
            "streamId": "s1",
            "dtmf": {"track": "inbound", "digit": "1", "timestamp": "1000"},
        },
        [Digit(digit="1")],
    ),
    (
        "provider",
        {"event": "playedStream", "sequenceNumber": 4, "streamId": "s1", "name": "a"},
        [Marked(name="a")],
    ),
    (
        "server",
        {"event": "clearAudio", "streamId": "s1"},
        [Clear(), reply("clearedAudio", sequenceNumber=1, streamId="s1")],
    ),
    ("provider", {"event": "clearedAudio", "sequenceNumber": 5, "streamId": "s1"}, []),
    ("provider", {"event": "stop"}, []),
]


def test_a_conversation_as_documented() -> None:
    server = PlivoServer()
    assert not server.is_ready
    replay(PlivoClient(CALLER), server, CONVERSATION)
    assert server.is_ready
    assert server.caller == CALLER


def test_what_plivo_says_is_to_the_letter() -> None:
    client = PlivoClient(CALLER, epoch=1.0)
    assert [json.loads(each) for each in client.opening()] == [START]
    assert json.loads(client.audio(b"\1" * 160, 5.0)) == inbound(1, "1000", b"\1" * 160)
    assert json.loads(client.audio(b"\1" * 160, 5.02)) == inbound(2, "1020", b"\1" * 160)
    digit = json.loads(client.digit("7", 0.25))
    assert digit["dtmf"] == {"track": "inbound", "digit": "7", "timestamp": "1250"}
    assert client.closing() == ()


def test_a_checkpoint_that_was_cleared_is_not_told_of() -> None:
    client = PlivoClient(CALLER)
    message = {"event": "checkpoint", "streamId": "s1", "name": "a"}
    cues = [read(client, message)[0].cue for _ in range(2)]
    assert json.loads(client.heard(cues[0]) or "") == {
        "event": "playedStream",
        "sequenceNumber": 1,
        "streamId": "s1",
        "name": "a",
    }
    read(client, {"event": "clearAudio"})
    assert client.heard(cues[1]) is None


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\0", "a binary message: Plivo takes text only"),
        ({"event": "media"}, "'media' is none that Plivo takes (playAudio, checkpoint, clear"),
        ({"event": "playAudio"}, "media is missing"),
        (
            {"event": "playAudio", "media": {"payload": "AAAA"}},
            "media.contentType is missing; media.sampleRate is missing",
        ),
        ({"event": "checkpoint", "streamId": "s1"}, "name is missing"),
        ({"event": "checkpoint", "streamId": "s2", "name": "a"}, "'s2' is not that of this"),
    ],
)
def test_what_plivo_does_not_take_is_told(message: Any, words: str) -> None:
    (event,) = read(PlivoClient(CALLER), message)
    assert isinstance(event, ProviderComplaint)
    assert words in event.problem


def test_audio_of_another_kind_than_the_streams_is_told_of() -> None:
    complaint, _ = read(PlivoClient(CALLER), play(b"\0\0", "audio/x-l16", 16_000))
    assert "('audio/x-l16', 16000) in a stream of ('audio/x-mulaw', 8000)" in complaint.problem
    assert len(read(PlivoClient(CALLER), play(b"\0", "audio/x-mulaw;rate=8000"))) == 1


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_16_bit_audio_is_what_it_is(rate: int) -> None:
    codec = Codec("L16", rate)
    client, server = PlivoClient(CALLER, codec=codec), PlivoServer(codec=codec, is_mulaw=False)
    for message in client.opening():
        server.receive(message)
    assert read(server, client.audio(b"\1\2\3\4")) == [MicrophoneAudio(data=b"\1\2\3\4")]
    assert read(client, server.audio(b"\1\2\3\4")) == [AgentAudio(data=b"\1\2\3\4")]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        ({"event": "start"}, "start is missing"),
        ({"event": "start", "start": {}}, "streamId is missing"),
        ({"event": "start", "start": {"streamId": "s"}}, "mediaFormat is missing"),
        (
            {
                "event": "start",
                "start": {
                    "streamId": "s",
                    "mediaFormat": {"encoding": "audio/opus", "sampleRate": 8000},
                },
            },
            "audio in 'audio/opus' at 8000 Hz cannot be read",
        ),
        ({"event": "playedStream"}, "name is missing"),
    ],
)
def test_the_server_names_what_it_cannot_read(message: Any, problem: str) -> None:
    (event,) = read(PlivoServer(), message)
    assert isinstance(event, MalformedMessage)
    assert problem in event.problem


NEARLY: dict[str, list[Any]] = {
    "event": ["playAudio", "checkpoint", "clearAudio", "start", "media", "dtmf", "playedStream"],
    "streamId": ["s1"],
    "media": [{"payload": "AAAA"}, play(b"")["media"]],
    "start": [START["start"]],
    "dtmf": [{"digit": "1"}],
    "name": ["m"],
    "extra_headers": [EXTRA, "{a=b}", ";;="],
}


@given(st.lists(messages(NEARLY), max_size=4), st.booleans())
def test_no_message_ever_raises(said: list[str | bytes], strict: bool) -> None:
    sides: list[Any] = [PlivoClient(CALLER, strict=strict), PlivoServer()]
    take_anything(sides, said)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=9))
def test_audio_survives_both_ways(pieces: list[bytes]) -> None:
    carry(PlivoClient(CALLER), PlivoServer(), pieces)
