"""Exotel's dialect, both sides."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import Row, messages, read, replay, reply, take_anything

from retell_voice.events import MalformedMessage, ProviderComplaint
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.exotel import ExotelClient, ExotelServer
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Digit,
    Marked,
    MicrophoneAudio,
)
from retell_voice.protocol.phone import Caller

CALLER = Caller(
    account="a1",
    call="c1",
    stream="s1",
    from_number="0155501",
    to_number="0155502",
    parameters={"plan": "gold"},
)
FRAME = b"\1\2" * 1600
START: dict[str, Any] = {
    "event": "start",
    "sequence_number": "1",
    "stream_sid": "s1",
    "start": {
        "stream_sid": "s1",
        "call_sid": "c1",
        "account_sid": "a1",
        "from": "0155501",
        "to": "0155502",
        "custom_parameters": {"plan": "gold"},
        "media_format": {"encoding": "audio/x-raw", "sample_rate": "8000", "bit_rate": "16"},
    },
}


def inbound(chunk: int, data: bytes) -> dict[str, Any]:
    return {
        "event": "media",
        "sequence_number": str(chunk + 1),
        "stream_sid": "s1",
        "media": {
            "chunk": str(chunk),
            "timestamp": str(100 * (chunk - 1)),
            "payload": b64encode(data).decode(),
        },
    }


def media(data: bytes) -> dict[str, Any]:
    payload = b64encode(data).decode()
    return {"event": "media", "stream_sid": "s1", "media": {"payload": payload}}


CONVERSATION: list[Row] = [
    ("provider", {"event": "connected"}, []),
    ("provider", START, []),
    ("provider", inbound(1, FRAME), [MicrophoneAudio(data=FRAME)]),
    ("server", media(FRAME), [AgentAudio(data=FRAME)]),
    (
        "server",
        {"event": "mark", "stream_sid": "s1", "mark": {"name": "a"}},
        [AgentAudio(data=b"", cue=1)],
    ),
    (
        "provider",
        {"event": "dtmf", "stream_sid": "s1", "dtmf": {"digit": "0", "duration": "200"}},
        [Digit(digit="0")],
    ),
    ("provider", {"event": "mark", "mark": {"name": "a"}}, [Marked(name="a")]),
    (
        "server",
        {"event": "clear", "stream_sid": "s1"},
        [Clear(), reply("mark", sequence_number="1", stream_sid="s1", mark={"name": "a"})],
    ),
    ("provider", {"event": "stop", "stream_sid": "s1", "stop": {"call_sid": "c1"}}, []),
]


def test_a_conversation_as_documented() -> None:
    server = ExotelServer()
    assert not server.is_ready
    replay(ExotelClient(CALLER), server, CONVERSATION)
    assert server.is_ready
    assert server.caller == CALLER


def test_what_exotel_says_is_to_the_letter() -> None:
    client = ExotelClient(CALLER)
    connected, start = map(json.loads, client.opening())
    assert (connected, start) == ({"event": "connected"}, START)
    assert json.loads(client.audio(bytes(1600), 1.0)) == inbound(1, bytes(1600))
    assert json.loads(client.audio(bytes(1600), 1.1)) == inbound(2, bytes(1600))
    assert json.loads(client.digit("#"))["dtmf"] == {"digit": "#", "duration": "200"}
    (stop,) = map(json.loads, client.closing())
    assert stop["stop"] == {"call_sid": "c1", "account_sid": "a1", "reason": "callended"}


@pytest.mark.parametrize(("rate", "frame_ms"), [(8000, 200), (16_000, 100), (24_000, 100)])
def test_the_server_sends_pieces_that_exotel_takes(rate: int, frame_ms: int) -> None:
    codec = Codec("L16", rate)
    server, client = ExotelServer(codec=codec), ExotelClient(CALLER, codec=codec)
    for message in client.opening():
        server.receive(message)
    assert server.frame_ms == frame_ms
    (audio,) = read(client, server.audio(bytes(rate * 2 * frame_ms // 1000)))
    assert isinstance(audio, AgentAudio)


@pytest.mark.parametrize("length", [320, 3199, 3201, 100_320])
def test_other_pieces_are_told_of(length: int) -> None:
    complaint, _ = read(ExotelClient(CALLER), media(bytes(length)))
    assert isinstance(complaint, ProviderComplaint)
    assert "not 3200 to 100000 bytes long and a multiple of 320" in complaint.problem


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (b"\0", "a binary message: Exotel takes text only"),
        ({"event": "clear"}, "stream_sid is missing"),
        ({"event": "clear", "streamSid": "s1"}, "stream_sid is missing"),
        ({"event": "clear", "stream_sid": "s2"}, "'s2' is not that of this stream"),
        ({"event": "playAudio"}, "'playAudio' is none that Exotel takes"),
    ],
)
def test_what_exotel_does_not_take_is_told(message: Any, words: str) -> None:
    (event,) = read(ExotelClient(CALLER), message)
    assert isinstance(event, ProviderComplaint)
    assert words in event.problem


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({}, "media_format.sample_rate 'None' is no rate"),
        ({"sample_rate": "²"}, "is no rate"),
        ({"sample_rate": "9000"}, "L16 has no rate of 9000 Hz"),
    ],
)
def test_a_rate_that_is_none_is_named(form: Any, problem: str) -> None:
    start = {**START["start"], "media_format": form}
    (event,) = read(ExotelServer(), {**START, "start": start})
    assert isinstance(event, MalformedMessage)
    assert problem in event.problem


NEARLY: dict[str, list[Any]] = {
    "event": ["media", "mark", "clear", "start", "dtmf", "stop", "connected"],
    "stream_sid": ["s1"],
    "media": [{"payload": "AAAA"}],
    "mark": [{"name": "m"}],
    "start": [START["start"]],
    "dtmf": [{"digit": "1"}],
    "media_format": [{"sample_rate": "16000"}],
    "payload": ["AAAA", "%%%"],
}


@given(st.lists(messages(NEARLY), max_size=4), st.booleans())
def test_no_message_ever_raises(said: list[str | bytes], strict: bool) -> None:
    sides: list[Any] = [ExotelClient(CALLER, strict=strict), ExotelServer()]
    take_anything(sides, said)


@given(st.lists(st.binary(max_size=50), max_size=9))
def test_no_byte_is_lost_whatever_the_chunking(pieces: list[bytes]) -> None:
    client, server = ExotelClient(CALLER), ExotelServer()
    for message in client.opening():
        server.receive(message)
    there = b"".join(
        e.data for n, each in enumerate(pieces) for e in read(server, inbound(n, each))
    )
    back = b"".join(
        e.data for each in pieces for e in read(client, media(each)) if isinstance(e, AgentAudio)
    )
    whole = b"".join(pieces)
    assert there == back == whole[: len(whole) // 2 * 2]
