"""Whole calls over real sockets against the emulator, with file devices."""

import asyncio
import socket
import threading
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.calls import AUDIO, calling, listen, until
from support.supervision import time_supervisors
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.devices.ports import DeviceTraits
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.watchdog import ZerosWatch
from retell_voice.emulator import Session
from retell_voice.engine import call as call_module
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.errors import (
    AudioFormatError,
    CallFailed,
    ConnectError,
    DeviceError,
    DeviceLost,
    Rejected,
)
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioDropped,
    CallState,
    DeviceChanged,
    Ended,
    Event,
    InputFinished,
    Levels,
    MalformedMessage,
    Metadata,
    MicrophoneSilent,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)


def opened_io(call: Call) -> AudioIO:
    assert call._io
    return call._io


def tone(seconds: float, level: int = 8000) -> np.ndarray:
    return np.full(round(seconds * AUDIO.rate), level, np.int16)


async def collect(call: Call) -> list[Event]:
    return [event async for event in call]


def ended(events: list[Event]) -> Ended:
    assert isinstance(events[-1], Ended)
    assert sum(isinstance(event, Ended) for event in events) == 1
    return events[-1]


def assert_nothing_runs() -> None:
    names = {thread.name for thread in threading.enumerate()}
    assert not names & {"retell-voice clock", "retell-voice capture"}


async def test_a_call_from_greeting_to_goodbye(tmp_path: Path) -> None:
    said = (Utterance("agent", "Hello."),)

    async def agent(session: Session) -> None:
        await session.update(said, "agent")
        await session.metadata({"mood": "fine"})
        await session.send_audio(tone(0.3), "Hello.")
        await session.send("what is this?")
        await session.send("{broken")
        await session.close(1000, "goodbye")

    speaker = WavSpeaker(tmp_path / "agent.wav", 8000)
    async with calling(agent, speaker=speaker) as call:
        events = await collect(call)

    kinds = [type(event) for event in events if not isinstance(event, Statistics)]
    assert kinds == [
        StateChanged,
        StateChanged,
        Transcript,
        Turn,
        Metadata,
        UnknownMessage,
        MalformedMessage,
        StateChanged,
        AgentStarted,
        AgentStopped,
        StateChanged,
        Ended,
    ]
    states = [event.state for event in events if isinstance(event, StateChanged)]
    assert states == list(CallState)
    assert [event.at for event in events] == sorted(event.at for event in events)
    end = ended(events)
    assert (end.by, end.code, end.reason, end.error) == ("server", 1000, "goodbye", None)
    # The last words were played although the server had closed long before.
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert np.count_nonzero(heard == 8000) == 2400
    statistics = end.statistics
    assert (statistics.heard, statistics.bytes_received) == (0.3, 4800)
    assert (statistics.unknown_messages, statistics.malformed_messages) == (1, 1)
    assert call.state is CallState.ENDED
    assert [event async for event in call] == []


@pytest.mark.parametrize("audio", [AUDIO, AudioFormat(Encoding.MULAW, 8000)])
async def test_what_the_microphone_hears_arrives_whole(tmp_path: Path, audio: AudioFormat) -> None:
    samples = (8000 * np.sin(np.arange(8000) / 10)).astype(np.int16)
    writer = WavWriter(tmp_path / "user.wav", 8000)
    writer.write(samples)
    writer.close()
    microphone = WavMicrophone(tmp_path / "user.wav", speed=4)
    heard_all = asyncio.Event()

    async def agent(session: Session) -> None:
        samples_left = 8000
        async for heard in session:
            samples_left -= len(heard)
            if samples_left <= 0:
                heard_all.set()

    async with calling(agent, microphone=microphone, audio=audio, frame_ms=33) as call:
        await heard_all.wait()
        await call.hang_up()
        end = ended(await collect(call))
    received = call.registered.received
    expected = audio.decode(audio.encode(samples))
    arrived = received[: len(expected)]
    assert np.array_equal(arrived, expected)
    assert end.statistics.bytes_sent == end.statistics.frames_sent * 264 * audio.sample_width


async def test_clear_silences_minutes_and_the_next_turn_is_heard_whole(tmp_path: Path) -> None:
    async def agent(session: Session) -> None:
        for _ in range(5):
            await session.send_audio(tone(60, 3000))
        for _ in range(20):
            await session.receive()
        await session.clear()
        await session.send_audio(np.arange(10001, 12001).astype(np.int16))
        await session.close(1000)

    speaker = WavSpeaker(tmp_path / "agent.wav", 8000)
    async with calling(agent, speaker=speaker) as call:
        events = await collect(call)
    heard, _ = read_wav(tmp_path / "agent.wav")
    second = np.flatnonzero(heard > 10000)
    assert heard[second].tolist() == list(range(10001, 12001))
    assert not np.any(heard[second[-1] + 1 :])
    (stopped,) = (
        event for event in events if isinstance(event, AgentStopped) and event.interrupted
    )
    assert 298 < stopped.discarded < 300
    statistics = ended(events).statistics
    assert statistics.clears == 1
    assert statistics.heard + statistics.discarded == pytest.approx(300.25)
    assert statistics.playout_depth == 0


async def test_more_than_the_playout_holds_is_dropped_and_told(monkeypatch) -> None:
    monkeypatch.setattr(call_module, "PLAYOUT_LIMIT", 0.5)

    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.8))
        await session.close(1000)

    async with calling(agent) as call:
        events = await collect(call)
    dropped = [event for event in events if isinstance(event, AudioDropped)]
    assert sum(event.duration for event in dropped) == pytest.approx(0.3, abs=0.1)
    assert {event.side for event in dropped} == {"far_end"}
    assert ended(events).statistics.overflowed == pytest.approx(0.3, abs=0.1)


async def test_last_words_are_bounded(tmp_path: Path) -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await session.close(1000)

    async with calling(agent, drain_timeout=0.1) as call:
        events = await collect(call)
    assert ended(events).statistics.heard < 2
    assert ended(events).error is None


async def test_text_is_told_when_it_is_heard() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.2), "one")
        await session.send_audio(tone(0.2), "two")
        await session.close(1000)

    async with calling(agent, alignment=True) as call:
        spoken = [event for event in await collect(call) if isinstance(event, Alignment)]
    assert [event.text for event in spoken] == ["one", "two"]
    assert spoken[1].at - spoken[0].at == pytest.approx(0.2, abs=0.1)


async def test_an_agent_whose_server_streams_silence_on_has_stopped_and_starts_again() -> None:
    async def agent(session: Session) -> None:
        noise = np.random.default_rng(5).normal(0, 60, 16_000).astype(np.int16)  # −55 dBFS
        for silence in (np.zeros(16_000, np.int16), noise):
            await session.send_audio(np.concatenate((tone(0.5), silence)))
        await session.close(1000)

    async with calling(agent) as call:
        events = await collect(call)
    starts = [event.at for event in events if isinstance(event, AgentStarted)]
    stops = [event for event in events if isinstance(event, AgentStopped)]
    assert len(starts) == len(stops) == 2
    for start, stop in zip(starts, stops, strict=True):
        assert stop.silent_since - start == pytest.approx(0.5, abs=0.05)
        assert stop.at - stop.silent_since == pytest.approx(0.8, abs=0.3)
        assert not stop.interrupted
    assert starts[1] - starts[0] == pytest.approx(2.5, abs=0.05)
    assert ended(events).statistics.heard == 5


async def test_hanging_up_ends_the_call_at_once() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await listen(session)

    async with calling(agent) as call:
        await until(call, AgentStarted)
        await call.hang_up()
        end = ended(await collect(call))
    assert (end.by, end.code, end.error) == ("you", 1000, None)
    assert call.registered.disconnection_reason == "user_hangup"


async def test_hanging_up_tells_how_much_of_the_agent_was_never_heard() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await listen(session)

    async with calling(agent) as call:
        async for event in call:
            if isinstance(event, Statistics) and event.heard + event.playout_depth > 59.9:
                break
        await call.hang_up()
        events = await collect(call)
    [stopped] = [event for event in events if isinstance(event, AgentStopped)]
    assert stopped.interrupted
    assert 50 < stopped.discarded < 60
    figures = ended(events).statistics
    assert figures.heard + stopped.discarded == pytest.approx(60, abs=0.05)
    assert figures.heard + figures.discarded == pytest.approx(60)


async def test_hanging_up_cuts_the_last_words_but_not_the_servers_reason() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await session.close(1011, "error_llm")

    async with calling(agent) as call:
        while (await until(call, StateChanged)).state is not CallState.DRAINING:
            pass
        await call.hang_up()
        end = ended(await collect(call))
    assert (end.by, end.reason, type(end.error)) == ("server", "error_llm", CallFailed)
    assert end.statistics.heard < 2


async def test_leaving_the_context_hangs_up_and_closes_the_devices() -> None:
    async with calling(listen) as call:
        await until(call, Statistics)
    assert call.state is CallState.ENDED
    assert_nothing_runs()


async def test_an_error_in_the_body_closes_the_call_and_passes() -> None:
    with pytest.raises(ZeroDivisionError):
        async with calling(listen) as call:
            1 / 0  # noqa: B018
    assert call.state is CallState.ENDED


async def test_muted_it_sends_silence(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "user.wav", 8000)
    writer.write(tone(3))
    writer.close()
    microphone = WavMicrophone(tmp_path / "user.wav", speed=4)
    async with calling(listen, microphone=microphone, level_interval=0.05) as call:
        call.muted = True
        assert call.muted
        async for event in call:
            if isinstance(event, Levels) and event.near_end == -100:
                break
        quiet_from = len(call.registered.received)
        await until(call, InputFinished)
    received = call.registered.received
    assert len(received) > quiet_from + 8000
    assert not received[quiet_from + 800 :].any()


async def test_levels_tell_both_sides() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.3, -32768))
        await session.close(1000)

    async with calling(agent, level_interval=0.02) as call:
        levels = [event for event in await collect(call) if isinstance(event, Levels)]
    assert max(event.far_end for event in levels) == 0
    assert {event.near_end for event in levels} == {-100}


async def test_heartbeats_are_timed_and_need_no_answer() -> None:
    async with calling(listen, timing=Timing(heartbeat=0.02, statistics=0.02)) as call:
        async for event in call:
            if isinstance(event, Statistics) and event.round_trip is not None:
                assert 0 < event.round_trip < 1
                break


async def test_a_server_that_knows_no_ping_loses_nothing() -> None:
    async with (
        silent_server() as (url, pings),
        Call(
            "c",
            url=url,
            microphone=NullMicrophone(),
            speaker=NullSpeaker(),
            text_heartbeat=True,
            timing=Timing(heartbeat=0.02, silence_limit=0.5),
        ) as call,
    ):
        for _ in range(50):
            await pings.get()
        assert call.state is CallState.LIVE
        assert call.statistics().round_trip is not None


@asynccontextmanager
async def silent_server(**options):
    """A server that says nothing of its own; yields its URL and a queue of the texts it gets."""
    texts: asyncio.Queue[str] = asyncio.Queue()

    async def handler(websocket: ServerConnection) -> None:
        async for message in websocket:
            if isinstance(message, str):
                texts.put_nowait(message)

    async with serve(handler, "127.0.0.1", 0, **options) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}", texts


async def test_a_half_open_connection_ends_the_call() -> None:
    timing = Timing(heartbeat=0.02, silence_limit=0.3)
    gone = asyncio.Event()

    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()  # from here on it answers no ping
        await gone.wait()

    async with serve(handler, "127.0.0.1", 0, close_timeout=0.1) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        devices: dict[str, Any] = {"microphone": NullMicrophone(), "speaker": NullSpeaker()}
        async with Call("c", url=url, timing=timing, **devices) as call:
            end = ended(await collect(call))
        gone.set()
    assert (end.by, end.code) == ("network", 1006)
    assert str(end.error) == (
        "network: the connection broke off: 1006 nothing came from the server for 0.3 s"
    )


async def test_when_the_network_stalls_the_oldest_audio_goes_and_the_rest_is_live(
    tmp_path: Path,
) -> None:
    """12 s of a ramp, four times as fast; its values tell what was heard when."""
    writer = WavWriter(tmp_path / "ramp.wav", 8000)
    writer.write((np.arange(96_000) // 10).astype(np.int16))
    writer.close()
    resume = asyncio.Event()
    got: list[bytes] = []

    async def handler(websocket: ServerConnection) -> None:
        websocket.transport.pause_reading()
        await resume.wait()
        websocket.transport.resume_reading()
        got.extend([message async for message in websocket if isinstance(message, bytes)])

    listening = socket.create_server(("127.0.0.1", 0))
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    async with serve(handler, sock=listening) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        microphone = WavMicrophone(tmp_path / "ramp.wav", speed=4)
        async with Call(
            "c", url=url, audio=AUDIO, microphone=microphone, speaker=NullSpeaker()
        ) as call:
            while (await until(call, AudioDropped)).side != "near_end":
                pass
            resumed_at = opened_io(call).near_end.position
            resume.set()
            await until(call, InputFinished)
            statistics = call.statistics()
    heard = np.frombuffer(b"".join(got), "<i2").astype(int) * 10
    jumps = np.flatnonzero(np.diff(heard) > 10)
    assert len(jumps) == 1
    assert statistics.frames_dropped > 0
    # Heard first after the gap: no more than a second before what was captured by then.
    assert heard[jumps[0] + 1] >= resumed_at - 8000 * 1.1
    assert statistics.frames_sent + statistics.frames_dropped >= 96_000 / 160 - 10


async def test_a_server_that_is_not_up_yet_is_tried_again() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    tries = 0

    async def late_server() -> None:
        async with serve(listen_raw, "127.0.0.1", port):
            await done.wait()

    async def listen_raw(websocket: ServerConnection) -> None:
        await websocket.wait_closed()

    def delays():
        nonlocal tries
        while True:
            tries += 1
            if tries == 2:
                tried_twice.set()
            yield 0.05

    done, tried_twice = asyncio.Event(), asyncio.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_module, "full_jitter", delays)
        call = Call(
            "c",
            url=f"ws://127.0.0.1:{port}",
            microphone=NullMicrophone(),
            speaker=NullSpeaker(),
            connect_attempts=100,
        )
        opening = asyncio.create_task(call.__aenter__())
        await tried_twice.wait()
        server = asyncio.create_task(late_server())
        await opening
        assert call.state is CallState.LIVE
        await call.__aexit__(None, None, None)
    done.set()
    await server


@pytest.mark.parametrize(("status", "tries"), [(503, 3), (429, 3), (404, 1), (401, 1)])
async def test_a_refusal_is_final_and_an_overload_is_not(status: int, tries: int) -> None:
    asked = 0

    def process_request(connection, request):
        nonlocal asked
        asked += 1
        return connection.respond(HTTPStatus(status), "no")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(call_module, "full_jitter", lambda: repeat(0.0))
        async with silent_server(process_request=process_request) as (url, _):
            call = Call("c", url=url, microphone=NullMicrophone(), speaker=NullSpeaker())
            with pytest.raises(Rejected):
                await call.__aenter__()
    assert asked == tries


@pytest.mark.parametrize("code", [1008, 1011, 4000])
async def test_a_close_before_and_during_the_call_shows_code_and_reason(code: int) -> None:
    async def before(session: Session) -> None:
        await session.close(code, "no such call")

    async def during(session: Session) -> None:
        await session.send_audio(tone(0.1))
        await session.close(code, "error_llm")

    async with calling(before) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, end.reason, type(end.error)) == (
        "server",
        code,
        "no such call",
        Rejected,
    )
    async with calling(during) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, end.reason, type(end.error)) == (
        "server",
        code,
        "error_llm",
        CallFailed,
    )
    assert end.statistics.heard == 0.1  # what was queued is still heard


async def test_a_connection_that_breaks_ends_the_call() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.1))
        session.websocket.transport.abort()

    async with calling(agent) as call:
        end = ended(await collect(call))
    assert (end.by, end.code, type(end.error)) == ("network", 1006, CallFailed)


class Flaky(NullSpeaker):
    """A speaker that is lost, or fails to open."""

    def __init__(self, how: str) -> None:
        super().__init__(8000)
        self.how = how
        self.stops = 0

    def start(self, source) -> None:
        if self.how == "busy":
            raise DeviceError("speaker: it is busy")
        if self.how == "silent":
            return  # never pulls
        super().start(source)
        self.source = source

    def stop(self) -> None:
        self.stops += 1
        super().stop()


async def test_without_a_device_timeout_a_lost_device_ends_the_call_with_its_error() -> None:
    speaker = Flaky("lost")
    async with calling(listen, speaker=speaker, device_timeout=0) as call:
        await until(call, Statistics)
        threading.Thread(target=speaker.source.lost, args=("it was unplugged",)).start()
        end = ended(await collect(call))
    assert (end.by, end.reason) == ("device", "speaker 'nothing' lost: it was unplugged")
    assert isinstance(end.error, DeviceLost)
    assert end.statistics.device_losses == 1


async def test_a_device_that_stops_without_a_word_is_lost() -> None:
    speaker = Flaky("silent")
    speaker.traits = DeviceTraits(block_timeout=0.1, start_timeout=0.1)
    async with calling(listen, speaker=speaker, device_timeout=0) as call:
        end = ended(await collect(call))
    assert end.by == "device"
    assert "it opens, but no audio passes" in end.reason


async def test_a_device_that_stays_away_ends_the_call(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    speaker = Flaky("lost")
    async with calling(listen, speaker=speaker, device_timeout=0.2) as call:
        await until(call, Statistics)
        speaker.how = "busy"
        speaker.source.lost("it was unplugged")
        events = await collect(call)
    end = ended(events)
    assert end.by == "device"
    why = "it was unplugged; it did not come back within 0.2 s"
    assert end.reason == f"speaker 'nothing' lost: {why}"
    assert end.error
    assert end.error.hint == "the last attempt: speaker: it is busy"
    (change,) = (event for event in events if isinstance(event, DeviceChanged))
    assert change.state == "lost"
    assert change.at <= end.at - 0.2


class Unplugged(Flaky):
    """Is lost while the first words play and comes back when it may; keeps what it played."""

    def __init__(self) -> None:
        super().__init__("")
        self.heard: list[np.ndarray] = []
        self.plugged = True

    def start(self, source) -> None:
        if not self.plugged:
            raise DeviceError("speaker: it is not there")
        block = np.zeros(self.block, np.int16)
        self.source = source

        def tick(size: int) -> None:
            source.fill_rt(block)
            self.heard.append(block.copy())
            if self.plugged and block[0] == 1000 and len(self.heard) > 50:
                self.plugged = False
                source.lost("it was unplugged")

        self.run(tick, source.lost)


async def test_a_speaker_that_comes_back_is_heard_again_and_time_went_on(monkeypatch) -> None:
    time_supervisors(monkeypatch, retry=0.02)
    played = asyncio.Event()

    async def agent(session: Session) -> None:
        await session.send_audio(tone(1.5, 1000))
        await played.wait()
        await session.send_audio(tone(0.2, 2000))
        await session.close(1000)

    speaker = Unplugged()
    states = []
    async with calling(agent, speaker=speaker) as call:
        async for event in call:
            end = event
            match event:
                case DeviceChanged():
                    states.append((event.side, event.state, event.name))
                case AgentStopped() if not played.is_set():
                    # The words that nobody heard took the time they take.
                    assert event.silent_since > 1.5
                    speaker.plugged = True
                    while len(states) < 2 and (back := await until(call, DeviceChanged)):
                        states.append((back.side, back.state, back.name))
                    played.set()
    assert states == [("far_end", "lost", "nothing"), ("far_end", "back", "nothing")]
    heard = np.concatenate(speaker.heard)
    assert 0 < np.count_nonzero(heard == 1000) < 1.4 * 8000
    assert np.count_nonzero(heard == 2000) == 0.2 * 8000
    assert isinstance(end, Ended)
    assert (end.by, end.error) == ("server", None)
    assert end.statistics.heard == pytest.approx(1.7)
    assert end.statistics.device_losses == 1


class Deaf(NullMicrophone):
    """A microphone that nobody lets hear."""

    traits = replace(NullMicrophone.traits, never_silent=True)


async def test_a_microphone_of_zeros_is_told_once(monkeypatch) -> None:
    monkeypatch.setattr("retell_voice.devices.upkeep.watchdog.ZEROS_TIMEOUT", 0.1)
    async with calling(listen, microphone=Deaf(8000)) as call:
        silent = await until(call, MicrophoneSilent)
        await until(call, Statistics)
        await call.hang_up()
        events = await collect(call)
    assert (silent.name, silent.at > 0.1) == ("silence", True)
    assert not any(isinstance(event, MicrophoneSilent) for event in events)


async def test_a_microphone_of_zeros_is_opened_anew_once(monkeypatch) -> None:
    starts = []

    class Mends(Deaf):
        def start(self, sink) -> None:
            starts.append(sink)
            super().start(sink)

    async with calling(listen, microphone=Mends(8000)) as call:
        await until(call, Statistics)
        drift = opened_io(call).capture_drift
        monkeypatch.setattr(ZerosWatch, "look", lambda *_, **__: True)  # silent again and again
        for _ in range(3):
            await until(call, MicrophoneSilent)
        await until(call, Statistics)
        assert len(starts) == 2
        assert opened_io(call).capture_drift is not drift, "a pause is no drift"
        await call.hang_up()


class Humming(NullMicrophone):
    """Is never quiet."""

    def start(self, sink) -> None:
        self.run(lambda size: sink.write_rt(np.full(size, 201, np.int16)), sink.lost)


async def test_who_may_not_be_interrupted_when(monkeypatch) -> None:
    """A device that is opened anew costs a gap: the speaker's in silence, the microphone's
    while its user listens, or is quiet."""
    looks: list[tuple[str, bool]] = []
    monkeypatch.setattr(
        Supervisor, "look", lambda self, now, *, pause: looks.append((self._side, pause))
    )

    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.5))
        await listen(session)

    monkeypatch.setattr(Supervisor, "raised", True)
    async with calling(agent, level_interval=0.02, microphone=Humming(8000)) as call:
        await until(call, AgentStopped)
        await until(call, Statistics)
        call.muted = True
        await until(call, Statistics)
        await call.hang_up()
    seen = [look[1] for look in looks]
    pauses = list(zip(seen[::2], seen[1::2], strict=True))  # near end, far end
    assert set(pauses) == {(True, False), (False, True), (True, True)}
    assert pauses.index((True, False)) < pauses.index((True, True))


async def test_microphone_audio_that_a_blocked_event_loop_made_old_is_not_sent() -> None:
    async with calling(listen) as call:
        await until(call, Statistics)
        conversation = call._conversation
        assert conversation
        sent = call.statistics().frames_sent
        for waited in (5.0, 1.01):
            conversation.take(bytes(320), waited)
        assert call.statistics().frames_dropped == 2
        assert call.statistics().frames_sent == sent
        conversation.take(bytes(320), 0.99)
        assert call.statistics().frames_sent == sent + 1
        dropped = await until(call, AudioDropped)
        assert (dropped.side, dropped.duration) == ("near_end", pytest.approx(0.04))


async def test_a_device_that_hangs_while_it_opens_does_not_hold_a_cancelled_call(
    monkeypatch,
) -> None:
    monkeypatch.setattr("retell_voice.threads.detached._HANG_SECONDS", 0.01)
    opening, stopped = threading.Event(), threading.Event()

    class Hangs(NullSpeaker):
        def start(self, source) -> None:
            opening.set()
            stopped.wait()

        def stop(self) -> None:
            stopped.set()

    async def enter() -> None:
        async with calling(listen, speaker=Hangs(8000)):
            raise AssertionError("it cannot be open")

    entering = asyncio.create_task(enter())
    await asyncio.to_thread(opening.wait, 10)
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert stopped.is_set()


async def test_a_full_disk_ends_the_call_and_the_file_is_not_begun_again(
    tmp_path: Path, monkeypatch
) -> None:
    path = tmp_path / "agent.wav"
    async with calling(listen, speaker=WavSpeaker(path, 8000)) as call:
        await until(call, Statistics)

        def full(writer: WavWriter, samples: np.ndarray) -> None:
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(WavWriter, "write", full)
        end = ended(await collect(call))
    assert end.by == "device"
    why = f"speaker 'agent.wav' lost: {path}: No space left on device"
    assert end.reason == f"{why}; the first 0.2 s were saved"
    assert len(read_wav(path)[0])


async def test_a_device_that_cannot_be_opened_stops_the_call_before_it_begins() -> None:
    speaker = Flaky("busy")
    with pytest.raises(DeviceError, match="busy"):
        async with calling(listen, speaker=speaker):
            pass
    assert speaker.stops


async def test_devices_are_closed_when_the_server_is_not_reached() -> None:
    speaker = Flaky("")
    call = Call("c", url="ws://no-such-host.invalid", microphone=NullMicrophone(), speaker=speaker)
    with pytest.raises(ConnectError):
        async with call:
            pass
    assert speaker.stops
    assert call.state is CallState.ENDED


async def test_cancelling_while_connecting_closes_the_devices() -> None:
    reached = asyncio.Event()

    async def handler(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        reached.set()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    gone = asyncio.Event()
    speaker = Flaky("")
    async with await asyncio.start_server(handler, "127.0.0.1", 0) as server:
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        call = Call("c", url=url, microphone=NullMicrophone(), speaker=speaker)
        opening = asyncio.create_task(call.__aenter__())
        await reached.wait()
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await gone.wait()
    assert speaker.stops


async def test_a_fault_in_the_audio_path_is_raised_not_hidden_and_leaves_nothing_running() -> None:
    events: list[Event] = []
    with pytest.raises(ExceptionGroup) as caught:
        async with calling(listen) as call:
            await until(call, Statistics)
            assert call._lease
            broken: Any = (None, None, None)
            call._lease.far_end._turn.queue.append(broken)
            async for event in call:
                events.append(event)  # noqa: PERF401 - kept although it raises
    assert caught.group_contains(TypeError)
    assert call.state is CallState.ENDED
    assert_nothing_runs()
    await call.registered.wait()
    error = ended(events).error
    assert error
    assert error.exit_code == 1


async def test_the_format_is_checked_before_anything_is_opened() -> None:
    with pytest.raises(AudioFormatError, match="19 ms"):
        Call("c", frame_ms=19)


async def test_the_call_id_stays_secret() -> None:
    call = Call("call_0123456789abcdef")
    assert repr(call) == "<Call …cdef connecting>"


async def test_a_call_that_is_not_open_says_so() -> None:
    call = Call("c")
    assert call.state is CallState.CONNECTING
    for use in (lambda: call.muted, lambda: call.microphone, call.statistics):
        with pytest.raises(RuntimeError, match="not open"):
            use()
    with pytest.raises(RuntimeError, match="not open"):
        await call.hang_up()


def test_a_call_in_a_task_that_is_cancelled_leaves_nothing_running() -> None:
    async def hold(call: Call, up: asyncio.Event) -> None:
        async with call:
            up.set()
            await collect(call)

    async def main() -> None:
        async with silent_server() as (url, _):
            call = Call("c", url=url, microphone=NullMicrophone(), speaker=NullSpeaker())
            up = asyncio.Event()
            task = asyncio.create_task(hold(call, up))
            await up.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert call.state is CallState.ENDED

    asyncio.run(main())
    assert_nothing_runs()


async def test_a_device_that_fails_to_stop_does_not_keep_the_others_from_it() -> None:
    class Stuck(NullMicrophone):
        def stop(self) -> None:
            super().stop()
            raise OSError("stuck")

    with pytest.raises(OSError, match="stuck"):
        async with calling(listen, microphone=Stuck(8000)) as call:
            await until(call, Statistics)
    assert_nothing_runs()


async def test_an_agent_that_is_cut_off_has_stopped_all_the_same() -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(60))
        await listen(session)

    async with calling(agent) as call:
        await until(call, AgentStarted)
        await call.hang_up()
        events = await collect(call)
    (stopped,) = (event for event in events if isinstance(event, AgentStopped))
    assert stopped.interrupted
    assert ended(events).statistics.playout_depth == 0


async def test_a_device_lost_before_the_call_is_up_is_told_with_its_own_words() -> None:
    class Gone(NullSpeaker):
        def start(self, source) -> None:
            super().start(source)
            source.lost("it was unplugged")

    with pytest.raises(DeviceLost, match="it was unplugged"):
        async with calling(listen, speaker=Gone(8000), device_timeout=0):
            pass
    assert_nothing_runs()


async def test_one_message_cannot_end_the_call() -> None:
    async def agent(session: Session) -> None:
        word = f'{{"word":"a","start":1{"0" * 400},"end":1}}'
        await session.send(
            '{"event_type":"update","transcript":'
            f'[{{"role":"user","content":"a","words":[{word}]}}]}}'
        )
        await session.close(1000)

    async with calling(agent) as call:
        events = await collect(call)
    assert any(isinstance(event, MalformedMessage) for event in events)
    assert ended(events).error is None


async def test_a_microphone_that_has_finished_is_followed_by_silence() -> None:
    class Brief(NullMicrophone):
        traits = DeviceTraits(block_timeout=0.1)

        def start(self, sink) -> None:
            sink.write_rt(tone(0.1))
            sink.finished()

    async def agent(session: Session) -> None:
        heard = 0
        async for samples in session:
            heard += len(samples)
            if heard > 4000:
                return

    async with calling(agent, microphone=Brief(8000)) as call:
        events = await collect(call)
    assert any(isinstance(event, InputFinished) for event in events)
    assert (ended(events).by, ended(events).error) == ("server", None)
    assert ended(events).statistics.device_losses == 0


async def test_a_call_that_does_not_come_about_writes_no_file(tmp_path: Path) -> None:
    path = tmp_path / "precious.wav"
    path.write_bytes(b"precious")
    with pytest.raises(ConnectError):
        async with Call(
            "c",
            url="ws://no-such-host.invalid",
            microphone=NullMicrophone(),
            speaker=WavSpeaker(path, 8000),
        ):
            pass
    assert path.read_bytes() == b"precious"


async def test_a_borrowed_audio_io_has_its_own_echo_control() -> None:
    io = AudioIO(NullMicrophone(), NullSpeaker())
    for given in ({"echo": "off"}, {"noise_suppression": True}, {"automatic_gain": True}):
        with pytest.raises(TypeError, match="has its own echo control"):
            Call("call", audio=io, **given)
