"""Whole calls over real sockets against the emulator, with file devices: what is said and heard."""

import asyncio
from pathlib import Path

import numpy as np
import pytest
from support.calls import (
    AUDIO,
    Timekeeper,
    calling,
    collect,
    ended,
    heard_whole,
    listen,
    tone,
    until,
)

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import WavMicrophone, WavSpeaker, WavWriter, read_wav
from retell_voice.emulator import Session
from retell_voice.engine import call as call_module
from retell_voice.engine.call import Call
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioDropped,
    CallState,
    Ended,
    InputFinished,
    Levels,
    MalformedMessage,
    Metadata,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)


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
    # What was heard has its own time, and is told at the next look.
    told = [event.at for event in events if not isinstance(event, AgentStarted)]
    assert told == sorted(told)
    end = ended(events)
    assert (end.by, end.code, end.reason, end.error) == ("server", 1000, "goodbye", None)
    # The last words were played although the server had closed long before.
    heard, _ = read_wav(tmp_path / "agent.wav")
    assert heard_whole(heard, 8000, 2400)
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


async def test_text_is_told_when_it_is_heard(monkeypatch) -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(0.2), "one")
        await session.send_audio(tone(0.2), "two")
        await session.close(1000)

    async with calling(agent, speaker=Timekeeper(monkeypatch), alignment=True) as call:
        spoken = [event for event in await collect(call) if isinstance(event, Alignment)]
    assert [event.text for event in spoken] == ["one", "two"]
    assert spoken[1].at - spoken[0].at == pytest.approx(0.2, abs=0.1)


async def test_an_agent_whose_server_streams_silence_on_has_stopped_and_starts_again(
    monkeypatch,
) -> None:
    async def agent(session: Session) -> None:
        noise = np.random.default_rng(5).normal(0, 60, 16_000).astype(np.int16)  # −55 dBFS
        for silence in (np.zeros(16_000, np.int16), noise):
            await session.send_audio(np.concatenate((tone(0.5), silence)))
        await session.close(1000)

    async with calling(agent, speaker=Timekeeper(monkeypatch)) as call:
        events = await collect(call)
    starts = [event.at for event in events if isinstance(event, AgentStarted)]
    stops = [event for event in events if isinstance(event, AgentStopped)]
    assert len(starts) == len(stops) == 2
    for start, stop in zip(starts, stops, strict=True):
        assert stop.silent_since - start == pytest.approx(0.5, abs=0.05)
        assert 0.75 < stop.at - stop.silent_since < 1.6, "before the next begins"
        assert not stop.interrupted
    assert starts[1] - starts[0] == pytest.approx(2.5, abs=0.05)
    assert ended(events).statistics.heard == 5


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


async def test_the_call_id_stays_secret() -> None:
    call = Call("call_0123456789abcdef")
    assert repr(call) == "<Call …cdef connecting>"
