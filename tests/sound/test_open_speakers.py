"""Open speakers, on a card whose speaker is heard by its microphone: the agent interrupts itself
without echo control, and does not with it, while the user gets through."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest
from support.card import VirtualCard
from support.interrupted import Conversation
from support.open_speaker import Mouth, in_room
from support.program import Talk
from support.recorder import RATE
from support.rooms import Room, with_rms
from support.voices import AGENT, USER, speak
from support.waits import ahead, unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

CALL = AudioFormat(rate=24000)
ROOM = Room()
LOUDNESS = 3000.0  # RMS
ECHO = LOUDNESS * 10 ** (ROOM.level / 20)
FIRST = 2
"""Number of the agent's first sentence; the second is the one that the user interrupts."""
SECONDS = {"off": 1.5, "webrtc": 7.0}
"""Until which sentences begin: one without echo control, two with it."""
SOON = 0.4
"""Seconds, a tenth more than the bench asks: other tests may run beside this one."""


@pytest.fixture(scope="module")
def voices() -> tuple[list[Samples], list[Samples]]:
    """The agent's sentences and the user's, as loud as the agent's echo."""
    agent = speak("espeak", (AGENT[0], AGENT[3]), CALL.rate, "en-us+m3")
    user = speak("espeak", USER, RATE, "en-us+m7")
    return [with_rms(each, LOUDNESS) for each in agent], [with_rms(each, ECHO) for each in user]


@unless_it_had_to_wait
@pytest.mark.parametrize("echo", SECONDS)
async def test_the_agent_interrupts_itself_only_without_echo_control(
    echo: str,
    voices: tuple[list[Samples], list[Samples]],
    card: VirtualCard,
    home: dict[str, str],
) -> None:
    with in_room(card, ROOM), Mouth(card) as mouth, ahead():
        talks = Conversation(*voices, mouth, SECONDS[echo], FIRST)
        async with Emulator(agent=talks) as emulator:
            call = emulator.register(CALL)
            words = (call.call_id, "--url", emulator.url, "--rate", str(CALL.rate), "--echo", echo)
            async with Talk(*words, env=card.env | home, is_ahead=True) as talk:
                await talk.live()
                await call.wait()
    if echo == "off":
        assert talks.own, "is the room there?"
    else:
        assert talks.own == []
        assert [turn.late < SOON for turn in talks.interruptions] == [True]


NOTHING_INSTALLED = """
import sys
sys.modules["pywebrtc_audio"] = sys.modules["livekit"] = None
"""


@pytest.fixture
def headset(card: VirtualCard) -> Iterator[str]:
    """The name of a speaker that is worn on the ears, as the sound server says."""
    with card.plugged("worn", form_factor="headset") as name:
        yield name


async def by_default(env: Mapping[str, str]) -> tuple[str, str]:
    """Hold a short call; return the echo control in use, and what was said on stderr."""
    async with Emulator() as emulator:
        call = emulator.register(CALL)
        async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
            used = (await talk.until("statistics"))["echo"]
            assert await talk.hang_up() == 0
    return used, talk.errors


@unless_it_had_to_wait
async def test_it_is_on_by_default_but_for_a_headset(
    headset: str, card: VirtualCard, home: dict[str, str]
) -> None:
    assert await by_default(card.env | home) == ("webrtc", "")
    assert await by_default(card.environment(sink=headset) | home) == ("off", "")


@unless_it_had_to_wait
async def test_a_canceller_that_is_missing_is_told_of_in_one_line_and_not_to_a_headset(
    headset: str, card: VirtualCard, home: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "sitecustomize.py").write_text(NOTHING_INSTALLED)
    without = home | {"PYTHONPATH": str(tmp_path)}
    used, errors = await by_default(card.env | without)
    assert used == "off"
    assert "echo control is off: no canceller is installed; with headphones: --echo off; " in errors
    assert errors.count("\n") == 1
    assert await by_default(card.environment(sink=headset) | without) == ("off", "")
