"""A report as people use it: in Chromium, wide and narrow, by mouse and by keyboard."""

from __future__ import annotations

import asyncio
import wave
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pytest_asyncio
from support.chromium import Chromium, Page

from retell_voice import events
from retell_voice.cli import report as command
from retell_voice.recording import jsonl
from retell_voice.report import sound

pytestmark = pytest.mark.asyncio(loop_scope="module")

SECONDS = 20
SAID = (
    events.Utterance("agent", "Hello! " * 20),
    events.Utterance("user", "<script>document.title = 'run'</script>"),
    events.Utterance("agent", "Fine.", (events.Word("Fine.", 11.0, 12.0),)),
)
TOLD: list[events.Event] = [
    events.Transcript(at=0.4, utterances=SAID[:1]),
    events.AgentStarted(at=0.5),
    events.AgentStopped(at=4.0, silent_since=4.0, interrupted=True),
    events.BargeIn(at=4.0, delay=0.3),
    events.Statistics(at=5.0, round_trip=0.03, playout_target=0.04),
    events.Transcript(at=9.0, utterances=SAID[:2]),
    events.Transcript(at=9.5, utterances=SAID),
    events.AgentStarted(at=10.0),
    events.Response(at=10.0, delay=1.2),
    events.AgentStopped(at=12.0, silent_since=12.0),
    events.AudioDropped(at=13.0, side="near_end", duration=0.5),
    events.Ended(at=SECONDS, by="you", code=1000, reason=""),
]


def recording(path: Path) -> Path:
    """Record a call: you speak from 6 s to 9 s."""
    path.mkdir()
    near = [
        events.Levels(at=at / 10, near_end=-20.0 if 60 < at <= 90 else -90.0, far_end=-90.0)
        for at in range(10 * SECONDS)
    ]
    told = sorted([*TOLD, *near], key=lambda event: event.at)
    (path / "events.jsonl").write_text("".join(f"{jsonl.line(each)}\n" for each in told))
    frames = np.random.default_rng(1).integers(-3000, 3000, (8000 * SECONDS, 2))
    with wave.open(str(path / "audio.wav"), "wb") as file:
        file.setparams((2, 2, 8000, 0, "NONE", ""))
        file.writeframes(frames.astype("<i2").tobytes())
    return path


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def browser() -> AsyncIterator[Chromium]:
    async with Chromium(np.zeros(480, np.int16)) as browser:
        yield browser


async def opened(browser: Chromium, page: Path, width: int) -> Page:
    shown = await browser.open(page.as_uri(), watched=True)
    await shown.resize(width)
    room = await shown.run(
        "return [innerWidth, document.documentElement.scrollWidth, document.title]"
    )
    assert room[0] == width
    assert room[1] <= width
    assert room[2].startswith("Call")
    return shown


HEARD = "const sound = document.querySelector('audio'); return "


async def until(page: Page, code: str) -> Any:
    """Wait until an expression about ``sound`` is true."""
    for _ in range(100):
        if found := await page.run(HEARD + code):
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(f"never: {code}; {page.faults}")


def left(number: int = 0) -> str:
    return f"parseFloat(document.querySelectorAll('.playhead')[{number}].style.left)"


@pytest.mark.parametrize("width", [360, 1280])
async def test_a_call_is_heard_line_by_line(browser: Chromium, tmp_path: Path, width: int) -> None:
    path = recording(tmp_path / "call")
    command.report([path], None, None)
    page = await opened(browser, path / "report.html", width)
    await until(page, "sound.readyState >= 1 && Math.abs(sound.duration - 20) < 0.1")
    assert await page.run("return document.querySelectorAll('li').length") == 3

    # A line plays its turn: from 6 s, and no further than 9 s.
    await page.run("document.querySelectorAll('li')[1].click()")
    await until(page, "!sound.paused && sound.currentTime > 6.1")
    assert await page.run("return document.querySelector('li.current').innerText") != ""
    assert 30 < await page.run(f"return {left()}") < 46
    await page.run("document.querySelector('audio').currentTime = 8.9")
    await until(page, "sound.currentTime > 8.9")

    # A click into the plots seeks, keys move and play.
    await page.run("document.querySelector('audio').pause()")
    place = await page.run(
        "const box = document.querySelector('.wide').getBoundingClientRect();"
        "return [box.left + box.width / 2, box.top + 40]"
    )
    where = {"x": place[0], "y": place[1], "button": "left", "clickCount": 1}
    for kind in ("mousePressed", "mouseReleased"):
        await page.send("Input.dispatchMouseEvent", type=kind, **where)
    assert await page.run(f"return {left()}") == pytest.approx(50, abs=0.5)
    for key, at in (("ArrowRight", 12.0), ("k", 10.0), ("k", 6.0), ("j", 10.0), ("Home", 0.0)):
        await page.press(key)
        assert await page.run(HEARD + "sound.currentTime") == pytest.approx(at, abs=0.1)
    await page.press(" ")
    await until(page, "!sound.paused")
    await page.press(" ")
    await until(page, "sound.paused")
    await page.press("+")
    wide = (
        "document.querySelector('.wide').clientWidth / document.querySelector('.plots').clientWidth"
    )
    assert await page.run(f"return {wide}") == pytest.approx(2, abs=0.01)
    assert await page.run("return document.documentElement.scrollWidth <= innerWidth")
    assert page.faults == []


async def test_a_turn_ends_where_it_ends(browser: Chromium, tmp_path: Path) -> None:
    path = recording(tmp_path / "call")
    command.report([path], None, None)
    page = await opened(browser, path / "report.html", 800)
    await page.run("document.querySelectorAll('li button')[2].click()")
    await until(page, "!sound.paused && sound.currentTime >= 10")
    await page.run("document.querySelector('audio').playbackRate = 8")
    await until(page, "sound.paused")
    assert await page.run(HEARD + "sound.currentTime") == pytest.approx(12.0, abs=1.0)
    assert page.faults == []


@pytest.mark.parametrize("width", [360, 1280])
async def test_two_calls_and_sound_that_is_not_in_the_page(
    browser: Chromium, tmp_path: Path, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "sound_for", partial(sound.sound_for, largest=1000))
    one, two = recording(tmp_path / "a call"), recording(tmp_path / "b?%")
    command.report([one, two], None, None)
    page = await opened(browser, one / "report-with-b?%.html", width)
    sounds = "const [one, two] = document.querySelectorAll('audio'); return "
    await until(page, "[...document.querySelectorAll('audio')].every((each) => each.readyState)")
    await page.run("document.querySelectorAll('.call')[0].querySelector('li').click()")
    await until(page, "!sound.paused")
    await page.run("document.querySelectorAll('.call')[1].querySelectorAll('li')[2].click()")
    await until(page, "sound.paused")  # one at a time
    assert await page.run(sounds + "!two.paused && two.currentTime >= 10")
    assert await page.run(f"return {left(1)}") >= 50
    assert page.faults == []
