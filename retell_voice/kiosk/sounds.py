"""The sounds of a kiosk: made here, or one's own; through the output that is open anyhow.

They are short, and yield to the agent. That of dialling is broadband: it is heard from the whole
spectrum what the room does to sound, so that echo control knows it before the agent speaks.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Protocol

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.errors import ConfigError
from retell_voice.kiosk.states import Say

_PAUSE = 1.0
"""Seconds between two sounds of dialling."""
_LONGEST = 10.0
"""Seconds of a sound of one's own; what is longer is cut."""
_LEVEL = 0.25
_ATTACK = 0.008

_NOTES: Mapping[Say, tuple[tuple[float, float], ...]] = {
    Say.LISTENING: ((660, 0.07), (990, 0.10)),
    Say.IDLE: ((660, 0.09), (440, 0.14)),
    Say.MUTED: ((520, 0.06), (390, 0.06)),
    Say.UNMUTED: ((390, 0.06), (520, 0.06)),
    Say.ERROR: ((330, 0.15), (0, 0.05), (262, 0.15), (0, 0.05), (208, 0.25)),
    Say.OFFLINE: ((392, 0.12), (0, 0.08), (392, 0.12), (0, 0.08), (392, 0.12)),
}
"""Frequency, Hz, and seconds of each note, 0 for a rest."""


def made(say: Say, rate: int) -> Samples:
    """Return the sound that stands for this, shape (n,), mono int16."""
    if say is Say.DIALLING:
        return _brush(rate)
    parts = [_note(frequency, seconds, rate) for frequency, seconds in _NOTES[say]]
    return _scaled(np.concatenate(parts))


def _note(frequency: float, seconds: float, rate: int) -> np.ndarray:
    time = np.arange(round(seconds * rate)) / rate
    tone = np.sin(2 * np.pi * frequency * time) + 0.3 * np.sin(4 * np.pi * frequency * time)
    if not frequency:
        return np.zeros_like(time)
    return tone * np.minimum(1, np.minimum(time, time[::-1]) / 0.012)


def _brush(rate: int) -> np.ndarray:
    """Return two soft strokes of noise with a tone in each."""
    noise = random.Random(14)  # the same each time; numpy's own takes 3 MB  # noqa: S311

    def stroke(seconds: float, frequency: float) -> np.ndarray:
        time = np.arange(round(seconds * rate)) / rate
        # It is heard at once: who presses listens for it.
        envelope: np.ndarray = np.minimum(1, time / _ATTACK)
        envelope = envelope * np.cos(0.5 * np.pi * time / seconds) ** 2
        hiss = np.array([noise.gauss(0.0, 0.35) for _ in time])
        return envelope * (hiss + 0.5 * np.sin(2 * np.pi * frequency * time))

    rest = np.zeros(round(0.08 * rate))
    return _scaled(np.concatenate((stroke(0.34, 587), rest, stroke(0.5, 784))))


def _scaled(sound: np.ndarray) -> Samples:
    scaled: Samples = np.rint(sound / np.abs(sound).max() * _LEVEL * 32767).astype(np.int16)
    return scaled


def load(directory: str | None, rate: int, volume: float) -> dict[Say, Samples]:
    """Return all sounds: ``dialling.wav`` and so on of a directory, the made ones for the rest.

    Blocks: it reads files.

    Args:
        directory: of one's own; None: there is none.
        rate: of the speaker, Hz.
        volume: times the amplitude; 0: there are no sounds at all.

    Raises:
        ConfigError: there is no such directory, or a file cannot be read.
    """
    if not volume:
        return {}
    if directory is not None and not (path := Path(directory).expanduser()).is_dir():
        raise ConfigError(f"{directory}: there is no such directory", "it must contain idle.wav, …")
    sounds = {}
    for say in Say:
        sound = made(say, rate)
        if directory is not None and (file := path / f"{say.value}.wav").exists():
            samples, own_rate = read_wav(file)
            sound = resample_whole(samples[: round(_LONGEST * own_rate)], own_rate, rate)
        sounds[say] = np.rint(sound * volume).clip(-32768, 32767).astype(np.int16)
    return sounds


class Plays(Protocol):
    """Open devices, as far as sounds need them."""

    async def play(
        self, sound: Samples | Path | str, rate: int | None = None, *, yields: bool = False
    ) -> None: ...


class Sounds:
    """Plays one sound at a time: a new one takes the place of what is being played.

    Args:
        output: returns the open devices, None while they are not.
    """

    def __init__(self, output: Callable[[], Plays | None]) -> None:
        self.loaded: Mapping[Say, Samples] = {}
        """As ``load`` returned them, for the devices that are open."""
        self._output = output
        self._playing: asyncio.Task[None] | None = None

    def say(self, say: Say) -> None:
        """Play this; DIALLING again and again."""
        self.stop()
        output = self._output()
        if output is not None and (sound := self.loaded.get(say)) is not None:
            self._playing = asyncio.create_task(
                _play(output, sound, is_repeated=say is Say.DIALLING)
            )

    def play(self, sound: Samples) -> None:
        """Play something else, at the speaker's rate."""
        self.stop()
        if (output := self._output()) is not None:
            self._playing = asyncio.create_task(_play(output, sound, is_repeated=False))

    def stop(self) -> None:
        """Let what is being played fade out."""
        if self._playing is not None:
            self._playing.cancel()
            self._playing = None

    @property
    def is_playing(self) -> bool:
        """Whether a sound is being played, or is to be repeated."""
        return self._playing is not None and not self._playing.done()


async def _play(output: Plays, sound: Samples, *, is_repeated: bool) -> None:
    with suppress(RuntimeError):  # the devices have been closed
        while True:
            await output.play(sound, yields=True)
            if not is_repeated:
                return
            await asyncio.sleep(_PAUSE)
