"""Web calls over real WebRTC on this machine: ``aiortc`` calls the emulator's gateway."""

import asyncio
import threading
import time

import numpy as np
import pytest
from support.measure import compare, find, resampled
from support.talker import FakeAsr
from support.waits import unless_it_had_to_wait
from support.web_caller import (
    FRAME,
    RATE,
    WebCaller,
    calling,
    coded,
    create,
    decoded,
    http,
    sessions,
)
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import Samples
from retell_voice.emulator import (
    GREETING,
    CallEnded,
    CallExpired,
    CallJoined,
    CallOver,
    CallRefused,
    CallStatus,
    Emulator,
    RegisteredCall,
    Session,
    UserSpoke,
    llm_agent,
    parrot_agent,
    scenario_agent,
    silent_agent,
)
from retell_voice.emulator.recordings import load_speech
from retell_voice.emulator.scenario import parse_scenario
from retell_voice.emulator.speech.mumble import MumbleTts
from retell_voice.extras import how_to_install
from retell_voice.protocol.llm import LlmSide, Response, ResponseRequired

TURNS = ["user", "agent"]
LOUD = 500
"""Sample value beyond which it is no silence."""


def only(emulator: Emulator) -> RegisteredCall:
    (call,) = emulator.calls
    return call


def speech(rate: int, seconds: float = 2.0) -> Samples:
    """A recorded voice, from its first sound on."""
    samples = load_speech(GREETING, rate).samples
    first = int(np.argmax(np.abs(samples) > LOUD))
    return samples[first : first + round(rate * seconds)]


def check(said: Samples, rate: int, heard: Samples) -> None:
    """Check that what was heard, at 24 kHz, is what was said after whole frames of silence.

    The codec remembers the silence: coded without it, speech differs by 13 dB.
    """
    before = round(find(coded(said, rate, 24000), heard) / 480)
    after_silence = np.pad(said, (before * rate // 50, 0))
    match = compare(coded(after_silence, rate, 24000), heard, 24000)
    assert match.snr >= 20, match
    assert match.spread < 0.001, match
    match = compare(resampled(said, rate, 24000), heard, 24000)
    assert match.snr > 8, match


@unless_it_had_to_wait
async def test_a_call_begins_is_heard_both_ways_and_ends_with_the_caller() -> None:
    said, answer = speech(RATE), speech(24000)

    async def agent(session: Session) -> None:
        await session.send_audio(answer)
        async for _ in session:
            pass

    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(20):
        async with calling(emulator, said, metadata={"id": 7}) as caller:
            call = only(emulator)
            assert (call.status, call.metadata) == (CallStatus.ONGOING, {"id": 7})
            await caller.until(lambda: len(caller.packets) >= 130)
            await caller.speech.until(len(said))
            assert (await caller.leave(emulator)).status == 204
            await call.wait()
            await caller.closed.wait()
        assert (call.status, call.disconnection_reason) == (CallStatus.ENDED, "user_hangup")
        body = (await http(emulator, "GET", f"/v2/get-call/{call.call_id}", "key")).body
        assert (body["call_status"], body["call_type"]) == ("ended", "web_call")
    heard = decoded(caller.packets, 24000)
    check(answer, 24000, heard)
    check(said, RATE, call.received)
    events = [type(event) async for event in emulator.events]
    assert events.index(CallJoined) < events.index(CallEnded)


@unless_it_had_to_wait
async def test_packets_leave_in_real_time_whoever_speaks() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(speech(24000, 1.0))
        async for _ in session:
            pass

    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        await caller.until(lambda: len(caller.packets) >= 100)
    packets = caller.packets[:100]
    first = packets[0]
    assert [each.sequence for each in packets] == [
        (first.sequence + n) & 0xFFFF for n in range(100)
    ]
    stamps = [(each.timestamp - first.timestamp) & 0xFFFFFFFF for each in packets]
    late = np.array(
        [each.at - first.at - stamp / RATE for each, stamp in zip(packets, stamps, strict=True)]
    )
    assert all(stamp % FRAME == 0 for stamp in stamps)
    # The first may itself have been late; what counts is that the stream keeps time.
    assert np.percentile(np.abs(late - np.median(late)), 80) < 0.02
    assert stamps[-1] / RATE == pytest.approx(packets[-1].at - first.at, abs=0.1)


@unless_it_had_to_wait
async def test_a_clear_silences_what_was_queued() -> None:
    tone = (10000 * np.sin(2 * np.pi * 437 / 24000 * np.arange(24000 * 60))).astype(np.int16)
    cleared: list[float] = []

    async def agent(session: Session) -> None:
        await session.send_audio(tone)
        await session.receive()
        await asyncio.sleep(0.3)
        await session.clear()
        cleared.append(asyncio.get_running_loop().time())
        async for _ in session:
            pass

    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        await caller.until(lambda: bool(cleared))
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) > count + 15)
    before = decoded(caller.packets[:count])
    assert np.abs(before[-5 * FRAME :]).max() > 5000
    after = decoded(caller.packets)[(count + 3) * FRAME :]
    assert np.abs(after).max() < LOUD


async def test_the_agent_ends_the_call_and_its_last_words_are_heard() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(speech(24000, 0.5), "Goodbye.")

    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = only(emulator)
        await caller.until(lambda: bool(caller.control))
        assert caller.control == [{"type": "status", "state": "ended"}]
        await caller.until(lambda: len(caller.packets) > 35)
        assert (await caller.leave(emulator)).status == 204
        await call.wait()
        assert (await caller.leave(emulator)).status == 404
    assert (call.status, call.disconnection_reason) == (CallStatus.ENDED, "agent_hangup")
    assert (call.close_code, call.close_reason) == (None, "")
    check(speech(24000, 0.5), 24000, decoded(caller.packets, 24000))


async def test_a_caller_who_does_not_leave_is_left() -> None:
    async def agent(session: Session) -> None:
        await session.close(1011, "the agent is broken", "error_unknown")

    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        await caller.closed.wait()
        (call,) = emulator.calls
        await call.wait()
    assert (call.status, call.disconnection_reason) == (CallStatus.ERROR, "error_unknown")
    assert call.close_reason == "the agent is broken"


async def test_a_caller_who_vanishes_has_hung_up() -> None:
    async with (
        Emulator(agent=silent_agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = only(emulator)
        await caller.close()  # says so over DTLS, and nothing over HTTP
        await call.wait()
    assert call.disconnection_reason == "user_hangup"


async def test_what_is_sent_after_the_end_is_told() -> None:
    over: list[str] = []

    async def agent(session: Session) -> None:
        async for _ in session:
            pass
        for send in (session.clear(), session.metadata(1), session.send("x")):
            try:
                await send
            except CallOver:
                over.append("over")

    async with Emulator(agent=agent) as emulator, asyncio.timeout(20):
        async with calling(emulator) as caller:
            call = only(emulator)
            await caller.leave(emulator)
        await call.wait()
    assert over == ["over"] * 3


async def test_stop_call_ends_it() -> None:
    async with (
        Emulator(agent=silent_agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = only(emulator)
        path = f"/v2/stop-call/{call.call_id}"
        assert (await http(emulator, "POST", path, "key")).status == 204
        await caller.until(lambda: bool(caller.control))
        await caller.leave(emulator)
        await call.wait()
    assert call.disconnection_reason == "manual_stopped"


async def test_the_parrot_says_back_what_it_hears() -> None:
    silence = np.zeros(RATE, np.int16)
    said = np.concatenate((speech(RATE, 1.5), silence, silence))
    agent = parrot_agent()
    async with (
        Emulator(agent=agent, record=True) as emulator,
        asyncio.timeout(20),
        calling(emulator, said) as caller,
    ):
        call = only(emulator)
        await caller.until(lambda: [said.role for said in call.transcript][-2:] == TURNS)
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) >= count + 85)
        await caller.leave(emulator)
        await call.wait()
    events = [event async for event in emulator.events if isinstance(event, UserSpoke)]
    assert events[0].duration == pytest.approx(1.5, abs=0.6)
    back = coded(coded(speech(RATE, 1.4), RATE, 24000), 24000, 24000)
    match = compare(back, decoded(caller.packets[count:], 24000), 24000)
    assert match.snr > 10, match


async def test_an_llm_server_holds_a_conversation_over_it() -> None:
    asked: list[str] = []

    async def answer(websocket: ServerConnection) -> None:
        side = LlmSide()
        said = Response(response_id=0, content="Hello.", content_complete=True)
        await websocket.send(side.encode(said))
        async for message in websocket:
            match side.receive(message):
                case ResponseRequired(response_id=number, transcript=transcript):
                    asked.append(transcript[-1].content)
                    said = Response(
                        response_id=number, content="Bye.", content_complete=True, end_call=True
                    )
                    await websocket.send(side.encode(said))

    async with serve(answer, "127.0.0.1", 0) as server, asyncio.timeout(20):
        port = server.sockets[0].getsockname()[1]
        agent = llm_agent(f"ws://127.0.0.1:{port}", NoEngines(), detector="energy")
        async with Emulator(agent=agent) as emulator, calling(emulator) as caller:
            call = only(emulator)
            await caller.until(lambda: len(call.transcript) == 1)
            await caller.until(lambda: len(caller.packets) > 60)  # it has been heard
            emulator.type("what is the time?")
            await caller.until(lambda: bool(caller.control))
            await caller.leave(emulator)
            await call.wait()
    assert asked == ["what is the time?"]
    assert call.disconnection_reason == "agent_hangup"
    assert [said.content for said in call.transcript] == ["Hello.", "what is the time?", "Bye."]
    assert np.abs(decoded(caller.packets)).max() > LOUD


class NoEngines:
    """Nothing that recognises speech, a TTS that mumbles."""

    def __init__(self) -> None:
        self.asr = FakeAsr()
        self.tts = MumbleTts()


async def test_a_scenario_runs_over_it() -> None:
    scenario = parse_scenario(
        """
        [[step]]
        tone = {seconds = 0.2, hz = 600}
        [[step]]
        wait = {heard = true}
        [[step]]
        wait = {microphone_seconds = 0.1}
        [[step]]
        update = {transcript = [{role = "agent", content = "Hello"}], forced = true}
        [[step]]
        bad_message = "unknown_event"
        [[step]]
        wait = {text = "thank you"}
        [[step]]
        close = {reason = "enough", disconnection_reason = "call_transfer"}
        """
    )
    async with (
        Emulator(agent=scenario_agent(scenario)) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        call = only(emulator)
        await caller.until(lambda: len(caller.control) == 2)
        caller.say_on_control("thank you")
        await caller.until(lambda: len(caller.control) == 3)
        await caller.leave(emulator)
        await call.wait()
    update, weather, ended = caller.control
    assert update["transcript"][0]["content"] == "Hello"
    assert weather["event_type"] == "weather"
    assert ended == {"type": "status", "state": "ended"}
    assert (call.disconnection_reason, call.close_reason) == ("call_transfer", "enough")
    heard = decoded(caller.packets).astype(float)
    peak = np.argmax(np.abs(np.fft.rfft(heard))) * RATE / len(heard)
    assert peak == pytest.approx(600, abs=5)


async def test_trickled_candidates_and_another_offer_are_taken() -> None:
    async with (
        Emulator(agent=silent_agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        candidates = [
            "candidate:1 1 udp 2130706431 10.1.2.3 5000 typ host",
            "candidate:2 1 udp 2130706431 0b1c2d.local 5000 typ host",
            "",
        ]
        for each in candidates:
            body = {"candidate": {"candidate": each, "sdpMid": "0", "sdpMLineIndex": 0}}
            answer = await http(emulator, "PATCH", caller.path, caller.token, body)
            assert answer.status == 204, answer
        answer = await http(
            emulator,
            "PATCH",
            caller.path,
            caller.token,
            await caller.offer(),
            "application/sdp",
        )
        assert (answer.status, answer.text[:3]) == (200, "v=0")
        assert "useinbandfec=1" in answer.text
        await caller.take(answer.text)
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) > count + 5)


async def test_wrong_candidates_and_offers_are_refused_and_change_nothing() -> None:
    async with (
        Emulator(agent=silent_agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        for body in ("", "{", "[]", {"candidate": 7}, {"candidate": {"candidate": "nonsense"}}):
            answer = await http(emulator, "PATCH", caller.path, caller.token, body)
            assert answer.status == 400, body
        wrong = {"candidate": {"candidate": "candidate:nonsense", "sdpMid": "0"}}
        assert (await http(emulator, "PATCH", caller.path, caller.token, wrong)).status == 400
        for offer in ("", "v=1", "v=0\r\nm=audio 9 x 1\r\na=rtpmap:1 opus/48000/2\r\n"):
            answer = await http(
                emulator, "PATCH", caller.path, caller.token, offer, "application/sdp"
            )
            assert answer.status == 400, offer
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) > count + 5)


async def test_a_token_is_for_one_join_by_one_caller_in_time() -> None:
    clock = [1000.0]
    async with Emulator(agent=silent_agent, now=lambda: clock[0]) as emulator, asyncio.timeout(20):
        created = await create(emulator)
        assert created["expires_at"] == 1030_000
        caller = WebCaller()
        body = {"identity": "client", "sdp": await caller.offer()}

        async def join(token: str, **changes: object) -> tuple[int, str]:
            answer = await http(emulator, "POST", sessions(created), token, body | changes)
            return answer.status, answer.body.get("error_message", "")

        token = created["access_token"]
        other = (await create(emulator))["access_token"]
        assert await join("nonsense") == (401, "this access token is not of this call")
        assert await join(other) == (401, "this access token is not of this call")
        assert (await join(""))[0] == 401
        assert (await join(token, identity="someone"))[0] == 403
        assert (await join(token, identity=""))[0] == 400
        assert await join(token, sdp="<html>") == (400, "the offer is not SDP")
        assert (await join(token, sdp=body["sdp"].replace("opus/", "sirius/")))[0] == 400
        assert (await join(token, sdp=body["sdp"].replace("a=ice-ufrag", "a=x")))[0] == 400
        assert (await join(token))[0] == 201  # no refusal has used it up
        assert (await join(token))[1] == "this access token has been used: it is for one join"
        clock[0] += 31
        expired = await http(
            emulator, "POST", f"/webrtc-proxy/{created['call_id']}/v1/webrtc/sessions", other, body
        )
        assert expired.status == 401
        await caller.close()
    refused = [event async for event in emulator.events if isinstance(event, CallRefused)]
    assert len(refused) == 10
    assert token not in str(refused)


async def test_an_expired_token_is_refused_and_the_call_is_an_error() -> None:
    clock = [1000.0]
    async with Emulator(agent=silent_agent, now=lambda: clock[0]) as emulator, asyncio.timeout(20):
        created = await create(emulator)
        clock[0] += 31
        answer = await http(
            emulator,
            "POST",
            sessions(created),
            created["access_token"],
            {"identity": "client", "sdp": "v=0"},
        )
        assert (answer.status, answer.body["message"]) == (401, "this access token has expired")
        call = emulator.find(created["call_id"])
        assert call is not None
        assert (call.status, call.disconnection_reason) == (
            CallStatus.ERROR,
            "error_user_not_joined",
        )
    (expired,) = [event async for event in emulator.events if isinstance(event, CallExpired)]
    assert expired.expiry == 30


async def test_a_session_is_its_callers_alone() -> None:
    async with (
        Emulator(agent=silent_agent) as emulator,
        asyncio.timeout(20),
        calling(emulator) as caller,
    ):
        other = (await create(emulator))["access_token"]
        for method in ("PATCH", "DELETE"):
            assert (await http(emulator, method, caller.path, other)).status == 401
            gone = f"{caller.path}x"
            assert (await http(emulator, method, gone, caller.token)).status == 404
        assert (await http(emulator, "GET", caller.path, caller.token)).status == 405
        assert (await http(emulator, "POST", caller.path, caller.token)).status == 405
        nobody = caller.path.replace("/webrtc-proxy/", "/webrtc-proxy/x")
        assert (await http(emulator, "DELETE", nobody, caller.token)).status == 404


async def test_one_who_leaves_before_being_connected_has_hung_up() -> None:
    async with Emulator(agent=silent_agent) as emulator, asyncio.timeout(20):
        created = await create(emulator)
        caller = WebCaller()
        body = {"identity": "client", "sdp": await caller.offer()}
        answer = await http(emulator, "POST", sessions(created), created["access_token"], body)
        path = f"{sessions(created)}/{answer.body['session_id']}"
        assert (await http(emulator, "DELETE", path, created["access_token"])).status == 204
        call = emulator.find(created["call_id"])
        assert call is not None
        await call.wait()
        await caller.close()
    assert call.disconnection_reason == "user_hangup"


async def test_a_web_call_is_not_joined_over_a_websocket() -> None:
    async with Emulator(agent=silent_agent) as emulator:
        created = await create(emulator)
        answer = await http(
            emulator,
            "GET",
            f"/audio-websocket/{created['call_id']}",
            "key",
            None,
            "x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
            "\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
    assert answer.status == 400
    assert "web call" in answer.text


@unless_it_had_to_wait
async def test_stopping_takes_less_than_a_second_and_leaves_nothing() -> None:
    emulator = Emulator(agent=silent_agent)
    async with asyncio.timeout(20):
        before = asyncio.all_tasks()
        async with emulator:
            threads = set(threading.enumerate())
            caller = WebCaller()
            await caller.join(emulator, await create(emulator))
            unconnected = await create(emulator)
            other = WebCaller()
            body = {"identity": "client", "sdp": await other.offer()}
            token = unconnected["access_token"]
            assert (await http(emulator, "POST", sessions(unconnected), token, body)).status == 201
            await create(emulator)
            await caller.until(lambda: bool(emulator.sessions))
            call = emulator.sessions[0].call
            begun = time.perf_counter()
        assert time.perf_counter() - begun < 1
        assert (call.status, call.disconnection_reason) == (CallStatus.ERROR, "error_retell")
        await caller.until(lambda: bool(caller.control))
        await caller.close()
        await other.close()
        await asyncio.sleep(0)
        assert asyncio.all_tasks() == before
    kept = [each.name for each in set(threading.enumerate()) - threads]
    assert all(name.startswith("asyncio_") for name in kept), kept  # the loop's own pool


async def test_without_the_library_there_is_one_line_that_says_how(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retell_voice.emulator.gateway.gateway.find_spec", lambda name: None)
    async with Emulator() as emulator:
        answer = await http(emulator, "POST", "/v3/create-web-call", "key", {"agent_id": "a"})
        assert answer.status == 501
        assert how_to_install("webrtc") in answer.body["message"]
        assert not list(emulator.calls)
    (told,) = [event async for event in emulator.events]
    assert isinstance(told, CallRefused)
    assert how_to_install("webrtc") in str(told)


async def test_a_browsers_page_of_a_given_origin_may_call() -> None:
    async with Emulator(agent=silent_agent, allowed_hosts=["page"]) as emulator:
        created = await create(emulator)
        for path in ("/v3/create-web-call", sessions(created)):
            asked = await http(
                emulator, "OPTIONS", path, "", None, "localhost\r\nOrigin: http://page"
            )
            assert asked.status == 204
            answer = await emulator_headers(emulator, path)
            assert b"Access-Control-Allow-Origin: *" in answer


async def emulator_headers(emulator: Emulator, path: str) -> bytes:
    reader, writer = await asyncio.open_connection("127.0.0.1", emulator.port)
    writer.write(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nOrigin: http://page\r\nConnection: close"
        "\r\nContent-Length: 0\r\n\r\n".encode()
    )
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    return answer.partition(b"\r\n\r\n")[0]
