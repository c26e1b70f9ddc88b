"""A device that goes in the middle of a call does not end it: it is used again when it is back."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from support.card import VirtualCard
from support.kiosk import soon
from support.pipes import patched
from support.program import Talk
from support.recorder import RATE
from support.tones import AGENT, YOU, Script, tone, until_heard
from support.waits import unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

AUDIO = AudioFormat()


async def lose_and_return(
    card: VirtualCard,
    home: dict[str, str],
    lose: Callable[[], None],
    give_back: Callable[[], None],
    speaker: str,
    microphone: str,
) -> Talk:
    """Hold a call in which both devices are lost and come back, and are heard before and after."""
    script = Script()
    async with Emulator(agent=script, record=True) as emulator, asyncio.timeout(60):
        call = emulator.register(AUDIO)
        async with Talk(call.call_id, "--url", emulator.url, env=card.env | home) as talk:

            async def converse(speaker: str, microphone: str, turn: int) -> None:
                with await asyncio.to_thread(card.record, speaker) as recorder:
                    said = len(call.received)
                    await asyncio.to_thread(card.play(tone(YOU, 1.5, RATE), into=microphone).wait)
                    script.speak.set()
                    await until_heard(recorder.samples, AGENT, RATE, speaker)
                    await until_heard(lambda: call.received[said:], YOU, AUDIO.rate, "the server")
                await talk.until("agent_stopped", count=turn)

            await talk.live()
            await converse("vspk", "micfeed", 1)
            await asyncio.to_thread(lose)
            for side in ("near_end", "far_end"):
                await talk.until("device_changed", side=side, state="lost")
            script.speak.set()
            await talk.until("agent_stopped", count=2)  # time goes on
            sent = len(call.received)
            await soon(lambda: len(call.received) - sent > AUDIO.rate)  # and so does silence
            await asyncio.to_thread(give_back)
            for side in ("near_end", "far_end"):
                await talk.until("device_changed", side=side, state="back")
            await converse(speaker, microphone, 3)
            assert await talk.hang_up() == 0
    assert talk.errors == "", "nothing of what ALSA and PortAudio have to say about it"
    statistics = talk.having("statistics")[-1]
    assert statistics["device_losses"] == 2
    return talk


@unless_it_had_to_wait
async def test_the_only_devices_are_unplugged_and_others_plugged_in(home):
    with VirtualCard() as card:  # of its own: it is another one afterwards
        # The monitor of the new speaker is the new microphone.
        await lose_and_return(
            card, home, card.unplug_everything, lambda: card.plug("headset"), "headset", "headset"
        )


@unless_it_had_to_wait
async def test_the_sound_server_crashes_and_is_started_again(home):
    with VirtualCard() as card:
        talk = await lose_and_return(card, home, card.kill, card.restart, "vspk", "micfeed")
    for lost in talk.having("device_changed", state="lost"):
        assert lost["why"] == "it was unplugged, or the sound server ended"


@unless_it_had_to_wait
async def test_another_speaker_takes_over(card, home):
    """The speaker is unplugged; the sound server moves the sound to the other, the call goes on."""
    with card.plugged("headset"):
        await talk_until_unplugged(card, home)


async def talk_until_unplugged(card, home):
    async with Emulator() as emulator, asyncio.timeout(60):
        call = emulator.register()
        env = card.environment(sink="headset") | home
        async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
            await talk.until("statistics")
            await asyncio.to_thread(card.unplug, "headset")
            await talk.until("statistics", count=4)
            assert await talk.hang_up() == 0
    assert talk.errors == ""


@unless_it_had_to_wait
async def test_default_devices_that_never_call_back_give_way_to_the_next(card, home):
    """ALSA's default is a way to PipeWire that nobody links; the other is PulseAudio's."""
    env = card.through("pipewire", "pulse") | home
    env["PIPEWIRE_PROPS"] = "{ node.autoconnect = false }"
    script = Script()
    async with Emulator(agent=script, record=True) as emulator, asyncio.timeout(60):
        call = emulator.register(AUDIO)
        async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
            for side in ("near_end", "far_end"):
                lost = await talk.until("device_changed", side=side, state="lost")
                back = await talk.until("device_changed", side=side, state="back")
                assert lost["why"] == "it opens, but no audio passes"
                assert (lost["name"], back["name"]) == ("default", "pulse")
                assert 0.9 < lost["at"] < 4.0
            with await asyncio.to_thread(card.record) as recorder:
                said = len(call.received)
                await asyncio.to_thread(card.play(tone(YOU, 1.5, RATE)).wait)
                script.speak.set()
                await until_heard(recorder.samples, AGENT, RATE, "the speaker")
                await until_heard(lambda: call.received[said:], YOU, AUDIO.rate, "the server")
            assert await talk.hang_up() == 0


@unless_it_had_to_wait
async def test_hanging_up_while_the_sound_server_hangs(home):
    """PortAudio says nothing about it, and opening or closing its streams takes for ever."""
    with VirtualCard() as card:
        async with Emulator() as emulator, asyncio.timeout(60):
            call = emulator.register()
            async with Talk(call.call_id, "--url", emulator.url, env=card.env | home) as talk:
                await talk.until("statistics", count=2)
                card.freeze()
                for side in ("near_end", "far_end"):
                    lost = await talk.until("device_changed", side=side)
                    assert (lost["state"], lost["why"]) == (
                        "lost",
                        "no audio has passed for 0.5 s",
                    )
                await talk.until("statistics", count=len(talk.having("statistics")) + 2)
                begin = time.monotonic()
                assert await talk.hang_up() == 0
                assert time.monotonic() - begin < 4


IMPATIENT_CALL = """
import asyncio, json, sys
from retell_voice import Call, Ended, Statistics

async def main():
    async with Call(sys.argv[1], url=sys.argv[2], device_timeout=float(sys.argv[3])) as call:
        async for event in call:
            if isinstance(event, Statistics):
                print(flush=True)
        print(json.dumps([event.by, type(event.error).__name__, event.reason]))

asyncio.run(main())
"""


@asynccontextmanager
async def started(*command: str, **how: Any) -> AsyncIterator[Process]:
    """A program for the length of the block."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, *command, stdout=subprocess.PIPE, **how
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def lines(process: Process, count: int) -> None:
    """Wait for so many of its lines."""
    assert process.stdout
    for _ in range(count):
        assert await process.stdout.readline(), "it has ended"


@unless_it_had_to_wait
async def test_a_thread_that_spins_after_the_server_died_costs_nothing(home, tmp_path):
    """PipeWire's own way into ALSA: PortAudio then reports an error for ever."""
    errors = tmp_path / "errors"
    with VirtualCard() as card, errors.open("wb") as file:
        async with Emulator() as emulator, asyncio.timeout(60):
            call = emulator.register().call_id
            env = card.through("pipewire") | home
            async with started(
                "-c", IMPATIENT_CALL, call, emulator.url, "60", env=env, stderr=file
            ) as process:
                await lines(process, 2)
                await asyncio.to_thread(card.kill, "pipewire")
                await lines(process, 2)  # half a second is enough to notice
                before = running(process.pid)
                await lines(process, 2)
                took = running(process.pid) - before
    assert took < 1.0, "two seconds, in which a thread that spins would take two"
    assert errors.stat().st_size < 20 * 2**20, "of two hundred"


async def wait_for_portaudio(pid: int) -> None:
    """Wait until a process has loaded PortAudio, in which it then stands."""
    maps = Path(f"/proc/{pid}/maps")
    await soon(lambda: "libportaudio" in maps.read_text())


def running(pid: int) -> float:
    """The seconds for which all threads of a process have run."""
    times = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13]
    return sum(map(int, times)) / os.sysconf("SC_CLK_TCK")


@unless_it_had_to_wait
@pytest.mark.parametrize("interrupt", [True, False])
async def test_a_sound_server_that_stands_still_before_the_start(home, tmp_path, interrupt):
    """Ctrl-C ends it within a second; without one it gives up, with the reason."""
    code = "from retell_voice.devices.portaudio import library\nlibrary.OPEN_SECONDS = 3\n"
    with VirtualCard() as card:
        async with Emulator() as emulator, asyncio.timeout(60):
            card.freeze()
            command = ("-m", "retell_voice", "talk", "--url", emulator.url)
            env = card.env | home | patched(tmp_path, code)
            async with started(
                *command, emulator.register().call_id, env=env, stderr=subprocess.PIPE
            ) as process:
                if interrupt:
                    await wait_for_portaudio(process.pid)
                    process.send_signal(signal.SIGINT)
                begin = time.monotonic()
                _, errors = await process.communicate()
                took = time.monotonic() - begin
    if interrupt:
        assert (process.returncode, errors) == (130, b"")
        assert took < 2
    else:
        assert process.returncode == 3
        assert b"the sound system has not answered for 3 s" in errors
        assert took < 8


@unless_it_had_to_wait
async def test_a_sound_server_that_does_not_come_back(home):
    with VirtualCard() as card:
        async with Emulator() as emulator, asyncio.timeout(30):
            command = ("-c", IMPATIENT_CALL, emulator.register().call_id, emulator.url, "1")
            env = card.env | home
            async with started(*command, env=env, stderr=subprocess.DEVNULL) as process:
                await lines(process, 2)
                card.freeze()
                rest, _ = await process.communicate()
    by, error, reason = json.loads(rest.strip().splitlines()[-1])
    assert (by, error) == ("device", "DeviceLost")
    assert reason.endswith("lost: no audio has passed for 0.5 s; it did not come back within 1 s")
