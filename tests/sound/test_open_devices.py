"""Devices that stay open, on the card."""

from __future__ import annotations

import asyncio
import json
import statistics
import subprocess
import sys
from pathlib import Path

import pytest
from support.card import VirtualCard
from support.recorder import RATE
from support.tones import AGENT, YOU, holds, tone, until_heard
from support.waits import run_ahead, unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator, Session

pytestmark = pytest.mark.sound

EXAMPLE = Path(__file__).parents[2] / "examples" / "open_devices.py"
ECHO = """
import asyncio, json
import numpy as np
from retell_voice import AudioIO
from retell_voice.devices.streams.reference import ReferenceReader

async def main():
    async with AudioIO(rate=24000, echo="off") as io:
        reader = ReferenceReader(io.output.reference, io.near_end.rate)
        near, far = [], []

        def pair(samples, at):
            near.append(samples)
            far.append(reader.read(len(samples), at))
            return samples

        io.near_end.use_echo_control(pair)
        noise = np.random.default_rng(1).normal(0, 3000, 24000 * 5).astype(np.int16)
        await io.play(noise, 24000)
        await asyncio.sleep(0.3)  # the last of it comes back
        io.near_end.use_echo_control(None)
        heard, played = np.concatenate(near).astype(float), np.concatenate(far).astype(float)
        lags = []
        for second in (1, 2, 3, 4):
            part = played[second * 24000 : second * 24000 + 12000]
            around = heard[second * 24000 - 4800 : second * 24000 + 12000 + 4800]
            found = np.correlate(around, part, "valid")
            lags.append((int(np.argmax(np.abs(found))) - 4800) / 24)
        print(json.dumps({"lags_ms": lags, "jumps": reader.jumps,
                          "xruns": io.near_end.xruns + io.output.xruns}))

asyncio.run(main())
"""


async def says_its_tone(session: Session) -> None:
    await session.send_audio(tone(AGENT, 1.0, session.audio.rate))
    heard = 0
    async for samples in session:
        heard += len(samples)
        if heard > 2 * session.audio.rate:
            return


@unless_it_had_to_wait
async def test_three_calls_in_a_row_open_no_device_again(
    card: VirtualCard, home: dict[str, str]
) -> None:
    # A microphone of digital zeros would be opened again once.
    with card.playing(tone(YOU, 60.0, RATE)), card.record() as recorder:
        async with Emulator(agent=says_its_tone, record=True) as emulator:
            calls = [emulator.register(AudioFormat()) for _ in range(3)]
            program = await asyncio.create_subprocess_exec(
                *(sys.executable, str(EXAMPLE), *(call.call_id for call in calls), emulator.url),
                env=card.env | home,
                stdout=subprocess.PIPE,
            )
            try:
                async with asyncio.timeout(60):
                    output = (await program.communicate())[0].decode()
            finally:
                if program.returncode is None:
                    program.kill()
                await program.wait()
            await until_heard(recorder.samples, AGENT, RATE, "the speaker")
    assert program.returncode == 0, output
    assert output.count("heard 1.0 s; all well") == 3, output
    # A busy machine makes gaps, and those ask for more latency; calls open nothing.
    assert f"devices were opened {2 + output.count('another latency')} times" in output
    assert all(holds(call.received, YOU, AudioFormat().rate) for call in calls)


@unless_it_had_to_wait
def test_the_far_end_reference_is_in_step_with_what_the_microphone_hears(
    card: VirtualCard, home: dict[str, str]
) -> None:
    """The microphone hears the speaker: near end and reference keep the same distance, within a
    few milliseconds, which are those of the sound server that no device states."""
    env = card.environment(source="vspk.monitor") | home
    command = [sys.executable, "-c", ECHO]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE) as program:
        run_ahead(program.pid)
        said, _ = program.communicate(timeout=60)
    assert program.returncode == 0
    result = json.loads(said)
    print(result)
    lags = result["lags_ms"]
    if result["xruns"]:  # a gap of the card's own moves what follows, for a while
        lags = [statistics.median(lags)]
    else:
        assert max(lags) - min(lags) < 10
        assert result["jumps"] == 0
    assert min(lags) > -20
    assert max(lags) < 60
