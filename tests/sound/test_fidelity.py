"""What is said into the microphone reaches the server, and what the agent says the speaker.

Several formats are called at once, each with a microphone and a speaker of its own, by the real
program over a real socket. So many programs and servers at once may be too much for a machine
that is busy with something else: a call that was not clean is held again, alone, where the machine
let it wait.
"""

import asyncio
import itertools
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.card import VirtualCard
from support.measure import Match, compare, level_dbfs, resampled
from support.program import Talk
from support.recorder import RATE, Samples
from support.speech import babble
from support.waits import ATTEMPTS, Waits, once_more

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, Session

pytestmark = [pytest.mark.sound, pytest.mark.timeout(300)]  # all calls are held for the first

SECONDS = 3.0
FORMATS = [AudioFormat(Encoding.S16LE, rate) for rate in (8000, 16000, 24000, 44100, 48000)] + [
    AudioFormat(Encoding.MULAW, rate) for rate in (8000, 16000)
]
IDS = [f"{audio.encoding}-{audio.rate}" for audio in FORMATS]


@dataclass
class Conversation:
    captured: Match
    """What arrived at the server against what was said into the microphone."""
    played: Match
    """What came out of the speaker against what the agent said."""
    lowest: tuple[float, float]
    """The SNR that each of these must have, dB."""
    code: int
    errors: str
    statistics: dict[str, Any]

    def __str__(self) -> str:
        return f"microphone {self.captured}, speaker {self.played}"

    @property
    def clean(self) -> bool:
        return self.captured.snr >= self.lowest[0] and self.played.snr >= self.lowest[1]


def is_clean(held: Conversation | BaseException) -> bool:
    return isinstance(held, Conversation) and held.clean


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

    async def hold(audio: AudioFormat, together: asyncio.Barrier) -> Conversation:
        try:
            return await converse(audio, together)
        except BaseException:
            await together.abort()  # the others would wait for this one
            raise

    async def converse(audio: AudioFormat, together: asyncio.Barrier) -> Conversation:
        said = babble(SECONDS, audio.rate)
        # The players of all calls have started when the first of them begins to speak.
        speech = np.concatenate((np.zeros(audio.rate // 2, np.int16), said))
        call = emulator.register(audio)
        # Sample for sample: a canceller would take what it knows to be the agent out of it.
        format_options = "--encoding", audio.encoding, "--rate", str(audio.rate), "--echo", "off"
        async with devices(card) as (microphone, speaker):
            env = card.environment(source=f"{microphone}.monitor", sink=speaker) | home
            arguments = (call.call_id, "--url", emulator.url, *format_options)
            async with Talk(*arguments, env=env, is_ahead=True) as talk:
                await talk.live()
                recorder = await asyncio.to_thread(card.record, speaker)
                await together.wait()
                player = card.play(speech, audio.rate, into=microphone)
                await asyncio.to_thread(player.wait)
                await talk.until("agent_stopped")
                code = await talk.hang_up()
            heard = await asyncio.to_thread(recorder.stop)
        answer = resampled(answers[audio], audio.rate, RATE)
        return Conversation(
            captured=compare(said, call.received, audio.rate),
            played=compare(answer, heard, RATE),
            lowest=(lowest(audio, said, audio.rate), lowest(audio, answers[audio], RATE)),
            code=code,
            errors=talk.errors,
            statistics=talk.having("ended")[0]["statistics"],
        )

    held: dict[AudioFormat, Any] = {}
    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(240):
        with Waits() as waits:
            for some in (FORMATS[:4], FORMATS[4:]):
                together = asyncio.Barrier(len(some))
                calls = [hold(audio, together) for audio in some]
                held |= zip(some, await asyncio.gather(*calls, return_exceptions=True), strict=True)
        for audio in held:
            attempts = 1
            while not is_clean(held[audio]) and waits.too_long and attempts < ATTEMPTS:
                once_more.append(f"{audio.encoding} {audio.rate}: {waits}; {held[audio]}")
                attempts += 1
                with Waits() as waits:
                    (held[audio],) = await asyncio.gather(
                        hold(audio, asyncio.Barrier(1)), return_exceptions=True
                    )
            if isinstance(held[audio], BaseException):
                raise held[audio]
    return held


@asynccontextmanager
async def devices(card: VirtualCard):
    """Names of a microphone and a speaker that nobody else uses."""
    number = next(numbers)
    microphone, speaker = f"microphone{number}", f"speaker{number}"
    await asyncio.to_thread(card.plug, microphone, mono=True)
    await asyncio.to_thread(card.plug, speaker)
    yield microphone, speaker
    await asyncio.to_thread(card.unplug, microphone)
    await asyncio.to_thread(card.unplug, speaker)


numbers = itertools.count()


def lowest(audio: AudioFormat, samples: Samples, rate: int) -> float:
    """Return the least SNR, dB: 30, or 1.5 less than what the noise of the encoding allows."""
    if audio.encoding is not Encoding.MULAW:
        return 30.0
    coded = resampled(audio.decode(audio.encode(samples)), audio.rate, rate)
    return compare(resampled(samples, audio.rate, rate), coded, rate).snr - 1.5


def judge(match: Match, lowest: float, what: str, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n  {what}: {match}", end="")
    assert match.snr >= lowest
    assert match.spread < 0.001
    assert match.gain == pytest.approx(1.0, abs=0.01)


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_you_say_arrives(conversations, audio, capsys):
    held = conversations[audio]
    judge(held.captured, held.lowest[0], f"{audio.encoding} {audio.rate} microphone", capsys)


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_the_agent_says_is_heard(conversations, audio, capsys):
    held = conversations[audio]
    judge(held.played, held.lowest[1], f"{audio.encoding} {audio.rate} speaker", capsys)


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_it_ends_well_and_says_nothing_else(conversations, audio):
    held = conversations[audio]
    assert (held.code, held.errors) == (0, "")
    assert held.statistics["frames_dropped"] == 0
    assert np.isclose(held.statistics["heard"], SECONDS, atol=0.01)
