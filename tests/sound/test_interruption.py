"""The caller interrupts: what is left of a turn is never heard, the next one is, all of it.

At 48 kHz nothing between the wire and the speaker resamples, so that what is heard can be
compared sample by sample.
"""

import asyncio
import time
from dataclasses import dataclass, field

import numpy as np
import pytest
from support.card import VirtualCard
from support.measure import find, last_sound, with_lost_cycles
from support.program import Talk
from support.recorder import RATE, Recorder, Samples
from support.speech import babble
from support.waits import unless_it_had_to_wait

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import Emulator, Session

pytestmark = pytest.mark.sound

AUDIO = AudioFormat(rate=RATE)
FADE = 0.008
"""Longest fade allowed, seconds."""


@dataclass
class Script:
    """An agent's turns; each is cut short ``after`` seconds by ``clear`` and then the next."""

    turns: list[Samples]
    after: float
    pause: float = 0.0
    cleared: list[float] = field(default_factory=list)  # monotonic times

    async def __call__(self, session: Session) -> None:
        await self.begin.wait()
        for turn in self.turns[:-1]:
            await session.send_audio(turn)
            await asyncio.sleep(self.after)
            self.cleared.append(time.monotonic())
            await session.clear()
            await asyncio.sleep(self.pause)
        await session.send_audio(self.turns[-1])
        await session.wait_closed()

    def __post_init__(self) -> None:
        self.begin = asyncio.Event()


async def hear(card: VirtualCard, home: dict[str, str], script: Script) -> tuple[Samples, Recorder]:
    """Return what the speaker played from before the first turn until after the last."""
    async with Emulator(agent=script) as emulator, asyncio.timeout(60):
        call = emulator.register(AUDIO)
        own = "--echo", "off"  # the times are those of the player alone
        arguments = (call.call_id, "--url", emulator.url, "--rate", str(RATE), *own)
        async with Talk(*arguments, env=card.env | home, is_ahead=True) as talk:
            await talk.live()
            with await asyncio.to_thread(card.record) as recorder:
                script.begin.set()
                await talk.until("agent_stopped", interrupted=False)
                await asyncio.to_thread(recorder.wait_for, len(recorder) + RATE // 2)
                assert await talk.hang_up() == 0
    assert len(talk.having("agent_stopped", interrupted=True)) == len(script.cleared)
    return recorder.samples(), recorder


def tone(seconds: float, amplitude: int = 12000) -> Samples:
    """Return 437 Hz: no whole number of periods in any block, no step larger than amplitude/17."""
    t = np.arange(round(seconds * RATE)) / RATE
    return (amplitude * np.cos(2 * np.pi * 437 * t)).astype(np.int16)


@unless_it_had_to_wait
async def test_clear_is_silence_without_a_click(card, home, capsys):
    end = np.full(RATE // 100, 3000, np.int16)  # tells that the call still plays
    largest = 12000 * 2 * np.pi * 437 / RATE * 1.1  # step of the tone
    script = Script([*(tone(8 + n) for n in range(4)), end], after=0.7, pause=0.6)
    heard, recorder = await hear(card, home, script)
    sound = np.flatnonzero(heard)
    begins = sound[np.diff(sound, prepend=-RATE) > RATE // 5]
    for begin, turn in zip(begins, script.turns, strict=True):
        heard = with_lost_cycles(heard, turn, begin)

    latencies = []
    for cleared in script.cleared:
        # The half second from when clear was sent; its beginning still holds the tone.
        at = next(n for n in range(0, len(heard), 48) if recorder.time_of(n) >= cleared)
        window = heard[at : at + RATE // 2]
        silent_from = last_sound(window, 0)
        assert silent_from < 0.4 * RATE, "still to be heard 0.4 s after clear"
        latencies.append(recorder.time_of(at + silent_from) - cleared)
        # A fade, not a cut: no step is larger than those of the tone, and from its last full
        # swing (one may be up to a period before the fade) it takes as long as a fade.
        steps = np.abs(np.diff(heard[at - RATE // 10 : at + RATE // 2].astype(int)))
        assert steps.max() <= largest
        full = last_sound(window, 11000)
        assert 0.002 < (silent_from - full) / RATE < FADE + 1 / 437
    with capsys.disabled():
        print(f"\n  clear to silence, ms: {[round(1000 * s, 1) for s in latencies]}", end="")


@unless_it_had_to_wait
async def test_a_turn_right_after_clear_is_heard_whole(card, home, capsys):
    turns = [babble(8, RATE, seed=n, pauses=False) for n in (11, 12, 13)]
    # It ends in silence, as speech does: an end in full voice is taken for a gap and concealed.
    last = np.concatenate((babble(2.5, RATE, seed=14), np.zeros(RATE // 10, np.int16)))
    last[0] = 9000  # its first sample cannot be overlooked
    script = Script([*turns, last], after=0.6)
    heard, _ = await hear(card, home, script)

    at = find(last, heard)
    heard = with_lost_cycles(heard, last, at)
    assert np.array_equal(heard[at : at + len(last)], last), "not sample by sample what was sent"
    assert not heard[at + len(last) :].any()
    # Before it: the fade of the third turn, then silence, and nothing else of that turn.
    began = find(turns[2][: RATE // 2], heard)
    heard = with_lost_cycles(heard, turns[2], began)
    assert np.array_equal(heard[began : began + RATE // 2], turns[2][: RATE // 2])
    before = heard[began:at]
    same = before == turns[2][: len(before)]
    faded_from = int(np.argmin(same)) if not same.all() else len(before)
    silent_from = last_sound(before, 0)
    assert silent_from - faded_from <= FADE * RATE
    with capsys.disabled():
        gap = 1000 * (len(before) - silent_from) / RATE
        print(f"\n  silence between a fade and the next turn: {gap:.1f} ms", end="")
