"""Joining a web call and leaving it, with a real peer over real sockets."""

import asyncio
import importlib.util
import logging
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import aioice.ice
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.jitterbuffer import JitterBuffer
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from support.gateway import CALL_ID, TOKEN, Gateway, deaf, gateway
from support.turn import HIDDEN, PASSWORD, USER, turn

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.opus import OpusDecoder
from retell_voice.errors import ConfigError, ConnectError, Rejected, RetellVoiceError
from retell_voice.extras import how_to_install
from retell_voice.protocol.gateway import Admission, read_admission
from retell_voice.protocol.messages import AgentPacket, CallOver
from retell_voice.transport.ports import Connection
from retell_voice.transport.webrtc import media
from retell_voice.transport.webrtc.media import JITTER_BUFFER, Peer
from retell_voice.transport.webrtc.route import WebRtcRoute

SESSIONS = f"/webrtc-proxy/{CALL_ID}/v1/webrtc/sessions"
AUDIO = AudioFormat(rate=48000)
JOIN = ("POST", "sessions")


class Calls:
    """What was asked of the REST API."""

    def __init__(self, server: Gateway) -> None:
        self._server = server
        self.stopped: list[str] = []

    async def admit(self) -> Admission:
        return read_admission(self._server.admission)

    async def stop(self, admission: Admission) -> None:
        self.stopped.append(admission.call_id)


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[Gateway, Calls]]:
    async with gateway() as server, asyncio.timeout(20):
        yield server, Calls(server)


def route(server: Gateway, calls: Calls, **options: Any) -> WebRtcRoute:
    return WebRtcRoute("a web call", calls.admit, api_url=server.url, stop=calls.stop, **options)


@asynccontextmanager
async def joined(server: Gateway, calls: Calls) -> AsyncIterator[Connection]:
    connection = await route(server, calls).connect(time.monotonic)
    try:
        yield connection
    finally:
        await connection.close()


async def refused(
    server: Gateway, calls: Calls, kind: type[RetellVoiceError] = Rejected, **options: Any
) -> RetellVoiceError:
    with pytest.raises(kind) as caught:
        await route(server, calls, **options).connect(time.monotonic)
    assert not isinstance(caught.value, ConnectError) or not caught.value.temporary
    shown = f"{caught.value!r} {caught.value.__notes__ if caught.value.hint else ''}"
    assert CALL_ID not in shown
    assert TOKEN not in shown
    return caught.value


def tone(seconds: float, hertz: float) -> Any:
    at = np.arange(round(seconds * 48000)) / 48000
    return (8000 * np.sin(2 * np.pi * hertz * at)).astype(np.int16)


def peak(samples: Any) -> float:
    """Return the loudest frequency of the last half second."""
    return float(np.argmax(np.abs(np.fft.rfft(samples[-24000:].astype(float)))) * 2)


async def test_both_hear_what_the_other_says_and_the_gateway_is_told_of_the_end() -> None:
    async with serving() as (server, calls), joined(server, calls) as connection:
        session = await server.joined()
        session.voice.say(tone(2.0, 600))

        async def speak() -> None:
            frames = tone(1.5, 440).reshape(-1, 960)
            for frame in frames:
                assert connection.send_now(AUDIO.encode(frame))
                await asyncio.sleep(0.02)

        speaking = asyncio.create_task(speak())
        decoder, heard, numbers = OpusDecoder(48000), [], []
        async for event in connection:
            assert isinstance(event, AgentPacket)
            heard.append(decoder.decode(event.payload).copy())
            numbers.append(event.sequence)
            if len(heard) == 75:
                break
        await speaking
        assert numbers == list(range(numbers[0], numbers[0] + 75))
        assert abs(peak(np.concatenate(heard)) - 600) <= 2
        assert abs(peak(session.all_heard()) - 440) <= 2
        assert server.requests == [("POST", SESSIONS)]
        assert server.headers[0]["authorization"] == f"Bearer {TOKEN}"
        await connection.close()
        assert server.requests[1:] == [("DELETE", f"{SESSIONS}/0")]
        assert server.headers[1]["authorization"] == f"Bearer {TOKEN}"
    assert calls.stopped == []


async def test_the_offer_asks_for_opus_with_forward_error_correction_and_names_addresses() -> None:
    async with serving() as (server, calls), joined(server, calls):
        offer = (await server.joined()).offer
    assert "useinbandfec=1" in offer
    assert "ssrc-audio-level" not in offer
    assert "G722" not in offer
    assert "typ host" in offer
    assert "m=application" in offer


async def test_a_stun_server_costs_no_time() -> None:
    async with serving() as (server, calls):
        server.admission["ice_servers"] = [{"urls": ["stun:192.0.2.1:3478"]}]
        begun = time.monotonic()
        async with joined(server, calls):
            assert time.monotonic() - begun < 4, "the library would wait five seconds for it"


async def test_the_gateways_word_ends_the_call() -> None:
    async with serving() as (server, calls), joined(server, calls) as connection:
        await (await server.joined()).end()
        async for event in connection:
            if isinstance(event, CallOver):
                break
        assert connection.closed is not None
        assert (connection.closed.by, connection.closed.reason) == ("server", "ended")


async def test_a_gateway_that_closes_ends_the_call() -> None:
    async with serving() as (server, calls), joined(server, calls) as connection:
        session = await server.joined()
        await session.controllable.wait()
        await session.close()
        async for _ in connection:
            pass
        assert connection.closed is not None
        assert (connection.closed.by, connection.closed.code) == ("server", 1000)


@pytest.mark.parametrize(
    ("status", "body", "words", "hint"),
    [
        (401, {"message": "jwt expired"}, "HTTP 401 X: jwt expired", "one join"),
        (403, {"error": f"used: {TOKEN}"}, "HTTP 403 X: used: …cdef", "create another call"),
        (404, {}, "HTTP 404", "the call is over"),
        (409, {}, "HTTP 409", "joined once"),
        (410, b"gone", "HTTP 410 X: gone", "that call is over"),
        (422, {"error_message": "bad sdp"}, "HTTP 422 X: bad sdp", ""),
        (402, {"message": "no credit"}, "HTTP 402 X: no credit", ""),
        (429, {"message": "busy"}, "HTTP 429 X: busy", "too many calls"),
    ],
)
async def test_a_gateway_that_lets_nobody_in_is_quoted_and_the_call_is_stopped(
    status: int, body: Any, words: str, hint: str
) -> None:
    async with serving() as (server, calls):
        server.answers[JOIN] = [(status, body)]
        error = await refused(server, calls)
    assert words in str(error)
    assert hint in error.hint
    assert error.exit_code == 5
    assert calls.stopped == [CALL_ID]
    assert server.requests == [("POST", SESSIONS)]


async def test_a_gateway_in_trouble_is_asked_a_second_time() -> None:
    async with serving() as (server, calls):
        server.answers[JOIN] = [(503, {})]
        async with joined(server, calls):
            assert server.methods("sessions") == ["POST", "POST"]


async def test_a_gateway_in_trouble_for_good_is_asked_twice() -> None:
    async with serving() as (server, calls):
        server.answers[JOIN] = [(502, {}), (502, b"<html>")]
        error = await refused(server, calls)
        assert "HTTP 502" in str(error)
        assert server.methods("sessions") == ["POST", "POST"]
    assert calls.stopped == [CALL_ID]


async def test_a_gateway_that_is_not_there_is_the_networks_fault() -> None:
    async with serving() as (server, calls):
        server.url = "http://127.0.0.1:1"
        error = await refused(server, calls, ConnectError)
    assert "127.0.0.1:1 refused the connection" in str(error)
    assert error.exit_code == 4


async def test_a_gateway_that_does_not_answer_is_not_waited_for_long() -> None:
    async with serving() as (server, calls):
        server.hold[JOIN] = asyncio.Event()
        error = await refused(server, calls, ConnectError, connect_timeout=0.2)
    assert "did not answer within 0.2 s" in str(error)


@pytest.mark.parametrize("body", [b"", b"[]", {"session_id": "1"}, {"sdp": "v=0"}])
async def test_an_answer_that_makes_no_sense_is_told(body: Any) -> None:
    async with serving() as (server, calls):
        server.answers[JOIN] = [(200, body)]
        error = await refused(server, calls)
    assert "did not answer as Retell's gateway does" in str(error)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("v=0", "hello", "its answer is not SDP"),
        ("opus/48000/2", "PCMU/8000", "its answer has no Opus"),
        ("m=audio ", "m=video ", "its answer has no audio"),
        ("a=ice-ufrag:", "a=nothing:", "not SDP that can be used"),
        ("a=setup:", "a=setup:wrong-", "not SDP that can be used"),
        ("a=fingerprint:sha-256 ", "a=fingerprint:", "not SDP that can be used"),
        (" typ host", "", "not SDP that can be used"),
    ],
)
async def test_an_answer_that_cannot_be_used_is_told_and_the_session_left(
    old: str, new: str, words: str
) -> None:
    async with serving() as (server, calls):
        server.change = lambda sdp: sdp.replace(old, new)
        error = await refused(server, calls)
        assert server.methods("sessions/0") == ["DELETE"]
    assert words in str(error)
    assert calls.stopped == [], "it was joined: leaving ends it"


async def test_a_network_without_udp_is_told_and_the_session_left() -> None:
    async with serving() as (server, calls):
        server.change = deaf
        error = await refused(server, calls, ConnectError, connect_timeout=0.5)
        assert server.methods("sessions/0") == ["DELETE"]
    assert "no audio comes through" in str(error)
    assert "UDP" in error.hint
    assert error.exit_code == 4


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_relay_is_used_where_nothing_else_works(transport: str) -> None:
    (host, *_) = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    async with serving() as (server, calls), turn(host) as relay:
        urls = ["stun:192.0.2.1", relay.url(transport)]
        server.admission["ice_servers"] = [{"urls": urls, "username": USER, "credential": PASSWORD}]
        # Neither knows the way to the other; the relay knows it to the gateway.
        server.change_offer = lambda sdp: "".join(
            line for line in sdp.splitlines(keepends=True) if "a=candidate" not in line
        )
        server.change = lambda sdp: "".join(
            line.replace(host, HIDDEN)
            for line in sdp.splitlines(keepends=True)
            if "a=candidate" not in line or host in line
        )
        async with joined(server, calls) as connection:
            assert connection.send_now(bytes(1920))
            async for event in connection:
                if isinstance(event, AgentPacket):
                    break
            assert relay.allocations == [transport]
            await server.was_asked("PATCH", "sessions/0")
            said = server.bodies[server.requests.index(("PATCH", f"{SESSIONS}/0"))]["candidate"]
            assert " typ relay" in said["candidate"]
            assert said["candidate"].startswith("candidate:")
            assert (said["sdpMid"], said["sdpMLineIndex"]) == ("0", 0)
        assert relay.relayed > 0


async def test_a_relay_is_not_waited_for_where_it_is_not_needed() -> None:
    async with serving() as (server, calls):
        server.admission["ice_servers"] = [
            {"urls": ["turn:192.0.2.1"], "username": USER, "credential": PASSWORD}
        ]
        begun = time.monotonic()
        async with joined(server, calls):
            assert time.monotonic() - begun < 4


async def test_a_relay_that_refuses_us_is_passed_over() -> None:
    (host, *_) = aioice.ice.get_host_addresses(use_ipv4=True, use_ipv6=False)
    async with serving() as (server, calls), turn(host) as relay:
        server.hold[JOIN] = asyncio.Event()
        server.admission["ice_servers"] = [
            {"urls": [relay.url("tcp")], "username": "another", "credential": PASSWORD}
        ]
        joining = asyncio.create_task(route(server, calls).connect(time.monotonic))
        await relay.refusing.wait()
        server.hold[JOIN].set()
        await (await joining).close()
        assert relay.allocations == []


# Nothing is left behind


async def cancelled(dialling: "asyncio.Task[Any]") -> None:
    dialling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await dialling


async def test_cancelled_while_the_call_is_created_it_is_stopped() -> None:
    asked, answer = asyncio.Event(), asyncio.Event()

    async with serving() as (server, _):

        class Slow(Calls):
            async def admit(self) -> Admission:
                asked.set()
                await answer.wait()
                return await super().admit()

        slow = Slow(server)
        dialling = asyncio.create_task(route(server, slow).connect(time.monotonic))
        await asked.wait()
        asyncio.get_running_loop().call_later(0.1, answer.set)
        await cancelled(dialling)
        assert server.requests == []
    assert slow.stopped == [CALL_ID]


async def test_cancelled_while_it_is_joined_it_is_left() -> None:
    async with serving() as (server, calls):
        server.hold[JOIN] = asyncio.Event()
        dialling = asyncio.create_task(route(server, calls).connect(time.monotonic))
        await server.was_asked(*JOIN)
        asyncio.get_running_loop().call_later(0.1, server.hold[JOIN].set)
        await cancelled(dialling)
        assert server.requests == [("POST", SESSIONS), ("DELETE", f"{SESSIONS}/0")]
    assert calls.stopped == []


async def test_cancelled_while_a_gateway_that_never_answers_is_joined_it_is_stopped() -> None:
    async with serving() as (server, calls):
        server.hold[JOIN] = asyncio.Event()
        dialling = asyncio.create_task(route(server, calls).connect(time.monotonic))
        await server.was_asked(*JOIN)
        begun = time.monotonic()
        dialling.cancel()
        await asyncio.sleep(0.1)
        await cancelled(dialling)  # impatient: it may not keep the call from being ended
        assert time.monotonic() - begun < 3
    assert calls.stopped == [CALL_ID]


async def test_cancelled_while_it_connects_it_is_left() -> None:
    async with serving() as (server, calls):
        server.change = deaf
        dialling = asyncio.create_task(route(server, calls).connect(time.monotonic))
        await server.joined()
        await asyncio.sleep(0.05)
        await cancelled(dialling)
        assert server.methods("sessions/0") == ["DELETE"]


def a_peer(changed: Callable[[], None] = lambda: None) -> Peer:
    return Peer(lambda *_: None, lambda _: None, changed)


async def test_media_that_do_not_close_hold_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(media, "_CLOSE_TIMEOUT", 0.01)
    released, changed = asyncio.Event(), asyncio.Event()
    peer = a_peer(changed.set)
    close = peer._peer.close

    async def close_late() -> None:
        await released.wait()
        await close()

    monkeypatch.setattr(peer._peer, "close", close_late)
    async with asyncio.timeout(5):
        await peer.close()
        assert peer.state == "new"
        released.set()
        await changed.wait()
    assert peer.state == "closed"


async def test_media_close_to_the_end_whoever_is_cancelled_meanwhile() -> None:
    peer = a_peer()
    await peer.offer()
    closing = asyncio.create_task(peer.close())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(closing)
    async with asyncio.timeout(5):
        await peer.close()
    assert peer.state == "closed"


async def test_an_offer_that_is_cancelled_leaves_no_socket_open() -> None:
    peer = a_peer()
    offering = asyncio.create_task(peer.offer())
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await cancelled(offering)
    await peer.close()
    ice = peer._transceiver.receiver.transport.transport._connection
    assert (ice._local_candidates_end, ice._protocols) == (True, [])


async def test_a_sender_that_starts_while_everything_closes_is_stopped() -> None:
    peer = a_peer()
    await peer.offer()
    close, sender = peer._peer.close, peer._transceiver.sender
    codecs = [RTCRtpCodecParameters("audio/opus", 48000, 2, 96)]

    async def overtaken() -> None:
        await close()
        await sender.send(RTCRtpSendParameters(codecs=codecs))

    peer._peer.close = overtaken  # type: ignore[method-assign]
    await peer.close()
    assert not [each for each in asyncio.all_tasks() if "_run_rt" in repr(each.get_coro())]


async def test_a_route_is_dialled_once() -> None:
    async with serving() as (server, calls):
        dialled = route(server, calls)
        await (await dialled.connect(time.monotonic)).close()
        with pytest.raises(ConfigError, match="joined once"):
            await dialled.connect(time.monotonic)


# What it stands on


async def test_the_attribute_that_is_replaced_is_there() -> None:
    peer = RTCPeerConnection()
    receiver = peer.addTransceiver("audio").receiver
    assert isinstance(getattr(receiver, JITTER_BUFFER), JitterBuffer)
    await peer.close()


async def test_what_the_relays_need_of_the_library_is_there() -> None:
    connection = aioice.ice.Connection(ice_controlling=True)
    for name in (
        "_protocols",
        "_check_list",
        "_pair_remote_candidate",
        "check_start_task",
        "get_component_candidates",
    ):
        assert hasattr(connection, name)


@pytest.mark.parametrize("name", ["aiortc", "httpx"])
async def test_what_is_not_installed_is_told_before_a_call_is_created(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    find = importlib.util.find_spec
    monkeypatch.setattr(
        "retell_voice.transport.webrtc.route.find_spec",
        lambda wanted: None if wanted == name else find(wanted),
    )
    async with serving() as (server, calls):
        error = await refused(server, calls, ConfigError)
    assert name in str(error)
    assert error.hint == how_to_install("webrtc")
    assert calls.stopped == [], "there was nothing to stop"


async def test_interfaces_that_cannot_be_listed_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(**_: bool) -> list[str]:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(aioice.ice, "get_host_addresses", fail)
    async with serving() as (server, calls):
        error = await refused(server, calls, ConnectError)
    assert "cannot be listed: Address family not supported" in str(error)
    assert "AF_NETLINK" in error.hint
    assert calls.stopped == [CALL_ID]


async def test_a_machine_without_a_network_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [])
    monkeypatch.setattr("retell_voice.net.loopback._LOOPBACK", "192.0.2.1")  # it is not even up
    async with serving() as (server, calls):
        error = await refused(server, calls, ConnectError)
    assert "no network at all, not even loopback" in str(error)


async def test_nothing_shows_the_token_or_the_call(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as (server, calls):
        dialled = route(server, calls)
        connection = await dialled.connect(time.monotonic)
        await connection.close()
    shown = caplog.text + repr(dialled) + repr(vars(dialled)) + repr(vars(connection))
    assert CALL_ID not in shown
    assert TOKEN not in shown
