"""Web calls, from creating them to the last word, with a gateway that a test plays."""

import asyncio
import contextlib
import logging
import wave
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calls import opened_io
from support.gateway import CALL_ID, KEY, TOKEN, Gateway, gateway
from support.speech import babble
from support.waits import ahead, unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.engine.call import Call
from retell_voice.engine.web_call import WebCall
from retell_voice.errors import (
    ConfigError,
    ConnectError,
    KeyRefused,
    RestError,
    RetellVoiceError,
    TooManyRequests,
)
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    CallState,
    Ended,
    Event,
    Levels,
    MalformedMessage,
    MonitorChanged,
    StateChanged,
    Statistics,
)
from retell_voice.protocol.gateway import read_admission
from retell_voice.recording.recorder import Recorder

RATE = 48000
CREATE = ("POST", "create-web-call")


@asynccontextmanager
async def serving() -> AsyncIterator[Gateway]:
    async with gateway() as server, asyncio.timeout(20):
        yield server


def web_call(server: Gateway, **options: Any) -> WebCall:
    options = {"api_key": KEY, "api_url": server.url, "transcript": False, **options}
    return WebCall("agent_1", **options)


@asynccontextmanager
async def calling(
    server: Gateway, web: WebCall | None = None, **options: Any
) -> AsyncIterator[Call]:
    options.setdefault("microphone", NullMicrophone(RATE))
    options.setdefault("speaker", NullSpeaker(RATE))
    async with Call(web or web_call(server), **options) as call:
        yield call


async def rest_of(call: Call) -> list[Event]:
    return [event async for event in call]


def offset(said: Any, heard: Any) -> int:
    """Return where what was heard is most like what was said."""
    size = 1 << (len(said) + len(heard)).bit_length()
    spectra = [np.fft.rfft(each.astype(float), size) for each in (heard, said)]
    return int(np.argmax(np.fft.irfft(spectra[0] * np.conj(spectra[1]), size)[: len(heard)]))


def likeness(said: Any, heard: Any) -> float:
    """Return how alike two sounds are, piece by piece: 1 is the same, 0 has nothing in common.

    The jitter buffer of a busy machine may leave out a period here and there, or add one.
    """
    alike, piece, slack = [], RATE // 5, RATE // 5
    at = offset(said, heard)
    for begin in range(0, len(said) - piece, piece):
        mine = said[begin : begin + piece].astype(float)
        around = heard[max(0, at + begin - slack) : at + begin + piece + slack]
        found = offset(mine, around)
        theirs = around[found : found + piece].astype(float)
        mine = mine[: len(theirs)]
        alike.append(mine @ theirs / np.sqrt((mine @ mine) * (theirs @ theirs) + 1))
    return float(np.median(alike))


@unless_it_had_to_wait
async def test_a_conversation_of_which_each_side_hears_the_other(tmp_path: Path) -> None:
    mine, theirs = babble(1.5, RATE, seed=1), babble(1.5, RATE, seed=2)
    with contextlib.closing(WavWriter(tmp_path / "me.wav", RATE)) as file:
        file.write(mine)
    async with serving() as server:
        recorder = Recorder(tmp_path)
        with ahead():  # its loop paces what the agent says
            async with calling(
                server,
                microphone=WavMicrophone(tmp_path / "me.wav", RATE),
                speaker=WavSpeaker(tmp_path / "agent.wav", RATE),
                level_interval=0.1,
                recorder=recorder,
            ) as call:
                session = await server.joined()
                await session.speaking.wait()
                session.voice.say(theirs)
                events = []
                async for event in call:
                    events.append(event)
                    if isinstance(event, AgentStopped):
                        await session.end()
    heard, rate = read_wav(tmp_path / "agent.wav")
    assert rate == RATE
    assert likeness(theirs, heard) > 0.9
    assert likeness(mine, session.all_heard()) > 0.9
    kinds = [type(event) for event in events]
    assert kinds.count(AgentStarted) == kinds.count(AgentStopped) == 1
    assert any(event.far_end > -30 for event in events if isinstance(event, Levels))
    assert [each.state for each in events if isinstance(each, StateChanged)] == list(CallState)
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert (ended.by, ended.code, ended.reason, ended.error) == ("server", 1000, "ended", None)
    figures = ended.statistics
    assert figures.frames_dropped == figures.malformed_messages == 0
    assert 1.8 < figures.heard < 5
    assert figures.packets is not None
    assert (figures.packets.lost, figures.packets.duplicates) == (0, 0)
    assert 0.02 * figures.packets.received >= figures.heard
    assert 0 < figures.bytes_sent < figures.frames_sent * 200, "Opus, not samples"
    assert recorder.path is not None
    with wave.open(str(recorder.path / "audio.wav")) as recorded:
        assert recorded.getframerate() == RATE
    assert server.methods("sessions/0") == ["DELETE"]


async def test_the_request_that_creates_it_carries_what_was_asked_for() -> None:
    async with serving() as server:
        web = web_call(
            server,
            agent_version=3,
            metadata={"a": [1]},
            dynamic_variables={"name": "Ann"},
            agent_override={"agent": {"language": "de-DE"}},
            current_node_id="node",
            current_state="state",
        )
        assert web.call_id is None
        async with calling(server, web):
            assert web.call_id == CALL_ID
        assert server.requests[0] == ("POST", "/v3/create-web-call")
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        assert server.bodies[0] == {
            "agent_id": "agent_1",
            "agent_version": 3,
            "metadata": {"a": [1]},
            "retell_llm_dynamic_variables": {"name": "Ann"},
            "agent_override": {"agent": {"language": "de-DE"}},
            "current_node_id": "node",
            "current_state": "state",
        }


@pytest.mark.parametrize("kind", ["object", "json"])
async def test_a_call_made_elsewhere_is_joined_without_a_key(kind: str) -> None:
    async with serving() as server:
        given = read_admission(server.admission) if kind == "object" else server.admission
        async with calling(server, WebCall(given, api_url=server.url)) as call:
            assert repr(call) == "<Call …cdef live>"
        assert [method for method, _ in server.requests] == ["POST", "DELETE"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"transport": "livekit"}, "runs on LiveKit"),
        ({"transport": None}, "runs on LiveKit"),
        ({"transport": "pigeon"}, "transport is not 'gateway'"),
        ({"access_token": ""}, "access_token"),
        ({"call_id": 3}, "call_id"),
    ],
)
async def test_what_is_no_admission_is_refused_at_once(change: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        WebCall(Gateway().admission | change)


async def test_what_contradicts_itself_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="no API key"):
        WebCall("agent_1")
    with pytest.raises(TypeError, match="without these: metadata"):
        WebCall(Gateway().admission, metadata={})
    with pytest.raises(ConfigError, match="not the URL of a REST API"):
        WebCall("agent_1", api_key=KEY, api_url="wss://example.com")


@pytest.mark.parametrize(
    ("status", "kind"),
    [(401, KeyRefused), (402, RestError), (429, TooManyRequests), (500, RestError)],
)
async def test_a_call_that_cannot_be_created_is_asked_for_once(
    status: int, kind: type[RetellVoiceError]
) -> None:
    async with serving() as server:
        server.answers[CREATE] = [(status, {"message": "no"})]
        with pytest.raises(kind):
            async with calling(server):
                pass
        assert server.methods("create-web-call") == ["POST"]
        assert len(server.requests) == 1, "there was nothing to stop or to leave"


async def test_a_server_that_makes_calls_on_livekit_is_told_and_nothing_is_joined() -> None:
    async with serving() as server:
        server.admission["transport"] = "livekit"
        with pytest.raises(RestError, match="LiveKit") as caught:
            async with calling(server):
                pass
        assert "not supported" in caught.value.hint
        assert len(server.requests) == 1


async def test_a_call_that_is_cancelled_while_it_is_created_is_stopped() -> None:
    async with serving() as server:
        server.hold[CREATE] = asyncio.Event()

        async def enter() -> None:
            async with calling(server):
                raise AssertionError("it was never joined")

        entering = asyncio.create_task(enter())
        await server.was_asked(*CREATE)
        entering.cancel()
        asyncio.get_running_loop().call_later(0.1, server.hold[CREATE].set)
        with pytest.raises(asyncio.CancelledError):
            await entering
        assert server.requests == [
            ("POST", "/v3/create-web-call"),
            ("POST", f"/v2/stop-call/{CALL_ID}"),
        ]


async def test_a_join_that_fails_makes_no_second_call() -> None:
    async with serving() as server:
        server.answers["POST", "sessions"] = [(503, {}), (503, {})]
        with pytest.raises(ConnectError):
            async with calling(server, connect_attempts=5):
                pass
        assert server.methods("create-web-call") == ["POST"]
        assert server.methods(CALL_ID) == ["POST"]  # stop-call


async def test_muted_silence_is_sent_on(tmp_path: Path) -> None:
    with contextlib.closing(WavWriter(tmp_path / "me.wav", RATE)) as file:
        file.write(babble(3.0, RATE))
    async with serving() as server:
        async with calling(server, microphone=WavMicrophone(tmp_path / "me.wav", RATE)) as call:
            call.muted = True
            said = opened_io(call).near_end.position  # a busy machine may have been late
            session = await server.joined()
            await session.speaking.wait()
            await session.until_heard(said / RATE + 1.0)
        assert np.abs(session.all_heard()[said + 10 * 960 :]).max() < 20


async def test_a_transcript_that_cannot_be_followed_is_told_and_the_call_goes_on() -> None:
    async with serving() as server:
        server.answers["GET", CALL_ID] = [(403, {})]
        async with calling(server, web_call(server, transcript=True)) as call:
            async for event in call:
                if isinstance(event, MonitorChanged):
                    break
            assert isinstance(event, MonitorChanged)
            assert event.state == "lost"
            assert "write permission for calls" in event.why
            await call.hang_up()
            ended = (await rest_of(call))[-1]
        assert isinstance(ended, Ended)
        assert (ended.by, ended.error) == ("you", None)


async def test_the_last_words_are_heard_and_not_waited_for_longer() -> None:
    async with serving() as server, calling(server) as call:
        session = await server.joined()
        await session.speaking.wait()
        session.voice.say(babble(0.8, RATE, pauses=False))
        events: list[Event] = []
        over = 0.0
        async for event in call:
            events.append(event)
            if isinstance(event, AgentStarted):
                await session.end()
                over = event.at
    (stopped,) = (each for each in events if isinstance(each, AgentStopped))
    assert not stopped.interrupted
    # What comes late on a busy machine is drawn out, and ends later.
    assert 0.65 < stopped.silent_since - over < 1.3
    assert events[-1].at - over < 2.0


async def test_an_agent_that_talks_on_after_the_end_is_cut_off_after_two_seconds() -> None:
    async with serving() as server, calling(server) as call:
        session = await server.joined()
        await session.speaking.wait()
        session.voice.say(babble(10.0, RATE, pauses=False))
        over = 0.0
        async for event in call:
            if isinstance(event, AgentStarted):
                await session.end()
                over = event.at
        assert isinstance(event, Ended)
        assert 1.8 < event.at - over < 2.9, "of ten"


async def test_audio_that_is_not_opus_is_told_once_and_counted() -> None:
    async with serving() as server, calling(server) as call:
        connection: Any = call._conversation._connection  # type: ignore[union-attr]
        for number in range(5):
            connection.packet(number, number, b"", 1)
        events: list[Event] = []
        async for event in call:
            events.append(event)
            if isinstance(event, Statistics) and event.malformed_messages:
                await call.hang_up()
    broken = [each for each in events if isinstance(each, MalformedMessage)]
    assert [each.problem for each in broken] == ["agent audio that is not Opus"]
    ended = events[-1]
    assert isinstance(ended, Ended)
    assert ended.statistics.malformed_messages == 5


async def test_the_jitter_buffer_is_as_shallow_as_the_network_allows() -> None:
    async with serving() as server, calling(server) as call:
        session = await server.joined()
        session.voice.say(babble(10.0, RATE, pauses=False))
        async for event in call:
            if isinstance(event, Statistics) and event.heard > 0.5:
                break
        assert isinstance(event, Statistics)
        assert event.playout_target < 0.04


async def test_nothing_shows_a_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as server:
        web = web_call(server)
        async with calling(server, web) as call:
            pass
    shown = caplog.text + repr(web) + repr(call) + repr(vars(web))
    for secret in (CALL_ID, TOKEN, KEY):
        assert secret not in shown


def test_its_end_is_asked_for_with_a_key_unless_that_is_not_wanted() -> None:
    made = Gateway().admission
    calls = WebCall(made, api_key=KEY), WebCall(made, api_key=KEY, polls=False), WebCall(made)
    assert [each._ended is not None for each in calls] == [True, False, False]


def test_its_format_is_what_opus_takes() -> None:
    web = WebCall("agent_1", api_key=KEY)
    assert web.near_end == web.far_end == AudioFormat(rate=48000)
    assert (web.frame_ms, web.packets) == (20, True)
