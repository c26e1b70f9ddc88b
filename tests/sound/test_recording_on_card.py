"""A recording at the card: a microphone that hears the speaker hears it when it is heard."""

from __future__ import annotations

import os
import tempfile
import wave
from pathlib import Path

import numpy as np
import pytest
from support.measure import find
from support.program import Talk
from support.waits import unless_it_had_to_wait

pytestmark = pytest.mark.sound


@unless_it_had_to_wait
async def test_both_voices_are_aligned(card, home, tmp_path: Path) -> None:
    env = card.environment(source="vspk.monitor") | home
    calls = Path(tempfile.mkdtemp(dir=tmp_path))
    # What the microphone hears of the speaker is the subject here.
    arguments = ("--local", "--no-interruptible", "--echo", "off", "--record", str(calls))
    async with Talk(*arguments, env=env, is_ahead=True) as talk:
        await talk.until("agent_stopped")
        assert await talk.hang_up() == 0
    (name,) = os.listdir(calls)
    with wave.open(str(calls / name / "audio.wav")) as file:
        rate = file.getframerate()
        both = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
    left, right = both.T
    sound = np.flatnonzero(np.abs(right) > 500)
    part = right[sound[0] : sound[0] + 3 * rate]
    around = left[max(0, sound[0] - rate // 2) : sound[0] + 3 * rate + rate // 2]
    late = (find(part, around) - min(sound[0], rate // 2)) / rate
    print(f"left is {late * 1000:.1f} ms behind right")
    # Devices state their latencies to a block of the sound server, and the server has its own.
    assert abs(late) < 0.04
