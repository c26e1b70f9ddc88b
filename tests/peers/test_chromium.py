"""Web calls of a browser: Chromium, which nobody here has written, calls the emulator's gateway."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from support.chromium import RATE, Chromium, Page
from support.measure import compare, find
from support.waits import unless_it_had_to_wait
from support.web_caller import calling, decoded, http

from retell_voice.audio.format import Samples
from retell_voice.emulator import GREETING, CallStatus, Emulator, Session, silent_agent
from retell_voice.emulator.recordings import load_speech

pytestmark = pytest.mark.asyncio(loop_scope="module")

CODE = Path(__file__).with_name("web_call.js").read_text("utf-8")
AGENT, CALLER = 700, 1000
"""Tones, Hz."""


def speech(rate: int) -> Samples:
    """A second and a half of a recorded voice."""
    return load_speech(GREETING, rate).samples[: rate * 3 // 2]


def tone(hz: int, rate: int, seconds: float) -> Samples:
    wave = 6000 * np.sin(2 * np.pi * hz / rate * np.arange(round(rate * seconds)))
    return wave.astype(np.int16)


def loud(samples: Samples) -> set[int]:
    """Return which of the tones are heard."""
    spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
    hz = np.fft.rfftfreq(len(samples), 1 / RATE)
    most = spectrum.max()
    return {
        each
        for each in (AGENT, CALLER)
        if most > 1e5 and spectrum[np.abs(hz - each) < 5].max() > most / 3
    }


def likeness(said: Samples, heard: Samples) -> float:
    """Return how well the loudest 0.3 s of what was said are found in what was heard, up to 1."""
    size = 24000 * 3 // 10
    starts = range(0, len(said) - size, size // 4)
    loudest = max(starts, key=lambda at: float(np.abs(said[at : at + size].astype(float)).sum()))
    part = said[loudest : loudest + size].astype(float)
    at = find(part, heard)
    found = heard[at : at + size].astype(float)
    found = np.pad(found, (0, size - len(found)))
    return float(part @ found) / max(1.0, float(np.sqrt((part @ part) * (found @ found))))


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    microphone = np.concatenate((speech(RATE), np.zeros(RATE // 2, np.int16)))
    async with Chromium(microphone) as browser:
        yield browser


async def page_of(browser: Chromium) -> Page:
    page = await browser.open()
    await page.run(
        "const tag = document.createElement('script'); tag.text = argument;"
        "document.body.append(tag);",
        CODE,
    )
    return page


async def join(page: Page, emulator: Emulator, call: dict[str, Any], identity: str) -> Any:
    argument = {
        "api": emulator.api_url,
        "id": call["call_id"],
        "token": call["access_token"],
        "identity": identity,
    }
    code = "return join(argument.api, argument.id, argument.token, argument.identity)"
    return await page.run(code, argument)


async def heard(page: Page, seconds: float) -> Samples:
    """Return what the page has heard last, 16 bit, 48 kHz."""
    return np.array(await page.run("return recorded(argument)", seconds), np.int16)


async def until_heard(page: Page, tones: set[int]) -> None:
    """Wait until the page hears these tones and no other, for half a second."""
    for _ in range(100):
        samples = await heard(page, 0.5)
        if len(samples) >= RATE // 2 and loud(samples) == tones:
            return
        await asyncio.sleep(0.1)
    raise AssertionError(f"the page hears {loud(samples)}, not {tones}")


@unless_it_had_to_wait
async def test_a_page_holds_a_call(browser: Chromium) -> None:
    go_on = asyncio.Event()

    async def agent(session: Session) -> None:
        hearing = asyncio.create_task(silent_agent(session))
        await session.send_audio(tone(AGENT, 24000, 60))
        await go_on.wait()
        go_on.clear()
        await session.clear()
        await go_on.wait()
        hearing.cancel()

    page = await page_of(browser)
    async with Emulator(agent=agent, record=True, api_key="key") as emulator, asyncio.timeout(60):
        created = await page.run("return create(argument, 'key')", emulator.api_url)
        joined = await join(page, emulator, created, "client")
        assert "useinbandfec=1" in joined["answer"]
        assert joined["answer"].count("a=rtpmap") == 1  # Opus alone
        assert "typ host" in joined["trickled"]
        (call,) = emulator.calls
        await until_heard(page, {AGENT})
        assert call.status is CallStatus.ONGOING
        go_on.set()
        await until_heard(page, set())
        found = await page.run("return statistics()")
        assert found["lost"] == 0
        assert found["received"] > 50
        await asyncio.sleep(2)  # the recording, and then once more
        go_on.set()
        await page.run("while (!ended.length) await new Promise((done) => setTimeout(done, 20))")
        assert await page.run("return ended") == [{"type": "status", "state": "ended"}]
        await page.run("return leave()")
        await call.wait()
    assert call.disconnection_reason == "agent_hangup"
    match = compare(speech(24000), call.received, 24000)
    assert match.snr > 8, match
    assert match.spread < 0.001, match


@unless_it_had_to_wait
async def test_a_page_listens_to_a_call_and_takes_it_over(browser: Chromium) -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(tone(AGENT, 24000, 60))
        await silent_agent(session)

    page = await page_of(browser)
    async with (
        Emulator(agent=agent) as emulator,
        asyncio.timeout(60),
        calling(emulator, tone(CALLER, RATE, 60)) as caller,
    ):
        (call,) = emulator.calls
        path = f"/v2/listen-live-call/{call.call_id}"
        admission = (await http(emulator, "POST", path, "key", {})).body
        identity = admission["participant_id"]
        admission["call_id"] = call.call_id
        await join(page, emulator, admission, identity)
        await until_heard(page, {AGENT, CALLER})
        path = f"/v2/take-over-live-call/{call.call_id}"
        done = await http(emulator, "POST", path, "key", {"participant_id": identity})
        assert done.status == 200
        await page.run("return speak()")
        await until_heard(page, {CALLER})
        count = len(caller.packets)
        await caller.until(lambda: len(caller.packets) >= count + 200)
        assert likeness(speech(24000), decoded(caller.packets[count:], 24000)) > 0.8
        await page.run("return leave()")
        await caller.until(lambda: bool(caller.control))
    assert call.disconnection_reason == "call_take_over"
