"""A kiosk on the card: who presses hears at once that it dials, then the agent, and is heard."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from support.card import VirtualCard
from support.kiosk import KEY, KioskProgram
from support.recorder import RATE
from support.tones import AGENT, YOU, Script, holds, tone
from support.waits import unless_it_had_to_wait

from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

CARD_SECONDS = 0.025
"""What the card itself takes from what is written to it to what is recorded from it."""
SLACK_SECONDS = 0.05
"""For a machine that does other things as well."""


@unless_it_had_to_wait
async def test_a_press_is_heard_at_once_and_then_the_agent(
    card: VirtualCard, tmp_path: Path
) -> None:
    script = Script()
    async with Emulator(agent=script, api_key=KEY, record=True) as emulator, asyncio.timeout(60):
        voice = await asyncio.to_thread(card.play, tone(YOU, 30.0, RATE))
        calls = ("--agent", "parrot", "--api-url", emulator.api_url, "--rate", "24000")
        program = KioskProgram(tmp_path, *calls, has_files=False, env=card.env)
        async with program as kiosk:
            control = await kiosk.connect()
            at = await kiosk.until("idle")
            await asyncio.sleep(4.5)  # its devices rest by then
            recorder = await asyncio.to_thread(card.record)
            await asyncio.sleep(0.3)
            pressed = time.monotonic()
            await control.do("press")
            at = await kiosk.until("in call", at)
            await asyncio.sleep(0.6)
            script.speak.set()
            at = await kiosk.told(lambda message: bool(message.get("speaking")), at)
            await asyncio.sleep(1.2)
            await control.do("press")
            at = await kiosk.told(lambda message: message["event"] == "call_ended", at)
            samples = await asyncio.to_thread(recorder.stop)
            assert await kiosk.end() == 0
        voice.kill()
    loud = np.flatnonzero(np.abs(samples.astype(int)) > 60)
    heard_at = recorder.time_of(int(loud[0]))
    print(f"press to dialling sound {1000 * (heard_at - pressed):.0f} ms, card included")
    assert 0 < heard_at - pressed < 0.05 + CARD_SECONDS + SLACK_SECONDS
    assert holds(samples, AGENT, RATE)
    (call,) = emulator.calls
    assert holds(call.received, YOU, 24000)


@pytest.fixture
def own_card(card: VirtualCard) -> Iterator[VirtualCard]:
    """Another card than that of all tests: its daemons may be killed."""
    with VirtualCard() as own:
        yield own


async def test_a_card_that_goes_and_comes_back_is_used_again(
    own_card: VirtualCard, tmp_path: Path
) -> None:
    script = Script()
    async with Emulator(agent=script, api_key=KEY) as emulator, asyncio.timeout(60):
        calls = ("--agent", "parrot", "--api-url", emulator.api_url, "--rate", "24000")
        program = KioskProgram(tmp_path, *calls, has_files=False, env=own_card.env)
        async with program as kiosk:
            control = await kiosk.connect()
            at = await kiosk.until("idle")
            await asyncio.sleep(6.0)  # its devices rest by then
            await asyncio.to_thread(own_card.kill)
            at = await kiosk.until("faulted", at)
            assert "lost" in kiosk.messages[at - 1]["why"]
            assert (await control.do("press"))["state"] == "dialling"
            at = await kiosk.until("faulted", at)
            await asyncio.to_thread(own_card.restart)
            at = await kiosk.until("idle", at)
            recorder = await asyncio.to_thread(own_card.record)
            await control.do("press")
            at = await kiosk.until("in call", at)
            script.speak.set()
            at = await kiosk.told(lambda message: bool(message.get("speaking")), at)
            await asyncio.sleep(1.2)
            samples = await asyncio.to_thread(recorder.stop)
            assert await kiosk.end() == 0
    assert holds(samples, AGENT, RATE)
