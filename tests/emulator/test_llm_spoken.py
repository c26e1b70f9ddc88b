"""A conversation that is really spoken: one engine asks, the others hear, answer and check."""

import importlib
from pathlib import Path

import numpy as np
import pytest
from support.talker import talker

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import Emulator
from retell_voice.emulator.llm.agent import llm_agent
from retell_voice.emulator.speech.engines import Engines, open_engines

RATE = 16000


async def recognised(engines: Engines, samples: Samples) -> str:
    words = await engines.asr.recognize(samples, RATE)
    return " ".join(word.word for word in words).lower()


async def test_a_question_that_is_spoken_is_heard_answered_and_spoken(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "examples"))
    example = importlib.import_module("llm_server_streaming")
    monkeypatch.setattr(example, "PACE", 0.005)
    async with open_engines("piper", "whisper") as engines, example.listen(0) as url:
        question = await engines.tts.synthesize("What is the weather like?", RATE)
        async with Emulator(agent=llm_agent(url, engines)) as retell:
            call = retell.register(AudioFormat(rate=RATE))
            async with talker(retell, call, speed=4) as caller:
                await caller.until(caller.told("agent: Hello! How can I help you?"))
                await caller.listen_to_the_end()
                greeted = len(caller.received)
                caller.begin_to_say(question.samples)
                await caller.until(lambda: caller.lines()[-1].endswith("degrees."))
                await caller.listen_to_the_end()
                audio = [each for each in caller.received[greeted:] if isinstance(each, bytes)]
                retell.type("Goodbye.")
        answer = await recognised(engines, np.frombuffer(b"".join(audio), np.int16))
    lines = caller.lines()
    assert "weather" in lines[1].lower()
    assert "sunny" in answer
    assert "berlin" in answer
    assert lines[-1] == "agent: Goodbye, and thank you for calling."
    assert call.disconnection_reason == "agent_hangup"
    # The words stand where they were said.
    said = caller.updates()[-1]["transcript"][1]["words"]
    assert len(said) >= 4
    assert said[-1]["end"] - said[0]["start"] == pytest.approx(question.duration, abs=0.8)
