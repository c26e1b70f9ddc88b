"""Open speakers, on a card whose speaker is heard by its microphone: the agent hears itself without
echo control, and does not with it, while the user gets through."""

import pytest
from support.card import VirtualCard
from support.interrupted import Conversation
from support.open_speaker import Mouth, in_room
from support.program import Talk
from support.recorder import RATE
from support.rooms import Room, with_rms
from support.voices import AGENT, USER, speak
from support.waits import unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator

pytestmark = pytest.mark.sound

ROOM = Room()
CALL = AudioFormat(rate=24000)


@unless_it_had_to_wait
@pytest.mark.parametrize("echo", ["off", "webrtc"])
async def test_the_agent_hears_itself_only_without_echo_control(
    echo: str, card: VirtualCard, home: dict[str, str]
) -> None:
    agent = [with_rms(each, 3000) for each in speak("espeak", AGENT[:4], CALL.rate, "en-us+m3")]
    user = [with_rms(each, 1500) for each in speak("espeak", USER, RATE, "en-us+m7")]
    with in_room(card, ROOM), Mouth(card) as mouth:
        seconds = 2.0 if echo == "off" else 8.0
        conversation = Conversation(agent, user, mouth, seconds, first=2)
        async with Emulator(agent=conversation) as emulator:
            call = emulator.register(CALL)
            arguments = (call.call_id, "--url", emulator.url, "--rate", "24000", "--echo", echo)
            async with Talk(*arguments, env=card.env | home, is_ahead=True) as talk:
                await talk.live()
                await call.wait()
    if echo == "off":
        assert conversation.own, "it is not as it is without echo control"
        return
    assert conversation.own == []
    assert conversation.interruptions
    assert all(turn.late < 0.5 for turn in conversation.interruptions)
