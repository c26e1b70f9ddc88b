"""What is said into the microphone reaches the server, and what the agent says the speaker.

Several formats are called at once, each with a microphone and a speaker of its own, by the real
program over a real socket. So many programs and servers at once may be too much for a machine
that is busy with something else: a call of which a part was not as it should be is held again,
alone, for that part, where the machine let it wait.
"""

import asyncio
import itertools
import time
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
from support.card import VirtualCard
from support.measure import Match, compare, level_dbfs, resampled
from support.program import Talk
from support.recorder import RATE, Samples
from support.speech import babble
from support.waits import Waits, once_more

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, Session

pytestmark = [pytest.mark.sound, pytest.mark.timeout(480)]  # all calls are held for the first

SECONDS = 3.0
PATIENCE = 300.0
"""Seconds within which calls are held again."""
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
    end: tuple[int, str, dict[str, Any]]
    """Exit code, what was said on stderr, and the last statistics."""

    def __str__(self) -> str:
        return f"microphone {self.captured}, speaker {self.played}"

    def judge_captured(self) -> None:
        judge(self.captured, self.lowest[0])

    def judge_played(self) -> None:
        judge(self.played, self.lowest[1])

    def judge_end(self) -> None:
        code, errors, statistics = self.end
        assert (code, errors) == (0, "")
        assert statistics["frames_dropped"] == 0
        assert np.isclose(statistics["heard"], SECONDS, atol=0.01)


def judge(match: Match, lowest: float) -> None:
    assert match.snr >= lowest
    assert match.spread < 0.001
    assert match.gain == pytest.approx(1.0, abs=0.01)


def faults(held: Conversation | BaseException) -> dict[str, str]:
    """The parts of a call that are not as they should be, and why, in one line each."""
    if not isinstance(held, Conversation):
        return {"all": repr(held)}
    found = {}
    for part in ("captured", "played", "end"):
        try:
            getattr(held, f"judge_{part}")()
        except AssertionError as error:
            found[part] = str(error).splitlines()[0]
    return found


def held_again(
    first: Conversation | BaseException, then: Conversation | BaseException
) -> Conversation | BaseException:
    """Return a call with the parts of another one in place of those that were not right."""
    if not isinstance(first, Conversation) or not isinstance(then, Conversation):
        return then if isinstance(then, Conversation) else first
    return replace(first, **{part: getattr(then, part) for part in faults(first)})


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
                with await asyncio.to_thread(card.record, speaker) as recorder:
                    await together.wait()
                    player = card.play(speech, audio.rate, into=microphone)
                    await asyncio.to_thread(player.wait)
                    await talk.until("agent_stopped")
                    code = await talk.hang_up()
        answer = resampled(answers[audio], audio.rate, RATE)
        return Conversation(
            captured=compare(said, call.received, audio.rate),
            played=compare(answer, recorder.samples(), RATE),
            lowest=(lowest(audio, said, audio.rate), lowest(audio, answers[audio], RATE)),
            end=(code, talk.errors, talk.having("ended")[0]["statistics"]),
        )

    held: dict[AudioFormat, Any] = {}
    deadline = time.monotonic() + PATIENCE
    async with Emulator(agent=agent, record=True) as emulator, asyncio.timeout(400):
        with Waits() as waits:
            for some in (FORMATS[:4], FORMATS[4:]):
                together = asyncio.Barrier(len(some))
                calls = [hold(audio, together) for audio in some]
                held |= zip(some, await asyncio.gather(*calls, return_exceptions=True), strict=True)
        beside_each_other = waits
        for audio in held:
            waits = beside_each_other
            while (why := faults(held[audio])) and waits.too_long and time.monotonic() < deadline:
                once_more.append(f"{audio.encoding} {audio.rate}: {waits}; {why}")
                with Waits() as waits:
                    (then,) = await asyncio.gather(
                        hold(audio, asyncio.Barrier(1)), return_exceptions=True
                    )
                held[audio] = held_again(held[audio], then)
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
    try:
        yield microphone, speaker
    finally:
        await asyncio.to_thread(card.unplug, microphone)
        await asyncio.to_thread(card.unplug, speaker)


numbers = itertools.count()


def lowest(audio: AudioFormat, samples: Samples, rate: int) -> float:
    """Return the least SNR, dB: 30, or 1.5 less than what the noise of the encoding allows."""
    if audio.encoding is not Encoding.MULAW:
        return 30.0
    coded = resampled(audio.decode(audio.encode(samples)), audio.rate, rate)
    return compare(resampled(samples, audio.rate, rate), coded, rate).snr - 1.5


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_you_say_arrives(conversations, audio, capsys):
    held = conversations[audio]
    with capsys.disabled():
        print(f"\n  {audio.encoding} {audio.rate} microphone: {held.captured}", end="")
    held.judge_captured()


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_what_the_agent_says_is_heard(conversations, audio, capsys):
    held = conversations[audio]
    with capsys.disabled():
        print(f"\n  {audio.encoding} {audio.rate} speaker: {held.played}", end="")
    held.judge_played()


@pytest.mark.parametrize("audio", FORMATS, ids=IDS)
def test_it_ends_well_and_says_nothing_else(conversations, audio):
    conversations[audio].judge_end()
