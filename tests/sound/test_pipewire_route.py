"""Through ALSA's plugin ``pipewire``, the way of desktops: there PortAudio fails at its worst."""

import asyncio
import time

import pytest
from support.card import VirtualCard
from support.program import Talk

from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

_ALSA_CONF = "pcm.!default { type pipewire }\nctl.!default { type pipewire }\n"


async def test_pipewire_crashes_and_the_terminal_stays_readable(home, tmp_path):
    """PortAudio's output thread spins, writes to stderr without end, and cannot be stopped."""
    conf = tmp_path / "asound.conf"
    conf.write_text(_ALSA_CONF)
    with VirtualCard() as card:  # of its own: it is not there afterwards
        env = card.env | home | {"ALSA_CONFIG_PATH": str(conf)}
        async with Emulator() as emulator, asyncio.timeout(30):
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
