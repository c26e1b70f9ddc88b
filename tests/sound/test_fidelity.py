"""What is said into the microphone reaches the server, and what the agent says the speaker.

Several formats are called at once, each with a microphone and a speaker of its own, by the real
program over a real socket.
"""

import asyncio
from dataclasses import dataclass

import numpy as np
import pytest
from support.card import VirtualCard
from support.measure import compare, level_dbfs, resampled
from support.program import Talk
from support.recorder import RATE, Samples
from support.speech import babble

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, Session

pytestmark = pytest.mark.sound

SECONDS = 3.0
FORMATS = [AudioFormat(Encoding.S16LE, rate) for rate in (8000, 16000, 24000, 44100, 48000)] + [
    AudioFormat(Encoding.MULAW, rate) for rate in (8000, 16000)
]
IDS = [f"{audio.encoding}-{audio.rate}" for audio in FORMATS]


@dataclass
class Conversation:
    said: Samples  # at the call's rate
    arrived: Samples  # at the call's rate
    answer: Samples  # at the call's rate
    heard: Samples  # at 48 kHz
    code: int
    errors: str
    statistics: dict[str, object]


@pytest.fixture(scope="module")
def conversations(card, tmp_path_factory) -> dict[AudioFormat, Conversation]:
    home = str(tmp_path_factory.mktemp("home"))
    return asyncio.run(hold_all(card, {"HOME": home, "XDG_CONFIG_HOME": home}))


async def hold_all(card: VirtualCard, home: dict[str, str]) -> dict[AudioFormat, Conversation]:
    answers = {audio: babble(SECONDS, audio.rate, seed=2) for audio in FORMATS}

    async def agent(session: Session) -> None:
        answer = answers[session.audio]
        async for heard in session:
            if len(answer) and level_dbfs(heard) > -40:
                await session.send_audio(answer)  # while the caller goes on speaking
                answer = answer[:0]

    async def hold(audio: AudioFormat, emulator: Emulator) -> Conversation:
        name = f"{audio.encoding}{audio.rate}"
        await asyncio.to_thread(card.plug, f"mic-{name}", mono=True)
        await asyncio.to_thread(card.plug, f"spk-{name}")
        env = card.environment(source=f"mic-{name}.monitor", sink=f"spk-{name}") | home
        call = emulator.register(audio)
        said = babble(SECONDS, audio.rate)
        async with Talk(
            call.call_id,
            *("--url", emulator.url, "--encoding", audio.encoding, "--rate", str(audio.rate)),
            env=env,
        ) as talk:
            await talk.live()
            recorder = await asyncio.to_thread(card.record, f"spk-{name}")
            await ready.wait()
            # The players of all calls have started when the first of them begins to speak.
            pause = np.zeros(audio.rate // 2, np.int16)
            player = card.play(np.concatenate((pause, said)), audio.rate, into=f"mic-{name}")
            await asyncio.to_thread(player.wait)
            await talk.until("agent_stopped")
            code = await talk.hang_up()
        heard = await asyncio.to_thread(recorder.stop)
        statistics = talk.having("ended")[0]["statistics"]
        for sink in (f"mic-{name}", f"spk-{name}"):
            await asyncio.to_thread(card.unplug, sink)
        return Conversation(
            said, call.received, answers[audio], heard, code, talk.errors, statistics
        )

    held: list[Conversation] = []
    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(60):
        for some in (FORMATS[:4], FORMATS[4:]):  # so many calls leave two cores some air
            ready = asyncio.Barrier(len(some))
            held += await asyncio.gather(*(hold(audio, emulator) for audio in some))
    return dict(zip(FORMATS, held, strict=True))


def limit(audio: AudioFormat, samples: Samples, rate: int) -> float:
    """Return the SNR that the encoding alone allows; 30 dB are asked for where there is none."""
    if audio.encoding is not Encoding.MULAW:
        return 30.0
    coded = resampled(audio.decode(audio.encode(samples)), audio.rate, rate)
    return compare(resampled(samples, audio.rate, rate), coded, rate).snr - 1.5


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_you_say_arrives(conversations, audio, capsys):
    held = conversations[audio]
    match = compare(held.said, held.arrived, audio.rate)
    with capsys.disabled():
        print(f"\n  {audio.encoding} {audio.rate} microphone: {match}", end="")
    assert match.snr >= limit(audio, held.said, audio.rate)
    assert match.spread < 0.001
    assert match.gain == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_the_agent_says_is_heard(conversations, audio, capsys):
    held = conversations[audio]
    match = compare(resampled(held.answer, audio.rate, RATE), held.heard, RATE)
    with capsys.disabled():
        print(f"\n  {audio.encoding} {audio.rate} speaker: {match}", end="")
    assert match.snr >= limit(audio, held.answer, RATE)
    assert match.spread < 0.001
    assert match.gain == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_it_ends_well_and_says_nothing_else(conversations, audio):
    held = conversations[audio]
    assert (held.code, held.errors) == (0, "")
    assert held.statistics["frames_dropped"] == 0
    assert np.isclose(held.statistics["heard"], SECONDS, atol=0.01)
