"""Another speaker and another microphone in the middle of a call, chosen with keys."""

import asyncio
import re
import sys
from collections.abc import Awaitable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from support.card import VirtualCard
from support.recorder import RATE, Recorder
from support.terminal import Terminal
from support.tones import AGENT, YOU, Script, holds, tone, until_heard
from support.waits import unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

AUDIO = AudioFormat()
MORE = """
pcm.headset { type pulse device headset }
pcm.lapel { type pulse device lapel.monitor }
"""


@pytest.fixture
def more(card: VirtualCard, tmp_path: Path) -> Iterator[dict[str, str]]:
    """The environment of a program that finds a headset and a lapel microphone, too."""
    conf = tmp_path / "asound.conf"
    conf.write_text(Path(card.env["ALSA_CONFIG_PATH"]).read_text() + MORE)
    with card.plugged("headset"), card.plugged("lapel", mono=True):
        yield card.env | {"ALSA_CONFIG_PATH": str(conf), "LANG": "C.UTF-8"}


def choose(terminal: Terminal, side: str, name: str) -> None:
    """Open the list, type the number of a device, and wait until it is in use."""
    terminal.type("d")
    terminal.wait_for("are not listed")
    of_side = terminal.text.partition(side)[2]  # ALSA's are listed for both, microphones first
    number = re.search(rf"^ *(\d+)  {name} ", of_side, re.MULTILINE)
    assert number, of_side
    terminal.type(f"{number[1]}\r")
    terminal.wait_for(f"{name} is in use now")


@unless_it_had_to_wait
async def test_the_agent_moves_to_another_speaker_and_you_to_another_microphone(
    card: VirtualCard, more: dict[str, str], home: dict[str, str]
) -> None:
    env = more | home
    script = Script()
    async with Emulator(agent=script, record=True) as emulator, asyncio.timeout(60):
        call = emulator.register(AUDIO)
        arguments = ("talk", "--url", emulator.url, call.call_id)

        async def converse(speaker: str, other: str, microphone: str) -> None:
            """Both speak; the agent is heard from this speaker alone."""

            def record(name: str) -> Awaitable[Recorder]:
                return asyncio.to_thread(card.record, name)

            with await record(speaker) as heard, await record(other) as missed:
                said = len(call.received)
                script.speak.set()
                await asyncio.to_thread(card.play(tone(YOU, 1.5, RATE), into=microphone).wait)
                await until_heard(lambda: call.received[said:], YOU, AUDIO.rate, "the server")
                await until_heard(heard.samples, AGENT, RATE, speaker)
            assert not holds(missed.samples(), AGENT, RATE)

        with Terminal(*arguments, env=env, size=(60, 100)) as terminal:
            await asyncio.to_thread(terminal.wait_for, " LIVE ")
            await converse("vspk", "headset", "micfeed")
            await asyncio.to_thread(choose, terminal, "Speakers", "headset")
            await converse("headset", "vspk", "micfeed")
            await asyncio.to_thread(choose, terminal, "Microphones", "lapel")
            await converse("headset", "vspk", "lapel")
            said = len(call.received)
            await asyncio.to_thread(card.play(tone(YOU, 1.0, RATE), into="micfeed").wait)
            assert not holds(call.received[said:], YOU, AUDIO.rate), "the first one hears no more"
            terminal.type("q")
            assert await asyncio.to_thread(terminal.wait) == 0
        assert b"defect" not in terminal.raw
