"""Another speaker and another microphone in the middle of a call, chosen with keys."""

import asyncio
import re
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from support.card import VirtualCard
from support.recorder import RATE
from support.terminal import Terminal
from support.tones import AGENT, YOU, Script, holds, tone

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
    card.plug("headset")
    card.plug("lapel", mono=True)
    conf = tmp_path / "asound.conf"
    conf.write_text(Path(card.env["ALSA_CONFIG_PATH"]).read_text() + MORE)
    yield card.env | {"ALSA_CONFIG_PATH": str(conf), "LANG": "C.UTF-8"}
    card.unplug("headset")
    card.unplug("lapel")


def choose(terminal: Terminal, side: str, name: str) -> None:
    """Open the list, type the number of a device, and wait until it is in use."""
    terminal.type("d")
    terminal.wait_for("are not listed")
    of_side = terminal.text.partition(side)[2]  # ALSA's are listed for both, microphones first
    number = re.search(rf"^ *(\d+)  {name} ", of_side, re.MULTILINE)
    assert number, of_side
    terminal.type(f"{number[1]}\r")
    terminal.wait_for(f"{name} is in use now")


async def until(heard: Callable[[], bool], what: str) -> None:
    """Wait until a tone is heard: on a busy machine, it is on its way for two seconds."""
    deadline = time.monotonic() + 10
    while not heard():
        assert time.monotonic() < deadline, f"not from {what}"
        await asyncio.sleep(0.05)


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
            heard = await asyncio.to_thread(card.record, speaker)
            missed = await asyncio.to_thread(card.record, other)
            said = len(call.received)
            script.speak.set()
            await asyncio.to_thread(card.play(tone(YOU, 1.5, RATE), into=microphone).wait)
            await until(lambda: holds(call.received[said:], YOU, AUDIO.rate), microphone)
            await until(lambda: holds(heard.samples(), AGENT, RATE), speaker)
            await asyncio.to_thread(heard.stop)
            assert not holds(await asyncio.to_thread(missed.stop), AGENT, RATE)

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
