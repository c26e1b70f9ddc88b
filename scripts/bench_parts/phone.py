"""How quickly a turn is cut short where a phone provider is played, beside the dialect ``web``.

The same program on the same card in the same run, one dialect after the other and again; what
differs is the dialect: base64 in JSON, µ-law at 8 kHz, and a resampler.
"""

from __future__ import annotations

import random
import time

import numpy as np
from support.card import VirtualCard
from support.recorder import RATE as CARD_RATE

from bench_parts.figures import Row, latency, median, spread
from bench_parts.latency import TONE
from bench_parts.listen import sounds
from bench_parts.server import Caller, MeasuringServer, real_program
from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.protocol.twilio import TwilioServer

_MULAW = AudioFormat(Encoding.MULAW, 8000)
_ROUNDS = 2


class PhoneServer(MeasuringServer):
    """A measuring server that a phone provider calls; its frames are those of the provider."""

    def __init__(self) -> None:
        super().__init__()
        self.dialect = TwilioServer()

    def heard(self, message: str | bytes) -> bytes | None:
        """Return the audio of a message; None: there is none in it."""
        for event in self.dialect.receive(message):
            return self._audio_of(event)
        return None

    @staticmethod
    def _audio_of(event: object) -> bytes | None:
        data = getattr(event, "data", None)
        return None if data is None else _MULAW.decode(data).tobytes()


def _burst(audio: AudioFormat, seconds: float = 2.0) -> list[bytes]:
    phase = 2 * np.pi * TONE * np.arange(round(seconds * audio.rate)) / audio.rate
    samples = (12000 * np.cos(phase)).astype(np.int16)
    step = audio.rate // 10
    return [audio.encode(samples[at : at + step]) for at in range(0, len(samples), step)]


def _cut(
    card: VirtualCard, server: MeasuringServer, command: list[str], repeats: int
) -> tuple[list[float], list[float]]:
    """Return from ``clear`` to silence and from the first byte to the first sound, seconds."""
    phone = server.dialect if isinstance(server, PhoneServer) else None
    bursts: list[str | bytes] = list(_burst(AudioFormat() if phone is None else _MULAW))
    dice, silence, sound = random.Random(3), [], []
    with Caller(command, card.env):
        server.wait_for_frames(50)
        if phone is not None:
            bursts = [phone.audio(each) for each in bursts if isinstance(each, bytes)]
        for _ in range(repeats):
            with card.record() as recorder:
                time.sleep(dice.uniform(0.05, 0.1))
                began = server.send(*bursts)
                time.sleep(dice.uniform(0.3, 0.35))
                cleared = server.send("clear" if phone is None else phone.clear())
                time.sleep(0.45)
                found = sounds(recorder.samples(), CARD_RATE // 20)
            if found:
                sound.append(recorder.time_of(found[0][0]) - began)
                silence.append(recorder.time_of(found[-1][1] - 1) - cleared)
        server.hang_up()
        server.wait_for_end()
    return silence, sound


def run(card: VirtualCard, *, repeats: int = 40) -> list[Row]:
    """Measure both dialects by turns."""
    found: dict[str, tuple[list[float], list[float]]] = {"web": ([], []), "twilio": ([], [])}
    for _ in range(_ROUNDS):
        for dialect, kind in (("web", MeasuringServer), ("twilio", PhoneServer)):
            with kind() as server:
                command = real_program(server.url)
                if dialect == "twilio":
                    command = [*command[:-1], "--dialect", "twilio"]
                silence, sound = _cut(card, server, command, repeats // _ROUNDS)
                found[dialect][0].extend(silence)
                found[dialect][1].extend(sound)
    rows = []
    for place, what in ((0, "clear → silence"), (1, "first byte → first sound")):
        web, twilio = found["web"][place], found["twilio"][place]
        rows += [
            Row(f"{what}, web", spread(web)),
            latency(f"{what}, twilio", twilio, median(web) + 0.020),
        ]
    return rows
