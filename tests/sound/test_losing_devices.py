"""A device that goes in the middle of a call ends it, with one line and exit code 3."""

import asyncio

import pytest
from support.card import VirtualCard
from support.program import Talk

from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound


@pytest.fixture(scope="module")
def lost(tmp_path_factory):
    """A call during which the sound server ended, and the exit code."""
    home = str(tmp_path_factory.mktemp("home"))

    async def hold(card):
        async with Emulator() as emulator:
            call = emulator.register()
            env = card.env | {"HOME": home, "XDG_CONFIG_HOME": home}
            async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
                await talk.live()
                await talk.until("statistics", count=2)  # sound has been flowing
                await asyncio.to_thread(card.kill, "pipewire-pulse")
                return talk, await talk.wait()

    with VirtualCard() as card:  # of its own: it is broken afterwards
        return asyncio.run(hold(card))


def test_the_sound_server_ends(lost):
    talk, code = lost
    assert code == 3
    (ended,) = talk.having("ended")
    assert ended["by"] == "device"
    assert ended["error"]["type"] == "DeviceLost"
    assert "lost" in ended["error"]["message"]


def test_the_terminal_shows_our_line_alone(lost):
    """Nothing of what ALSA and PortAudio have to say about it."""
    talk, _ = lost
    ours = [line for line in talk.errors.splitlines() if not line.startswith(" ")]
    assert len(ours) == 1
    assert ours[0].startswith("retell-voice: ")


async def test_another_speaker_takes_over(card, home):
    """The speaker is unplugged; the sound server moves the sound to the other, the call goes on."""
    await asyncio.to_thread(card.plug, "headset")
    async with Emulator() as emulator:
        call = emulator.register()
        env = card.environment(sink="headset") | home
        async with Talk(call.call_id, "--url", emulator.url, env=env) as talk:
            await talk.until("statistics")
            await asyncio.to_thread(card.unplug, "headset")
            await talk.until("statistics", count=4)
            assert await talk.hang_up() == 0
    assert talk.errors == ""


async def test_the_sound_server_hangs(home):
    """PortAudio says nothing about it, and closing its streams would take for ever."""
    with VirtualCard() as card:
        async with Emulator() as emulator:
            call = emulator.register()
            async with Talk(call.call_id, "--url", emulator.url, env=card.env | home) as talk:
                await talk.until("statistics", count=2)
                card.freeze()
                ended, code = await talk.until("ended"), await talk.wait()
    assert code == 3
    assert ended["by"] == "device"
