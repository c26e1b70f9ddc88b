"""When the audio of a scenario goes out, and in what pieces. Pure: time is a result."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.scenario.steps import Delivery
from retell_voice.emulator.speech.ports import Speech


@dataclass(frozen=True, slots=True)
class Piece:
    """One message of audio.

    Attributes:
        due: when to send it, seconds after the first could be sent.
        data: encoded for the wire; perhaps not a whole number of samples.
        text: what begins in it.
    """

    due: float
    data: bytes
    text: str


def pieces(
    speech: Speech, audio: AudioFormat, delivery: Delivery, chunk_ms: int, random: Random
) -> Iterator[Piece]:
    """Cut speech into the messages to send.

    Args:
        speech: what is said, at the call's rate.
        audio: how it is encoded.
        delivery: in what pieces, and when.
        chunk_ms: length of a message where ``delivery`` does not say.
        random: draws the delays.
    """
    due = at = 0.0
    for data, text in _cut(speech, audio, delivery, chunk_ms):
        ready = _ready(at, speech.duration, delivery.burst_seconds)
        late = random.uniform(0, delivery.jitter_ms / 1000)
        due = max(due, (ready / delivery.pace if delivery.pace else 0.0) + late)
        yield Piece(due, data, text)
        at += audio.seconds(data)


def _ready(at: float, end: float, burst: float) -> float:
    """Return when audio that begins at ``at`` is let go, if it is held back in bursts."""
    return min(end, (at // burst + 1) * burst) if burst else at


def _cut(
    speech: Speech, audio: AudioFormat, delivery: Delivery, chunk_ms: int
) -> Iterator[tuple[bytes, str]]:
    known = bool(speech.words)
    if delivery.chunk_bytes:
        data, text = audio.encode(speech.samples), speech.content if known else ""
        for start in range(0, len(data), delivery.chunk_bytes):
            yield data[start : start + delivery.chunk_bytes], text
            text = ""
    else:
        size = audio.rate * (delivery.chunk_ms or chunk_ms) // 1000
        for samples, text in speech.chunks(size):
            yield audio.encode(samples), text if known else ""
