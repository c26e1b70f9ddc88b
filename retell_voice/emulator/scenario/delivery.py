"""When a scenario's audio is sent, and in what messages. Pure: times are results."""

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
        data: encoded for the wire; may end within a sample.
        text: the text that begins in it.
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
        audio: encoding and rate.
        delivery: message length and timing.
        chunk_ms: length of a message if ``delivery`` does not say.
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
    """Return when audio that begins at ``at`` is released, if it is held back in bursts."""
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
