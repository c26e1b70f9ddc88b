"""Sounds of one's own that give way to the agent, and what is kept of what was really played."""

from __future__ import annotations

from typing import Any, cast

import numpy as np

from retell_voice.devices.streams.far_end import FarEnd
from retell_voice.devices.streams.output import Output, Sound

RATE, BLOCK = 8000, 160


class Agent:
    """A far end that speaks when it is told to."""

    speaks = False

    def fill_rt(self, out: Any, delay: float) -> bool:
        out[:] = 1000 if self.speaks else 0
        return self.speaks


def an_output() -> tuple[Output, Agent]:
    output, agent = Output(RATE), Agent()
    output.connect(cast("FarEnd", agent))
    return output, agent


def block(output: Output) -> np.ndarray:
    out = np.zeros(BLOCK, np.int16)
    output.fill_rt(out)
    return out


def a_sound(ended: list[str], name: str = "", *, yields: bool = True) -> Sound:
    samples = np.full(5 * BLOCK, 200, np.int16)
    return Sound(samples, lambda: ended.append(name), yields=yields)


def test_a_sound_that_yields_fades_out_when_the_agent_begins() -> None:
    output, agent = an_output()
    ended: list[str] = []
    output.play(a_sound(ended))
    assert np.all(block(output) == 200)
    agent.speaks = True
    heard = block(output)
    assert heard[0] == 1200
    assert np.all(np.diff(heard.astype(int)) <= 0), "it fades"
    assert np.all(heard[48:] == 1000), "and is gone after 6 ms"
    assert np.all(block(output) == 1000)
    assert ended == [""]
    assert output.is_silent


def test_it_is_not_begun_beside_the_agent_and_what_comes_behind_it_is() -> None:
    output, agent = an_output()
    ended: list[str] = []
    agent.speaks = True
    output.play(a_sound(ended, "yields"))
    output.play(a_sound(ended, "stays", yields=False))
    assert np.all(block(output) == 1200)
    for _ in range(5):
        block(output)
    assert ended == ["yields", "stays"]


def test_it_is_heard_whole_in_a_call_in_which_nobody_speaks() -> None:
    output, _ = an_output()
    ended: list[str] = []
    output.play(a_sound(ended))
    assert all(np.all(block(output) == 200) for _ in range(5))
    assert not np.any(block(output))
    assert ended == [""]


def test_the_reference_is_what_was_really_played() -> None:
    """After the volume, with the agent and one's own sounds, and with the silence in between."""
    output, agent = an_output()
    reference, ended = output.reference, list[str]()
    played = [block(output)]
    agent.speaks = True
    output.gain.value = 0.5
    played += [block(output), block(output)]
    agent.speaks = False
    output.play(a_sound(ended, yields=False))
    played += [block(output) for _ in range(7)]
    kept, end = reference.ring.read(0)
    assert np.array_equal(kept, np.concatenate(played))
    assert end == 10 * BLOCK
    assert set(np.unique(kept)) >= {0, 100, 500}
