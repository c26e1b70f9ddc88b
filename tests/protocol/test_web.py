import json
from base64 import b64encode
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.events import (
    MalformedMessage,
    Metadata,
    Role,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
    Word,
)
from retell_voice.protocol.messages import AgentAudio, Clear, MicrophoneAudio, Ping, Pong
from retell_voice.protocol.web import WebClient, WebServer, call_url

SAID = (
    Utterance("agent", "Hello.", (Word("Hello.", 0.1, 0.5),)),
    Utterance("user", "Hi, ¿qué tal?"),
)


def test_url_takes_a_prefix_with_or_without_a_trailing_slash() -> None:
    for prefix in ("ws://host/audio-websocket", "ws://host/audio-websocket/"):
        url = call_url(prefix, "c1", updates=False, alignment=False)
        assert url == "ws://host/audio-websocket/c1"


def test_url_quotes_the_call_id_and_asks_for_what_is_wanted() -> None:
    url = call_url("ws://host/a", "../b c", updates=True, alignment=True)
    assert url == "ws://host/a/..%2Fb%20c?enable_update=true&enable_audio_alignment=true"


def test_plain_messages() -> None:
    client = WebClient(2)
    assert client.receive("clear", 1.5) == [Clear(at=1.5)]
    assert client.receive("pong", 2.5) == [Pong(at=2.5)]
    assert client.receive(b"\1\2\3\4", 3.5) == [AgentAudio(at=3.5, data=b"\1\2\3\4")]
    assert client.receive(b"") == []


def test_update_and_metadata_survive_the_round_trip() -> None:
    client, server = WebClient(2), WebServer(2)
    assert client.receive(server.update(SAID)) == [Transcript(utterances=SAID)]
    assert client.receive(server.update(SAID, "agent"), 1.0) == [
        Transcript(at=1.0, utterances=SAID),
        Turn(at=1.0, speaker="agent"),
    ]
    assert client.receive(server.metadata({"a": [1, None]})) == [
        Metadata(metadata={"a": [1, None]})
    ]
    assert client.receive(server.metadata(None)) == [Metadata(metadata=None)]


def test_an_update_may_leave_out_words_transcript_or_turn() -> None:
    client = WebClient(2)
    assert client.receive('{"event_type":"update"}') == []
    assert client.receive('{"event_type":"update","turntaking":"user_turn"}') == [
        Turn(speaker="user")
    ]
    message = '{"event_type":"update","transcript":[{"role":"user","content":"a","words":null}]}'
    assert client.receive(message) == [Transcript(utterances=(Utterance("user", "a"),))]


def test_the_text_heartbeat_is_sent_on_request_only() -> None:
    assert WebClient(2).ping() is None
    assert WebClient(2, text_heartbeat=True).ping() == "ping"


def test_nothing_is_said_at_the_beginning_at_the_end_or_about_what_was_heard() -> None:
    client, server = WebClient(2), WebServer(2)
    assert [*client.opening(), *client.closing()] == []
    said: list[object] = [client.heard("cue"), server.mark("cue")]  # type: ignore[func-returns-value]
    assert said == [None, None]


def test_a_frame_of_the_microphone_goes_out_as_it_is() -> None:
    frame = b"\1\2\3\4"
    assert WebServer(2).receive(WebClient(2).audio(frame, 1.5), 2.5) == [
        MicrophoneAudio(at=2.5, data=frame)
    ]


def test_alignment_is_audio_with_its_text() -> None:
    client, server = WebClient(2), WebServer(2, alignment=True)
    message = server.audio(b"\1\2", "Hello")
    assert isinstance(message, str)
    assert client.receive(message) == [AgentAudio(data=b"\1\2", text="Hello")]
    assert WebServer(2).audio(b"\1\2", "Hello") == b"\1\2"


def test_half_a_sample_waits_for_the_other_half() -> None:
    client = WebClient(2)
    assert client.receive(b"\1\2\3") == [AgentAudio(data=b"\1\2")]
    assert client.receive(b"\4") == [AgentAudio(data=b"\3\4")]
    half = json.dumps({"text": "x", "audio": b64encode(b"\5").decode()})
    assert client.receive(half) == [AgentAudio(data=b"", text="x")]
    assert client.receive(b"\6\7\7") == [AgentAudio(data=b"\5\6\7\7")]


def test_clear_forgets_the_half_sample_of_the_old_turn() -> None:
    client = WebClient(2)
    client.receive(b"\1")
    client.receive("clear")
    assert client.receive(b"\2\3") == [AgentAudio(data=b"\2\3")]


@pytest.mark.parametrize("message", ["", "hello", "Clear", "[1]", "3", '"x"', '{"a":1}', "{}"])
def test_what_is_not_known_is_passed_on(message: str) -> None:
    assert WebClient(2).receive(message, 7.0) == [UnknownMessage(at=7.0, message=message)]


@pytest.mark.parametrize(
    "kind", ["", '"event_type":null,', '"event_type":"audio",', '"event_type":7,']
)
@pytest.mark.parametrize(
    "audio", ["AP8A_w==", "AP8A_w", "AP8A\\/w", "AP8\\r\\nA/w==\\n", "AP8A/wx"]
)
def test_audio_in_json_is_known_by_its_key_however_it_is_written(kind: str, audio: str) -> None:
    message = f'{{{kind}"text":"Hi","audio":"{audio}"}}'
    data = b"\0\xff\0\xff"
    assert WebClient(2).receive(message) == [AgentAudio(data=data, text="Hi")]


def test_an_update_or_metadata_may_bring_audio_along() -> None:
    message = '{"event_type":"update","turntaking":"agent_turn","audio":"AAA="}'
    assert WebClient(2).receive(message) == [
        AgentAudio(data=b"\0\0", text=""),
        Turn(speaker="agent"),
    ]
    message = '{"event_type":"metadata","metadata":1,"audio":"AAA="}'
    assert WebClient(2).receive(message)[1:] == [Metadata(metadata=1)]


@pytest.mark.parametrize(
    "message", ['{"event_type":"later","audio":null}', '{"event_type":"later","text":"x"}']
)
def test_an_unknown_event_without_audio_is_passed_on(message: str) -> None:
    assert WebClient(2).receive(message) == [UnknownMessage(message=message)]


def test_text_without_audio_is_passed_on_alone() -> None:
    assert WebClient(2).receive('{"text":"x","audio":null}') == [AgentAudio(data=b"", text="x")]


def odd(*items: object) -> str:
    good = [{"role": "agent", "content": "Hello."}, {"role": "user", "content": "Hi"}]
    return json.dumps({"event_type": "update", "transcript": [good[0], *items, good[1]]})


GOOD = (Utterance("agent", "Hello."), Utterance("user", "Hi"))


@pytest.mark.parametrize(
    ("item", "problem"),
    [
        ({"role": "tool_call_invocation", "name": "f"}, "but 'tool_call_invocation'"),
        ({"role": "transfer_target", "content": "Hello?"}, "but 'transfer_target'"),
        ({"content": "x"}, "but missing"),
        ({"role": ["agent"], "content": "x"}, "but ['agent']"),
        ({"role": "user"}, "content of an utterance: is missing"),
        ({"role": "user", "content": 7}, "content of an utterance: expected a string, got int"),
        (17, "an utterance: expected an object, got int"),
        (None, "an utterance: is missing"),
    ],
)
def test_one_odd_item_costs_nothing_else_and_is_told_once(item: object, problem: str) -> None:
    client = WebClient(2)
    transcript, told = read(client, odd(item), 1.0)
    assert transcript == Transcript(at=1.0, utterances=GOOD)
    assert isinstance(told, MalformedMessage)
    assert problem in told.problem
    # It comes with every update from now on.
    for _ in range(3):
        assert client.receive(odd(item)) == [Transcript(utterances=GOOD)]
    more = read(client, odd(item, {"role": "narrator"}))
    assert [type(event) for event in more] == [Transcript, MalformedMessage]
    assert "narrator" in more[1].problem
    assert problem not in more[1].problem


def read(client: WebClient, message: str, at: float = 0.0) -> list[Any]:
    """Return events whose fields a test knows by itself."""
    return client.receive(message, at)


def test_an_unknown_turn_costs_no_transcript_and_is_told_once() -> None:
    client = WebClient(2)
    body = {"event_type": "update", "transcript": [], "turntaking": "nobody_turn"}
    transcript, told = read(client, json.dumps(body))
    assert transcript == Transcript(utterances=())
    assert told.problem == "turntaking is neither agent_turn nor user_turn"
    assert client.receive(json.dumps(body)) == [Transcript(utterances=())]


def test_a_transcript_that_is_none_costs_no_turn() -> None:
    client = WebClient(2)
    message = '{"event_type":"update","transcript":{"a":1},"turntaking":"user_turn"}'
    for _ in range(2):
        turn, told = read(client, message)
        assert turn == Turn(speaker="user")
        assert told.problem == "transcript: expected a list, got dict"


def test_a_transcript_that_holds_the_last_few_utterances_is_put_together() -> None:
    client, server = WebClient(2), WebServer(2)
    roles: tuple[Role, ...] = ("agent", "user") * 6
    call = tuple(Utterance(role, f"number {n}") for n, role in enumerate(roles))
    for count in range(1, len(call) + 1):
        (event,) = client.receive(server.update(call[max(0, count - 5) : count]))
        assert event == Transcript(utterances=call[:count])


def test_numbers_and_texts_that_json_cannot_have_do_not_come_through() -> None:
    client = WebClient(2)
    message = (
        '{"event_type":"metadata","metadata":{"a\\ud800":[NaN,-Infinity,1e999,1.5,"\\udc00x"]},'
        '"metadata2":1}'
    )
    assert client.receive(message) == [
        Metadata(metadata={"a\ufffd": [None, None, None, 1.5, "\ufffdx"]})
    ]
    word = '{"word":"a","start":%s,"end":2}'
    words = ",".join(word % each for each in ("1", "NaN", "1e999", "null", "9" * 400, "true"))
    item = f'{{"role":"user","content":"\\ud83d\\ude00\\ud83d","words":[{words}]}}'
    transcript, told = read(client, f'{{"event_type":"update","transcript":[{item}]}}')
    assert transcript == Transcript(
        utterances=(Utterance("user", "\U0001f600\ufffd", (Word("a", 1.0, 2.0),)),)
    )
    assert "a word: start" in told.problem


def test_what_the_server_says_is_json_to_everybody() -> None:
    server, nan = WebServer(2), float("nan")

    def read(message: str) -> dict[str, object]:
        return dict(json.loads(message, parse_constant=pytest.fail))

    assert read(server.metadata([nan, 1e999]))["metadata"] == [None, None]
    said = Utterance("user", "a", (Word("a", nan, float("inf")),))
    update = read(server.update((said,)))
    assert update["transcript"] == [
        {"role": "user", "content": "a", "words": [{"word": "a", "start": None, "end": None}]}
    ]
    deep: list[object] = []
    for _ in range(200):
        deep = [deep]
    with pytest.raises(ValueError, match="nested too deeply"):
        server.metadata(deep)


def test_metadata_is_passed_on_down_to_a_hundred_levels() -> None:
    def nested(levels: int) -> str:
        return '{"event_type":"metadata","metadata":' + "[" * levels + "]" * levels + "}"

    (event,) = WebClient(2).receive(nested(100))
    assert isinstance(event, Metadata)
    json.dumps(event.metadata)
    (event,) = WebClient(2).receive(nested(102))
    assert isinstance(event, MalformedMessage)
    assert event.problem == "nested too deeply"


@pytest.mark.parametrize(
    "message",
    [
        "{",
        '{"event_type":"metadata"}',
        '{"event_type":"update","transcript":3}',
        '{"event_type":"update","transcript":["x"]}',
        '{"event_type":"update","transcript":[{"role":"robot","content":""}]}',
        '{"event_type":"update","transcript":[{"role":"user","content":5}]}',
        '{"event_type":"update","turntaking":"nobody"}',
        '{"event_type":"update","turntaking":["agent_turn"]}',
        '{"text":"a","audio":"***"}',
        '{"text":"a","audio":5}',
        '{"text":5,"audio":"AAAA"}',
        '{"a":' * 100_000,
        '{"a":' + "9" * 5000 + "}",
    ],
)
def test_what_cannot_be_read_is_reported_and_survived(message: str) -> None:
    client = WebClient(2)
    (event,) = client.receive(message, 2.0)
    assert isinstance(event, MalformedMessage)
    assert event.at == 2.0
    assert event.problem
    assert event.excerpt == message[:200]
    assert client.receive("clear") == [Clear()]


@pytest.mark.parametrize(
    ("message", "problem"),
    [
        (
            "{",
            "no JSON: Expecting property name enclosed in double quotes: line 1 column 2 (char 1)",
        ),
        ('{"event_type":"metadata"}', "metadata is missing"),
        (
            '{"event_type":"update","turntaking":[]}',
            "turntaking is neither agent_turn nor user_turn",
        ),
        ('{"audio":5}', "expected a string, got int"),
        ('{"a":' * 100_000, "nested too deeply"),
    ],
)
def test_what_is_wrong_is_said_in_words(message: str, problem: str) -> None:
    (event,) = WebClient(2).receive(message)
    assert isinstance(event, MalformedMessage)
    assert event.problem == problem


def test_the_server_hears_audio_and_heartbeats() -> None:
    server = WebServer(2)
    assert server.receive(b"\1\2\3", 1.0) == [MicrophoneAudio(at=1.0, data=b"\1\2")]
    assert server.receive(b"") == []
    assert server.receive(b"\4") == [MicrophoneAudio(data=b"\3\4")]
    assert server.receive(WebClient(2, text_heartbeat=True).ping() or "") == [Ping()]
    assert server.receive("what?") == [UnknownMessage(message="what?")]
    assert server.pong() == "pong"
    assert server.clear() == "clear"


@given(st.lists(st.binary(max_size=9)), st.sampled_from([1, 2]), st.booleans())
def test_no_byte_is_lost_whatever_the_chunking(
    chunks: list[bytes], width: int, aligned: bool
) -> None:
    client, server = WebClient(width), WebServer(width, alignment=aligned)
    heard = b""
    for chunk in chunks:
        for event in client.receive(server.audio(chunk)):
            assert isinstance(event, AgentAudio)
            assert len(event.data) % width == 0
            heard += event.data
    sent = b"".join(chunks)
    assert heard == sent[: len(sent) // width * width]


@given(st.text() | st.text().map(lambda text: "{" + text) | st.binary())
def test_no_message_ever_raises(message: str | bytes) -> None:
    for side in (WebClient(2), WebServer(2)):
        for event in side.receive(message, 1.0):
            assert event.at == 1.0


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(
    ["event_type", "transcript", "turntaking", "metadata", "audio", "text", "role"]
)
VALUES = JSON | st.sampled_from(["update", "metadata", "agent_turn", [{"role": "user"}], "AAA="])


@given(st.dictionaries(KEYS, VALUES))
def test_no_json_ever_raises(body: dict[str, object]) -> None:
    WebClient(2).receive(json.dumps(body))
