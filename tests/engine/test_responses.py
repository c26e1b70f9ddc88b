"""How quickly the agent answers: in tables, and in a call with an agent of known delay."""

from __future__ import annotations

import asyncio
import threading
import time

import numpy as np
import pytest
from support.calls import AUDIO, calling, until
from support.tones import tone

from retell_voice.audio.speech_spans import Span
from retell_voice.devices.ports import Sink
from retell_voice.emulator import Session
from retell_voice.engine.responses import Responses
from retell_voice.events import AgentStarted, AgentStopped, BargeIn, Event, Response, Statistics

FIRST, SECOND = Span(1.0, 2.0), Span(5.0, 6.0)


def follow(*steps: tuple[str, float, list[Span]]) -> list[Event]:
    """Return what is told of a call whose agent starts, stops or is interrupted (``cut``)."""
    responses, told = Responses(), []
    for what, at, spans in steps:
        match what:
            case "arrived":
                responses.audio_arrived(at)
                continue
            case "cleared":
                responses.cleared()
                continue
            case "starts":
                event: Event | None = responses.started(AgentStarted(at=at), spans, 0.03)
            case _:
                stopped = AgentStopped(at=at, interrupted=what == "cut", silent_since=at)
                event = responses.stopped(stopped, spans)
        told.append(event)
    return [each for each in told if each is not None]


def test_each_answer_is_told_once() -> None:
    assert follow(
        ("starts", 0.1, []),  # a greeting answers nobody
        ("stops", 0.8, []),
        ("arrived", 2.5, []),
        ("arrived", 2.6, []),
        ("starts", 2.75, [FIRST]),
        ("stops", 3.0, [FIRST]),
        ("starts", 3.5, [FIRST]),  # it goes on
        ("stops", 4.0, [FIRST]),
        ("starts", 7.0, [FIRST, SECOND]),
    ) == [
        Response(at=2.75, delay=0.75, playout=0.25, round_trip=0.03),
        Response(at=7.0, delay=1.0, playout=None, round_trip=0.03),
    ]


@pytest.mark.parametrize(
    "spans",
    [
        [Span(1.0, 2.01)],  # still speaking, as far as is known by now
        [FIRST, Span(1.9, 2.2)],
        [Span(0.0, 0.4)],  # within the agent's last words
    ],
)
def test_what_is_no_answer(spans: list[Span]) -> None:
    assert not follow(("starts", 0.1, []), ("stops", 0.5, []), ("starts", 2.04, spans))


def test_an_interruption_is_from_your_first_sound_to_its_last() -> None:
    assert follow(
        ("starts", 0.5, []),
        ("cleared", 1.3, []),
        ("cut", 1.375, [Span(1.0, 1.25)]),
        ("arrived", 2.875, []),
        ("starts", 3.0, [FIRST]),
    ) == [
        BargeIn(at=1.375, delay=0.375),
        Response(at=3.0, delay=1.0, playout=0.125, round_trip=0.03),
    ]


def test_a_clear_without_a_word_of_yours_is_no_barge_in() -> None:
    assert not follow(("starts", 3.0, []), ("cut", 4.0, [FIRST]))


def test_audio_that_was_cleared_unheard_has_not_arrived() -> None:
    (told,) = follow(
        ("arrived", 2.2, []), ("cleared", 2.3, []), ("arrived", 2.875, []), ("starts", 3.0, [FIRST])
    )
    assert told == Response(at=3.0, delay=1.0, playout=0.125, round_trip=0.03)


class SpeakingMicrophone:
    """Speaks for half a second, then is silent; knows when its last word was over."""

    name, latency, rate = "a voice", None, AUDIO.rate

    def __init__(self) -> None:
        self.spoke_until = 0.0
        self._over = threading.Event()

    def start(self, sink: Sink) -> None:
        self._thread = threading.Thread(target=self._speak, args=(sink,))
        self._thread.start()

    def _speak(self, sink: Sink) -> None:
        block = self.rate // 100
        voice, began = tone(440, 0.5, self.rate), time.monotonic()
        for number in range(10_000):
            if self._over.wait(max(began + (number + 1) / 100 - time.monotonic(), 0.0)):
                return
            at = (number - 20) * block
            if 0 <= at < len(voice):
                self.spoke_until = time.monotonic()
                sink.write_rt(voice[at : at + block])
            else:
                sink.write_rt(np.zeros(block, np.int16))

    def stop(self) -> None:
        self._over.set()
        self._thread.join()


async def test_an_agent_of_known_delay() -> None:
    answered: list[float] = []

    async def agent(session: Session) -> None:
        has_spoken = False
        async for frame in session:
            if not frame.any() and has_spoken:
                break
            has_spoken = has_spoken or bool(frame.any())
        await asyncio.sleep(0.3)
        answered.append(time.monotonic())
        await session.send_audio(tone(440, 0.3, AUDIO.rate))
        await session.wait_closed()

    microphone = SpeakingMicrophone()
    async with calling(agent, microphone=microphone) as call:
        told = await until(call, Response)
        figures = call.statistics()
    assert told.playout is not None
    # The rest of a second's hundredths is a busy machine's: on an idle one these are within 5 ms.
    truth = answered[0] - microphone.spoke_until
    assert told.delay - told.playout == pytest.approx(truth, abs=0.08)
    assert 0 < told.playout < 0.6
    assert isinstance(figures, Statistics)
    assert (figures.responses, figures.barge_ins) == (1, 0)
    assert told.delay == figures.response_last == figures.response_p50 == figures.response_max
