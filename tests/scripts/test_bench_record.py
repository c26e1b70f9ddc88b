"""scripts/bench record: what it writes of a call is what replay reads."""

import asyncio
import signal
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts import record
from bench_parts.figures import REPO
from bench_parts.replay import replay
from bench_parts.traces import Arrival, Trace, parse

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, Session, silent_agent

AUDIO = AudioFormat(Encoding.MULAW, 8000)
BURST = np.full(4000, 1000, np.int16)
PAUSE = 0.6
LONG = 30.0


async def scripted(session: Session) -> None:
    """Half a second at once, twice, between them a pause in which it is cut; then hang up."""
    await session.send_audio(BURST, "Hello!")
    heard = 0
    async for samples in session:
        heard += len(samples)
        if heard >= PAUSE * AUDIO.rate:
            break
    await session.clear()
    await session.send_audio(BURST)


async def endless(session: Session) -> None:
    await session.send_audio(BURST)
    await silent_agent(session)


async def test_what_was_recorded_is_replayed(tmp_path: Path) -> None:
    file = tmp_path / "call.trace"
    async with Emulator(agent=scripted) as emulator:
        call = emulator.register(AUDIO)
        options = ("--url", emulator.url, "--encoding", "mulaw", "--rate", "8000")
        bench = await start(file, *options, "--comment", "an agent that is cut")
        out, errors = await bench.communicate(f"{call.call_id}\n".encode())
    assert bench.returncode == 0, errors.decode()
    (line,) = out.decode().splitlines()
    assert line.startswith(f"{file}: 10 pieces, 1.0 s of audio, clears: 1, largest gap ")
    assert line.endswith(" ms; the server hung up (1000)")
    text = file.read_text()
    assert text.startswith("# an agent that is cut\n# recorded by: scripts/bench record, ")
    assert call.call_id[-8:] not in text + out.decode() + errors.decode()

    trace = parse(text)
    burst = [AUDIO.rate // 10] * 5
    assert trace.rate == AUDIO.rate
    assert [each.samples for each in trace.arrivals] == [*burst, None, *burst]
    times = [each.at for each in trace.arrivals]
    assert times[0] == 0
    assert times[5] - times[4] > PAUSE / 6, "the pause lasts until so much silence was sent"
    result = replay(trace)
    assert result.received == pytest.approx(1.0)
    assert result.received == pytest.approx(result.heard + result.discarded)
    assert len(result.turns) == 2


async def test_ctrl_c_ends_it_and_what_arrived_is_kept(tmp_path: Path) -> None:
    file = tmp_path / "call.trace"
    async with Emulator(agent=endless) as emulator, asyncio.timeout(LONG):
        call = emulator.register(AudioFormat())
        bench = await start(file, call.call_id, "--url", emulator.url)
        assert bench.stderr is not None
        assert b"the first arrived" in await bench.stderr.readline()
        bench.send_signal(signal.SIGINT)
        out, errors = await bench.communicate()
        await call.wait()
    assert bench.returncode == 0
    assert errors == b""
    assert out.decode().endswith("; stopped\n")
    assert call.disconnection_reason == "user_hangup"
    assert parse(file.read_text()).arrivals[0].at == 0


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("", "--url", "ws://127.0.0.1:1/audio-websocket"), "no call to join"),
        (("call_abc", "--url", "http://127.0.0.1"), "is not the URL of a WebSocket"),
        (("call_abc", "--rate", "5"), "sample rate 5 Hz is outside"),
    ],
)
async def test_errors_are_for_people(tmp_path: Path, options: tuple[str, ...], why: str) -> None:
    file = tmp_path / "call.trace"
    bench = await start(file, *options)
    out, errors = await bench.communicate()
    assert (bench.returncode, out) == (1, b"")
    assert errors.decode().startswith("bench: record failed: ")
    assert why in errors.decode().splitlines()[0]
    assert not file.exists()


async def test_a_call_without_a_word_leaves_no_file(tmp_path: Path) -> None:
    file = tmp_path / "call.trace"
    async with Emulator(agent=silent_agent) as emulator:
        call = emulator.register(AudioFormat())
        options = ("--url", emulator.url, "--seconds", "0.2")
        bench = await start(file, call.call_id, *options)
        _, errors = await bench.communicate()
    assert errors == b"bench: record failed: no agent audio arrived: hung up after 0.2 s\n"
    assert not file.exists()


async def test_a_trace_that_is_there_is_kept_and_the_call_is_not_joined(tmp_path: Path) -> None:
    file = tmp_path / "call.trace"
    file.write_text("rate 8000\n")
    async with Emulator() as emulator:
        call = emulator.register(AudioFormat())
        bench = await start(file, call.call_id, "--url", emulator.url)
        _, errors = await bench.communicate()
        assert call.status == "registered"
    assert b"File exists" in errors
    assert file.read_text() == "rate 8000\n"


def test_what_a_trace_holds_is_told_in_a_line() -> None:
    arrivals = (Arrival(0.0, 4000), Arrival(0.1, 4000), Arrival(0.55, None), Arrival(0.6, 800))
    assert record.describe(Trace(8000, arrivals)) == (
        "3 pieces, 1.1 s of audio, clears: 1, largest gap 450 ms"
    )


async def start(file: Path, *options: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, str(REPO / "scripts" / "bench"), "record", str(file), *options),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
