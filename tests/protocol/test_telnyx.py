"""Telnyx' dialect, both sides, against its guide."""

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
    Reply,
)
from retell_voice.protocol.phone import Caller
from retell_voice.protocol.telnyx import TOKEN, TelnyxClient, TelnyxServer, is_token

CALLER = Caller(
    account="u1",
    call="v3:c1",
    stream="6d1d9a4c",
    from_number="+15550100",
    to_number="+15550199",
    parameters={"plan": "gold"},
)
START: dict[str, Any] = {
    "event": "start",
    "sequence_number": "1",
    "start": {
        "user_id": "u1",
        "call_control_id": "v3:c1",
        "call_session_id": "s1",
        "from": "+15550100",
        "to": "+15550199",
        "tags": [],
        "client_state": "",
        "custom_parameters": {"plan": "gold"},
        "media_format": {"encoding": "PCMU", "sample_rate": 8000, "channels": 1},
    },
    "stream_id": "6d1d9a4c",
}
FRAME = b"\x7f" * 160


def b64(data: bytes) -> str:
    return b64encode(data).decode()


def inbound(chunk: int, data: bytes) -> dict[str, Any]:
    return {
        "event": "media",
        "sequence_number": str(chunk + 1),
        "media": {
            "track": "inbound",
            "chunk": str(chunk),
            "timestamp": str(20 * (chunk - 1)),
            "payload": b64(data),
        },
        "stream_id": "6d1d9a4c",
    }


def media(data: bytes) -> dict[str, Any]:
    return {"event": "media", "media": {"payload": b64(data)}}


CONVERSATION: list[Row] = [
    ("provider", {"event": "connected", "version": "1.0.0"}, []),
    ("provider", START, []),
    ("provider", inbound(1, FRAME), [MicrophoneAudio(data=FRAME)]),
    ("server", media(FRAME), [AgentAudio(data=FRAME)]),
    ("server", {"event": "mark", "mark": {"name": "a"}}, [AgentAudio(data=b"", cue=1)]),
    (
        "provider",
        {
            "event": "dtmf",
            "stream_id": "6d1d9a4c",
            "sequence_number": "3",
            "occurred_at": "2026-01-31T12:00:00.500000Z",
            "dtmf": {"digit": "*"},
        },
        [Digit(digit="*")],
    ),
    ("provider", {"event": "mark", "mark": {"name": "a"}}, [Marked(name="a")]),
    (
        "server",
        {"event": "clear"},
        [Clear(), reply("mark", sequence_number="1", mark={"name": "a"}, stream_id="6d1d9a4c")],
    ),
    ("provider", {"event": "error", "payload": {"code": 100003, "title": "t", "detail": ""}}, []),
    ("provider", {"event": "stop", "stop": {"user_id": "u1", "call_control_id": "v3:c1"}}, []),
]


def test_a_conversation_as_documented() -> None:
    server = TelnyxServer()
    assert not server.is_ready
    replay(TelnyxClient(CALLER), server, CONVERSATION)
    assert server.is_ready
    assert server.caller == CALLER


def test_what_telnyx_says_is_to_the_letter() -> None:
    client = TelnyxClient(CALLER, session="s1", epoch=1_769_860_800.0)
    connected, start = map(json.loads, client.opening())
    assert connected == {"event": "connected", "version": "1.0.0"}
    assert start == START
    assert json.loads(client.audio(FRAME, 2.0)) == inbound(1, FRAME)
    assert json.loads(client.digit("5", 0.5)) == {
        "event": "dtmf",
        "sequence_number": "3",
        "occurred_at": "2026-01-31T12:00:00.500000Z",
        "dtmf": {"digit": "5"},
        "stream_id": "6d1d9a4c",
    }
    assert [json.loads(each) for each in client.closing()] == [
        {
            "event": "stop",
            "sequence_number": "4",
            "stop": {"user_id": "u1", "call_control_id": "v3:c1"},
            "stream_id": "6d1d9a4c",
        }
    ]


def test_a_token_is_told_in_connected() -> None:
    connected = json.loads(TelnyxClient(CALLER, auth_token="t0ken").opening()[0])
    assert connected["connected"] == {TOKEN: "t0ken"}
    assert is_token("t0ken", "t0ken")
    assert not is_token("t0ke\ud800", "t0ken")


def test_what_the_server_says_needs_no_stream() -> None:
    server = TelnyxServer()
    assert json.loads(server.audio(b"\1")) == media(b"\1")
    assert json.loads(server.mark("m")) == {"event": "mark", "mark": {"name": "m"}}
    assert json.loads(server.clear()) == {"event": "clear"}


@pytest.mark.parametrize(
    ("message", "code", "title", "words"),
    [
        (b"\0", 100003, "malformed_frame", "a binary message"),
        ("{", 100003, "malformed_frame", "no JSON"),
        ({"event": "media"}, 100003, "malformed_frame", "media is missing"),
        ({"event": "hello"}, 100002, "unknown_error", "'hello' is none that Telnyx takes"),
        (
            {"event": "media", "media": {"payload": "%%%"}},
            100004,
            "invalid_media",
            "not base64",
        ),
    ],
)
def test_a_server_is_told_of_its_errors_on_the_websocket(
    message: Any, code: int, title: str, words: str
) -> None:
    complaint, said = read(TelnyxClient(CALLER), message, 1.0)
    assert isinstance(complaint, ProviderComplaint)
    assert (complaint.code, complaint.at) == (str(code), 1.0)
    assert words in complaint.problem
    error = json.loads(said.message)
    assert (error["event"], error["stream_id"]) == ("error", "6d1d9a4c")
    assert (error["payload"]["code"], error["payload"]["title"]) == (code, title)
    assert words in error["payload"]["detail"]
    assert not [
        each
        for each in read(TelnyxClient(CALLER, strict=False), message)
        if isinstance(each, Reply)
    ]


@pytest.mark.parametrize(("length", "words"), [(159, "shorter than 20 ms"), (240_001, "longer")])
def test_pieces_that_are_too_short_or_too_long_are_told_of(length: int, words: str) -> None:
    complaint, audio = read(TelnyxClient(CALLER), media(b"\xff" * length))
    assert words in complaint.problem
    assert len(audio.data) == length
    (audio,) = read(TelnyxClient(CALLER), media(b"\xff" * 160))


def test_a_server_that_closes_is_told_that_the_call_would_go_on() -> None:
    (told,) = TelnyxClient(CALLER).left(3.0)
    assert isinstance(told, ProviderComplaint)
    assert "does not end a call" in told.problem
    assert TelnyxClient(CALLER, strict=False).left(3.0) == []


@pytest.mark.parametrize("name", ["PCMU", "PCMA", "L16", "L16BE"])
@pytest.mark.parametrize("back", ["PCMU", "PCMA", "L16", "L16BE"])
def test_each_direction_has_a_codec_of_its_own(name: Any, back: Any) -> None:
    sends, receives = Codec(name), Codec(back)
    client = TelnyxClient(CALLER, sends=sends, receives=receives)
    server = TelnyxServer(sends=receives, is_mulaw=False, big_endian=name == "L16BE")
    for message in client.opening():
        assert server.receive(message) == []
    quiet = b"\xff" * 160 if sends.is_mulaw else b"\0\1" * 160
    (heard,) = read(server, client.audio(quiet))
    assert len(heard.data) == 320, "16-bit PCM, whatever the codec"
    if name.startswith("L16"):
        assert heard.data == quiet
    (audio,) = read(client, server.audio(b"\0\1" * 160))
    assert len(audio.data) == (160 if receives.is_mulaw else 320)
    if back.startswith("L16"):
        assert audio.data == b"\0\1" * 160


def test_bytes_of_l16_go_in_the_order_that_is_asked_for() -> None:
    for name, payload in (("L16", b"\1\2"), ("L16BE", b"\2\1")):
        client = TelnyxClient(CALLER, sends=Codec(name))  # type: ignore[arg-type]
        assert json.loads(client.audio(b"\1\2"))["media"]["payload"] == b64(payload)
        assert json.loads(client.opening()[1])["start"]["media_format"]["encoding"] == "L16"


@pytest.mark.parametrize(
    ("order", "expected"),
    [
        ([1, 2, 3], "123"),
        ([2, 1, 3], "123"),
        ([3, 2, 1, 4], "1234"),
        ([1, 3, 4, 5, 6, 7, 8], "1345678"),  # 2 never came
        ([1, 2, 2, 1, 3], "123"),  # twice is once
    ],
)
def test_audio_is_put_in_order(order: list[int], expected: str) -> None:
    server = TelnyxServer()
    read(server, START)
    heard = [each.data.decode() for n in order for each in read(server, inbound(n, b"%d" % n))]
    assert "".join(heard) == expected


def test_audio_that_does_not_say_where_it_belongs_is_taken_as_it_comes() -> None:
    server = TelnyxServer()
    read(server, START)
    body = inbound(1, b"\1")
    chunks: list[Any] = [None, "x", "²", -1, 1.5, True, []]
    for chunk in chunks:
        body["media"]["chunk"] = chunk
        assert [each.data for each in read(server, body)] == [b"\1"]


@pytest.mark.parametrize(
    ("form", "problem"),
    [
        ({"encoding": "OPUS", "sample_rate": 16000}, "audio in 'OPUS' at 16000 Hz"),
        ({"encoding": "PCMU", "sample_rate": "8000"}, "audio in 'PCMU' at '8000' Hz"),
        ({"encoding": "PCMU", "sample_rate": 16000}, "PCMU has no rate of 16000 Hz"),
        ({"sample_rate": 8000}, "encoding is missing"),
    ],
)
def test_a_codec_that_is_not_read_is_named(form: dict[str, Any], problem: str) -> None:
    server = TelnyxServer()
    start = {**START["start"], "media_format": form}
    (event,) = read(server, {**START, "start": start})
    assert isinstance(event, MalformedMessage)
    assert problem in event.problem
    assert not server.is_ready


def test_a_leg_at_another_rate_than_the_call_is_named() -> None:
    server = TelnyxServer(sends=Codec("L16", 16_000), is_mulaw=False)
    read(server, START)
    (event,) = read(server, inbound(1, FRAME))
    assert event.problem == "audio at 8000 Hz in a call at 16000 Hz"
    assert read(server, inbound(2, FRAME)) == [], "it is said once, not fifty times a second"


NEARLY: dict[str, list[Any]] = {
    "event": ["media", "mark", "clear", "start", "dtmf", "stop", "connected", "error"],
    "stream_id": ["6d1d9a4c"],
    "media": [{"payload": "AAAA"}, {"payload": "AAAA", "chunk": "2"}],
    "mark": [{"name": "m"}],
    "start": [START["start"]],
    "dtmf": [{"digit": "1"}],
    "media_format": [{"encoding": "L16", "sample_rate": 16000}],
    "payload": ["AAAA", "%%%"],
    "chunk": ["1", 5, "x"],
    "name": ["m"],
}


@given(st.lists(messages(NEARLY), max_size=4), st.booleans())
def test_no_message_ever_raises(said: list[str | bytes], strict: bool) -> None:
    codec = Codec("L16", 16_000)
    sides: list[Any] = [
        TelnyxClient(CALLER, strict=strict, receives=codec),
        TelnyxServer(),
        TelnyxServer(sends=codec, is_mulaw=False),
    ]
    take_anything(sides, said)


@given(st.lists(st.binary(min_size=160, max_size=200), max_size=9))
def test_audio_survives_both_ways(pieces: list[bytes]) -> None:
    carry(TelnyxClient(CALLER), TelnyxServer(), pieces)
