"""Through ALSA's plugin ``pipewire``, the way of desktops, PortAudio says even less."""

import asyncio
import sys
import time

import pytest
from support.card import VirtualCard
from support.program import Talk
from support.waits import unless_it_had_to_wait

from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound


@unless_it_had_to_wait
async def test_pipewire_crashes_and_the_terminal_stays_readable(home):
    """PortAudio's output thread spins, writes to stderr without end, and cannot be stopped."""
    with VirtualCard() as card:  # of its own: it is not there afterwards
        env = card.through("pipewire") | home
        async with Emulator() as emulator, asyncio.timeout(60):
            call = emulator.register()
            async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
                await talk.until("statistics", count=2)
                card.kill("pipewire")
                for side in ("near_end", "far_end"):
                    lost = await talk.until("device_changed", side=side)
                    assert lost["state"] == "lost"
                await talk.until("statistics", count=len(talk.having("statistics")) + 2)
                begin = time.monotonic()
                assert await talk.hang_up() == 0
                assert time.monotonic() - begin < 4
    assert talk.errors == ""


BUSY = """
import asyncio, ctypes, sys, threading, time
from retell_voice import Call, LatencyChanged, Statistics

def hold():
    keeps_the_lock = ctypes.PyDLL(None)
    while True:
        keeps_the_lock.usleep(80_000)
        time.sleep(0.08)  # the load itself: held half of the time

async def main():
    risen = set()
    async with Call(sys.argv[1], url=sys.argv[2]) as call:
        threading.Thread(target=hold, daemon=True).start()
        async for event in call:
            if isinstance(event, LatencyChanged) and event.why == "gaps":
                risen.add(event.side)
            if len(risen) == 2:
                break
        statistics = call.statistics()
    assert statistics.capture_xruns >= 2
    assert statistics.playback_xruns >= 2

sys.setswitchinterval(0.0005)
asyncio.run(main())
"""


@unless_it_had_to_wait
async def test_both_devices_get_more_latency_beside_a_thread_that_keeps_the_interpreter(card, home):
    """Nobody reports the gaps: PipeWire throws away what was not fetched, and fills up the rest."""
    async with Emulator() as emulator:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-c", BUSY, emulator.register().call_id, emulator.url),
            env=card.through("pipewire") | home,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            async with asyncio.timeout(60):
                _, errors = await process.communicate()
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
    assert (process.returncode, errors) == (0, b"")
