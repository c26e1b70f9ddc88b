"""A kiosk on the card: who presses hears at once that it dials, then the agent, and is heard."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import numpy as np
import pytest
from support.card import VirtualCard
from support.kiosk import KEY, KioskProgram
from support.recorder import RATE
from support.tones import AGENT, YOU, Script, tone, until_heard
from support.waits import run_ahead, unless_it_had_to_wait

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
    with card.playing(tone(YOU, 60.0, RATE)):
        async with Emulator(agent=script, api_key=KEY, record=True) as emulator:
            calls = ("--agent", "parrot", "--api-url", emulator.api_url, "--rate", "24000")
            program = KioskProgram(tmp_path, *calls, has_files=False, env=card.env)
            async with program as kiosk, asyncio.timeout(60):
                control = await kiosk.connect()
                at = await kiosk.until("idle")
                run_ahead(kiosk.process.pid)
                await asyncio.sleep(4.5)  # its devices rest by then
                with await asyncio.to_thread(card.record) as recorder:
                    await asyncio.sleep(0.3)
                    pressed = time.monotonic()
                    await control.do("press")
                    at = await kiosk.until("in call", at)
                    await asyncio.sleep(0.6)
                    script.speak.set()
                    await until_heard(recorder.samples, AGENT, RATE, "the speaker")
                    (call,) = emulator.calls
                    await until_heard(lambda: call.received, YOU, 24000, "the server")
                    await control.do("press")
                    await kiosk.told(lambda message: message["event"] == "call_ended", at)
                assert await kiosk.end() == 0
    loud = np.flatnonzero(np.abs(recorder.samples().astype(int)) > 60)
    heard_at = recorder.time_of(int(loud[0]))
    print(f"press to dialling sound {1000 * (heard_at - pressed):.0f} ms, card included")
    assert 0 < heard_at - pressed < 0.05 + CARD_SECONDS + SLACK_SECONDS


@pytest.mark.usefixtures("card")  # skips where there is no sound server
@unless_it_had_to_wait
async def test_a_card_that_goes_and_comes_back_is_used_again(tmp_path: Path) -> None:
    script = Script()
    with VirtualCard() as card:  # of its own: its daemons are killed
        async with Emulator(agent=script, api_key=KEY) as emulator:
            calls = ("--agent", "parrot", "--api-url", emulator.api_url, "--rate", "24000")
            program = KioskProgram(tmp_path, *calls, has_files=False, env=card.env)
            async with program as kiosk, asyncio.timeout(60):
                control = await kiosk.connect()
                at = await kiosk.until("idle")
                await asyncio.sleep(6.0)  # its devices rest by then
                await asyncio.to_thread(card.kill)
                at = await kiosk.until("faulted", at)
                assert "lost" in kiosk.messages[at - 1]["why"]
                assert (await control.do("press"))["state"] == "dialling"
                at = await kiosk.until("dialling", at)  # each of the devices may have told, too
                at = await kiosk.until("faulted", at)
                await asyncio.to_thread(card.restart)
                at = await kiosk.until("idle", at)
                with await asyncio.to_thread(card.record) as recorder:
                    await control.do("press")
                    await kiosk.until("in call", at)
                    script.speak.set()
                    await until_heard(recorder.samples, AGENT, RATE, "the speaker")
                assert await kiosk.end() == 0
