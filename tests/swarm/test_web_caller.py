"""Web calls of a swarm, with the emulator."""

from __future__ import annotations

import asyncio

import numpy as np

from retell_voice.audio.opus import OpusDecoder
from retell_voice.emulator import Emulator, Session
from retell_voice.engine.web_call import WebCall
from retell_voice.swarm.caller import Manners
from retell_voice.swarm.swarm import Plan
from retell_voice.swarm.web_caller import web_swarm, web_voice
from retell_voice.transport.ports import Route

SPEECH = (8000 * np.sin(np.arange(48_000 * 4 // 10) / 9)).astype(np.int16)
"""Four tenths of a second at 48 kHz."""
PLAN = Plan(3, 0.1, Manners(answer_timeout=5.0, silence=0.1))
ANSWER = 0.3


async def answering(session: Session) -> None:
    """Answer once, when the caller has been silent for a while."""
    loud = quiet = 0.0
    async for samples in session:
        seconds = len(samples) / session.audio.rate
        if np.abs(samples).max(initial=0) > 1000:
            loud, quiet = loud + seconds, 0.0
        else:
            quiet += seconds
        if loud > 0.2 and quiet > ANSWER:
            loud = 0.0
            rate = session.audio.rate
            await session.send_audio((8000 * np.sin(np.arange(rate // 2) / 5)).astype(np.int16))


async def test_web_calls_are_timed_as_others_are() -> None:
    async with Emulator(agent=answering) as emulator, asyncio.timeout(30):

        async def dial() -> Route:
            return WebCall(emulator.create_web_call(), api_url=emulator.api_url)

        swarm = web_swarm(PLAN, SPEECH, 48_000, dial)
        figures = await swarm.run()
    assert (figures.calls, figures.held, figures.asked, figures.unanswered) == (3, 3, 3, 0)
    assert figures.exit_code == 0
    assert {name: times.count for name, times in figures.times.items() if name != "gap"} == {
        **dict.fromkeys(("register", "connect", "answer"), 3),
        "late": figures.times["late"].count,
    }
    assert figures.times["answer"].percentile(1) > ANSWER - 0.05
    assert figures.times["answer"].percentile(99) < ANSWER + 2, "a busy machine is forgiven much"


def test_the_voice_is_encoded_once_and_its_utterances_end_where_they_do() -> None:
    voice, decoder = web_voice(SPEECH), OpusDecoder(48_000)
    heard = np.concatenate([decoder.decode(each).copy() for each in voice.frames])
    assert np.abs(heard[4800:14_400]).max() > 4000
    assert (voice.frame, voice.ends) == (0.02, (0.4,))
    for _ in range(50):
        assert np.abs(decoder.decode(voice.silence)).max() < 50, "silence stays silence"
