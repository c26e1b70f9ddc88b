"""Your own sounds: made ready for the speaker, then played until they have been heard."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

from retell_voice.audio.format import SAMPLES, Samples, described, is_samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.files import read_wav
from retell_voice.devices.streams.output import MOST_SOUNDS, Output, Sound
from retell_voice.threads.detached import run_detached
from retell_voice.threads.mailbox import mailbox_of


async def sound_at(output_rate: int, sound: Samples | Path | str, rate: int | None) -> Samples:
    """Return a sound at the speaker's rate; what takes a while is done off the event loop.

    Args:
        output_rate: the speaker's samples a second.
        sound: samples, shape (n,), mono int16; or a WAV file.
        rate: sample rate of samples, Hz; None: that of the speaker.

    Raises:
        ConfigError: the file cannot be read.
        TypeError: it is not samples.
    """
    if isinstance(sound, Path | str) or rate not in (None, output_rate):
        return await run_detached(partial(_prepared, output_rate, sound, rate))
    return _prepared(output_rate, sound, rate)  # at once, whatever else the loop has to do


async def play_until_heard(output: Output, samples: Samples, *, yields: bool) -> None:
    """Play samples at the output's rate, shape (n,); see ``Sound``. Cancelling fades them out.

    Raises:
        RuntimeError: too many sounds wait.
    """
    heard = asyncio.Event()
    mailbox = mailbox_of(asyncio.get_running_loop())
    playing = Sound(samples, lambda: mailbox.post(lambda *_: heard.set(), None), yields=yields)
    if not output.play(playing):
        raise RuntimeError(f"{MOST_SOUNDS} sounds are already waiting to be played")
    try:
        await heard.wait()
    except asyncio.CancelledError:
        playing.is_stopping = True
        raise


def _prepared(output_rate: int, sound: Samples | Path | str, rate: int | None) -> Samples:
    if isinstance(sound, Path | str):
        sound, rate = read_wav(sound)
    elif not is_samples(sound):
        raise TypeError(f"a sound must be {SAMPLES}, or a WAV file; it is {described(sound)}")
    return resample_whole(sound, rate or output_rate, output_rate)
