"""Twilio's dialect, both sides, against its documents and its own helper library."""

import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.dialects import Row, carry, messages, read, replay, reply, take_anything
from twilio.request_validator import RequestValidator

from retell_voice.events import (
    MalformedMessage,
    ProviderComplaint,
    UnknownMessage,
)
from retell_voice.protocol.messages import (
    AgentAudio,
    Clear,
    Digit,
    Marked,
    MicrophoneAudio,
)
from retell_voice.protocol.phone import MOST_MARKS, Caller
from retell_voice.protocol.twilio import TwilioClient, TwilioServer, is_signed, signature

CALLER = Caller(
    account="AC" + "a" * 32,
    call="CA" + "c" * 32,
    stream="MZ" + "d" * 32,
    parameters={"name": "Ann"},
)
STREAM = CALLER.stream
START: dict[str, Any] = {
    "event": "start",
    "sequenceNumber": "1",
    "start": {
        "accountSid": CALLER.account,
        "streamSid": STREAM,
        "callSid": CALLER.call,
        "tracks": ["inbound"],
        "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        "customParameters": {"name": "Ann"},
    },
    "streamSid": STREAM,
}


def media(payload: bytes, stream: str = STREAM) -> dict[str, Any]:
    return {
        "event": "media",
        "streamSid": stream,
        "media": {"payload": b64encode(payload).decode()},
    }


def inbound(number: int, payload: bytes) -> dict[str, Any]:
    return {
        "event": "media",
        "sequenceNumber": str(number),
        "media": {
            "track": "inbound",
            "chunk": str(number - 1),
            "timestamp": str(20 * (number - 2)),
            "payload": b64encode(payload).decode(),
        },
        "streamSid": STREAM,
    }


CONVERSATION: list[Row] = [
    ("provider", {"event": "connected", "protocol": "Call", "version": "1.0.0"}, []),
    ("provider", START, []),
    ("provider", inbound(2, b"\x7f\xff"), [MicrophoneAudio(data=b"\x7f\xff")]),
    ("server", media(b"\x01" * 400), [AgentAudio(data=b"\x01" * 400)]),
    (
        "server",
        {"event": "mark", "streamSid": STREAM, "mark": {"name": "hello"}},
        [AgentAudio(data=b"", cue=1)],
    ),
    (
        "provider",
        {
            "event": "dtmf",
            "sequenceNumber": "3",
            "streamSid": STREAM,
            "dtmf": {"track": "inbound_track", "digit": "#"},
        },
        [Digit(digit="#")],
    ),
    (
        "provider",
        {
            "event": "mark",
            "sequenceNumber": "4",
            "streamSid": STREAM,
            "mark": {"name": "hello"},
        },
        [Marked(name="hello")],
    ),
    (
        "server",
        {"event": "clear", "streamSid": STREAM},
        [
            Clear(),
            reply("mark", sequenceNumber="1", streamSid=STREAM, mark={"name": "hello"}),
        ],
    ),
    (
        "provider",
        {
            "event": "stop",
            "sequenceNumber": "5",
            "streamSid": STREAM,
            "stop": {"accountSid": CALLER.account, "callSid": CALLER.call},
        },
        [],
    ),
]


def test_a_conversation_as_documented() -> None:
    server = TwilioServer()
    assert not server.is_ready
    replay(TwilioClient(CALLER), server, CONVERSATION)
    assert server.is_ready
    assert server.caller == CALLER


def test_what_twilio_says_is_to_the_letter() -> None:
    client = TwilioClient(CALLER)
    connected, start = map(json.loads, client.opening())
    assert connected == {"event": "connected", "protocol": "Call", "version": "1.0.0"}
    assert start == START
    assert json.loads(client.audio(b"\xff" * 160, 3.0)) == inbound(2, b"\xff" * 160)
    assert json.loads(client.audio(b"\xfe" * 160, 3.02)) == inbound(3, b"\xfe" * 160)
    assert json.loads(client.digit("5")) == {
        "event": "dtmf",
        "sequenceNumber": "4",
        "streamSid": STREAM,
        "dtmf": {"track": "inbound_track", "digit": "5"},
    }
    (stop,) = client.closing()
    assert json.loads(stop) == {
        "event": "stop",
        "sequenceNumber": "5",
        "streamSid": STREAM,
        "stop": {"accountSid": CALLER.account, "callSid": CALLER.call},
    }


def test_what_the_server_says_is_to_the_letter_and_no_more() -> None:
    server = TwilioServer()
    server.receive(json.dumps(START))
    assert json.loads(server.audio(b"\1\2", "Hi")) == media(b"\1\2")
    assert json.loads(server.mark("m")) == {
        "event": "mark",
        "streamSid": STREAM,
        "mark": {"name": "m"},
    }
    assert json.loads(server.clear()) == {"event": "clear", "streamSid": STREAM}
    said: list[object] = [server.pong(), server.update(()), server.metadata(1)]  # type: ignore[func-returns-value]
    assert said == [None] * 3


def test_timestamps_skip_where_frames_were_left_out_and_never_go_back() -> None:
    client = TwilioClient(CALLER)
    stamps = [
        json.loads(client.audio(b"\xff" * 160, at))["media"]["timestamp"]
        for at in (1.0, 1.021, 1.039, 2.0, 1.9, 2.04)
    ]
    assert stamps == ["0", "20", "40", "1000", "1020", "1040"]


def test_numbers_of_the_call_go_with_the_parameters_which_go_before() -> None:
    caller = Caller(stream="MZ", from_number="+1", to_number="+2", parameters={"to_number": "x"})
    start = json.loads(TwilioClient(caller).opening()[1])["start"]
    assert start["customParameters"] == {"from_number": "+1", "to_number": "x"}


def test_a_mark_is_told_of_once_and_not_after_a_clear() -> None:
    client = TwilioClient(CALLER)
    cues = [read(client, mark(name))[0].cue for name in "abc"]
    assert json.loads(client.heard(cues[0]) or "")["mark"] == {"name": "a"}
    assert client.heard(cues[0]) is None
    cleared = read(client, json.dumps({"event": "clear", "streamSid": STREAM}))
    names = [json.loads(each.message)["mark"]["name"] for each in cleared[1:]]
    assert names == ["b", "c"]
    assert [client.heard(cue) for cue in cues] == [None] * 3
    assert client.heard("no cue") is None
    (again,) = read(client, mark("b"))
    assert again.cue not in cues


def mark(name: str) -> str:
    return json.dumps({"event": "mark", "streamSid": STREAM, "mark": {"name": name}})


def test_marks_have_a_bound() -> None:
    client = TwilioClient(CALLER)
    for _ in range(MOST_MARKS):
        client.receive(mark("x"))
    (event,) = read(client, mark("x"))
    assert isinstance(event, MalformedMessage)
    assert str(MOST_MARKS) in event.problem


@pytest.mark.parametrize(
    ("message", "code", "words"),
    [
        (b"\xff" * 160, "31950", "a binary message: Twilio takes text only"),
        ("{", "31951", "no JSON"),
        ("[1]", "31951", "expected an object, got list"),
        ("null", "31951", "the message: is missing"),
        ("{}", "31951", "the event None is none that Twilio takes (media, mark, clear)"),
        ('{"event":"start"}', "31951", "the event 'start' is none"),
        ('{"event":["media"]}', "31951", "is none that Twilio takes"),
        ('{"event":"clear"}', "31951", "clear: streamSid is missing"),
        ('{"event":"clear","streamSid":"MZ1"}', "31951", "'MZ1' is not that of this stream"),
        (
            {"event": "media", "streamSid": STREAM},
            "31951",
            "media: media is missing",
        ),
        (
            {"event": "media", "streamSid": STREAM, "media": {"playload": "AAAA"}},
            "31951",
            "media: media.payload is missing",
        ),
        (
            {"event": "media", "streamSid": STREAM, "media": {"payload": 5}},
            "31951",
            "media.payload expected a string, got int",
        ),
        (
            {"event": "media", "streamSid": STREAM, "media": {"payload": "***"}},
            "31951",
            "not base64",
        ),
        (
            {"event": "mark", "streamSid": STREAM, "mark": {"name": None}},
            "31951",
            "mark: mark.name is missing",
        ),
    ],
)
def test_what_twilio_refuses_is_said_in_its_number_and_ignored(
    message: Any, code: str, words: str
) -> None:
    said = json.dumps(message) if isinstance(message, dict) else message
    strict = TwilioClient(CALLER)
    (event,) = strict.receive(said, 2.0)
    assert isinstance(event, ProviderComplaint)
    assert (event.provider, event.code, event.at) == ("Twilio", code, 2.0)
    assert words in event.problem
    assert event.problem.endswith("; it is ignored")
    assert event.excerpt
    assert strict.receive(said) == [], "each is told once"


def test_without_being_strict_what_has_a_meaning_is_done() -> None:
    client = TwilioClient(CALLER, strict=False)
    assert read(client, json.dumps({"event": "clear"})) == [Clear()]
    other = json.dumps(media(b"\1", "MZother"))
    assert read(client, other) == [AgentAudio(data=b"\1")]
    assert read(client, '{"event":"hello"}') == [UnknownMessage(message='{"event":"hello"}')]
    for message in ("{", b"\0", '{"event":"media","media":{"payload":"***"}}'):
        (event,) = client.receive(message)
        assert isinstance(event, MalformedMessage)


def test_a_field_too_many_is_told_of_and_the_rest_is_played() -> None:
    client = TwilioClient(CALLER)
    body = media(b"\1")
    body["media"]["track"] = "outbound"
    body["sequenceNumber"] = "1"
    complaint, audio = read(client, json.dumps(body))
    assert complaint.code == "31951"
    assert "sequenceNumber, media.track is more than Twilio knows" in complaint.problem
    assert audio == AgentAudio(data=b"\1")


def test_the_header_of_a_wav_file_is_told_of() -> None:
    complaint, audio = read(TwilioClient(CALLER), json.dumps(media(b"RIFF1234")))
    assert "header of a WAV file" in complaint.problem
    assert audio.data == b"RIFF1234"


def test_more_than_ten_minutes_are_dropped_until_some_have_been_played() -> None:
    client = TwilioClient(CALLER)
    minute = json.dumps(media(b"\xff" * 8000 * 60))
    heard = [read(client, minute, 10.0) for _ in range(10)]
    assert [len(events[0].data) for events in heard] == [480_000] * 10
    (complaint,) = read(client, minute, 10.0)
    assert complaint.code == "31931"
    assert "more than 600 s" in complaint.problem
    assert read(client, minute, 10.0) == []
    (audio,) = read(client, minute, 40.0)
    assert len(audio.data) == 240_000, "half a minute has been played"
    client.receive(json.dumps({"event": "clear", "streamSid": STREAM}), 41.0)
    (audio,) = read(client, minute, 41.0)
    assert len(audio.data) == 480_000


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (b"\0", "a binary message"),
        ("{", "no JSON"),
        ('{"event":"media"}', "media is missing"),
        ('{"event":"media","media":{"payload":7}}', "payload expected a string, got int"),
        ('{"event":"media","media":{"payload":"***"}}', "not base64"),
        ('{"event":"start","start":{}}', "streamSid is missing"),
        ('{"event":"start","start":[]}', "start expected an object, got list"),
        ('{"event":"dtmf","dtmf":{}}', "digit is missing"),
        ('{"event":"mark"}', "mark is missing"),
    ],
)
def test_the_server_names_what_it_cannot_read(message: str | bytes, problem: str) -> None:
    (event,) = TwilioServer().receive(message, 3.0)
    assert isinstance(event, MalformedMessage)
    assert problem in event.problem
    assert event.at == 3.0


def test_the_server_passes_over_what_it_does_not_know_and_its_own_voice() -> None:
    server = TwilioServer()
    assert server.receive('{"event":"later"}') == [UnknownMessage(message='{"event":"later"}')]
    assert server.receive('{"event":5}') == [UnknownMessage(message='{"event":5}')]
    own = inbound(2, b"\1")
    own["media"]["track"] = "outbound"
    assert server.receive(json.dumps(own)) == []


def test_a_call_of_16_bit_audio_is_mulaw_on_the_wire() -> None:
    server, client = TwilioServer(is_mulaw=False), TwilioClient(CALLER)
    for message in client.opening():
        server.receive(message)
    (audio,) = read(client, server.audio(b"\0\0" * 3))
    assert audio.data == b"\xff\xff\xff"
    (heard,) = read(server, client.audio(b"\xff\xff"))
    assert heard.data == b"\0\0\0\0"


NEARLY: dict[str, list[Any]] = {
    "event": ["media", "mark", "clear", "start", "dtmf", "stop", "connected"],
    "streamSid": [STREAM],
    "media": [{"payload": "AAAA"}, {"payload": "AAAA", "track": "inbound"}],
    "mark": [{"name": "m"}],
    "start": [START["start"]],
    "dtmf": [{"digit": "1"}],
    "payload": ["AAAA", "%%%"],
    "name": ["m"],
}


@given(st.lists(messages(NEARLY), max_size=4), st.booleans())
def test_no_message_ever_raises(said: list[str | bytes], strict: bool) -> None:
    sides: list[Any] = [TwilioClient(CALLER, strict=strict), TwilioServer()]
    take_anything(sides, said)


@given(st.lists(st.binary(min_size=1, max_size=50), max_size=9))
def test_audio_survives_both_ways(pieces: list[bytes]) -> None:
    carry(TwilioClient(CALLER), TwilioServer(), pieces)


# Its signature, with the library of its makers

TOKEN = "0123456789abcdef0123456789abcdef"
URLS = ("wss://example.com/ws", "ws://localhost:8765/audio-websocket/c1", "wss://h/ü?x=1")


@pytest.mark.parametrize("url", URLS)
def test_signatures_are_those_of_twilios_library(url: str) -> None:
    validator = RequestValidator(TOKEN)
    assert validator.validate(url, {}, signature(TOKEN, url))
    assert is_signed(validator.compute_signature(url, {}), TOKEN, url)
    assert not is_signed(validator.compute_signature(url + "/", {}), TOKEN, url)
    assert not is_signed(signature("another", url), TOKEN, url)
    assert not is_signed("ü\ud800", TOKEN, url)
