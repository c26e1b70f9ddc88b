"""From the user's last sound to the agent's first at the client, and what the time goes to.

::

    caller (a process) ⇄ emulator (this process) ⇄ examples/llm_server_streaming.py (a process)
     spoken ─▶ decided ─▶ asked ─▶ first chunk ─▶ first sentence ─▶ made ─▶ arrived
       endpointing  recognition  LLM      its sentence     synthesis     the rest

The caller's voice is synthesised beforehand, so that its last sound is known to the sample, and
everything goes over real sockets in real time. The parts are what the emulator did and when;
the whole is what the caller saw. The rest is their difference: the network both ways, and what
waited for a processor.
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import numpy as np

from bench_parts import questioner
from bench_parts.children import child, next_line
from bench_parts.figures import REPO, Row, latency, percentile, spread
from bench_parts.server import BenchError
from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import Emulator
from retell_voice.emulator.actions import Action, Ask, Measure, Recognize, Say, Synthesize
from retell_voice.emulator.calls import Latency
from retell_voice.emulator.dialogue.user_speech import UserSpeech
from retell_voice.emulator.llm.agent import llm_agent
from retell_voice.emulator.runner import AgentRunner
from retell_voice.emulator.speech.engines import open_engines
from retell_voice.emulator.speech.neural import DetectorKind
from retell_voice.errors import ConfigError
from retell_voice.protocol.llm import ResponseRequired

RATE = 24000
ENGINES = (("piper", "whisper"), ("espeak", "pocketsphinx"))
TURNS = (
    "Yes.",
    "What is the weather?",
    "I would like to book a table for two people tomorrow evening.",
    "Thank you very much.",
    "Read me the terms.",
    "Could you tell me whether the shop on the corner is open on Sunday afternoon?",
    "What did you look up?",
    "Not today.",
    "I am calling because the parcel that I ordered last week has still not arrived, and nobody "
    "could tell me where it is.",
    "Is there a cheaper one?",
    "My number is four one five, five five five, zero one two three.",
    "Can you hear me well?",
    "What is the weather like in the mountains?",
    "Please send it to my office.",
    "How long does it take if I come by train, and do I have to change?",
    "That is all I wanted to know.",
)
"""What the caller says: from one word to eight seconds."""


@dataclass(frozen=True, kw_only=True)
class Reply:
    """When things happened in one turn, seconds of ``time.monotonic``.

    Attributes:
        began, spoken: the user's first and last sound.
        decided: the user's turn was taken to be over.
        asked: its words were known, and the LLM server was asked.
        chunk: the first words of the answer came.
        sentence: its first sentence was complete.
        made: it was speech.
        arrived: its first audio was at the client.
        silence: seconds of that before the first sound.
    """

    began: float
    spoken: float
    decided: float
    asked: float
    chunk: float
    sentence: float
    made: float
    arrived: float
    silence: float = 0.0

    @property
    def whole(self) -> float:
        """Seconds that the caller waited."""
        return self.arrived - self.spoken

    @property
    def parts(self) -> dict[str, float]:
        """Seconds of each part, in order; they add up to the whole."""
        return {
            "endpointing: last sound → turn over": self.decided - self.spoken,
            "recognition after that": self.asked - self.decided,
            "LLM: asked → first chunk": self.chunk - self.asked,
            "its first sentence is complete": self.sentence - self.chunk,
            "synthesis of that sentence": self.made - self.sentence,
            "sending, and the network": self.arrived - self.made,
        }


class Stamps:
    """When an emulator decided to do what; the kinds are named as in ``Reply``."""

    def __init__(self) -> None:
        self._taken: list[tuple[float, str]] = []

    def take(self, kind: str, at: float) -> None:
        """Take note of something, in the order of time."""
        self._taken.append((at, kind))

    def between(self, spoken: float, arrived: float) -> dict[str, float] | None:
        """Return the times of what led from one to the other; None if something is missing.

        What the user has said may be asked for twice, when it has a long pause: the last counts.
        """
        times: dict[str, float] = {}
        end = arrived
        for kind in ("asked", "decided"):
            found = [at for at, each in self._taken if each == kind and spoken < at <= end]
            if not found:
                return None
            times[kind] = end = found[-1]
        start = times["asked"]
        for kind in ("chunk", "sentence", "made"):
            found = [at for at, each in self._taken if each == kind and start <= at <= arrived]
            if not found:
                return None
            times[kind] = start = found[0]
        return times


def _kind(action: Action) -> str:
    match action:
        case Ask(message=ResponseRequired()):
            return "asked"
        case Measure(kind="llm"):
            return "chunk"
        case Synthesize():
            return "sentence"
        case Say():
            return "made"
    return ""


@contextmanager
def stamped() -> Iterator[Stamps]:
    """Stamp what the agents of this process decide to do, all of which is handed to ``add``.

    That a turn is over is seen by its segment, whose last recognition has a number then: as it
    is begun before, there is no action that says so.
    """
    stamps, add, to_recognize = Stamps(), AgentRunner.add, UserSpeech.to_recognize

    def adding(self: AgentRunner, actions: list[Action]) -> None:
        now = time.monotonic()
        for action in actions:
            stamps.take(_kind(action), now)
        add(self, actions)

    def deciding(self: UserSpeech, endpoint: int) -> Recognize | None:
        before = [segment.final for segment in self.segments]
        recognize = to_recognize(self, endpoint)
        if [segment.final for segment in self.segments] != before:
            stamps.take("decided", time.monotonic())
        return recognize

    with (
        patch.object(AgentRunner, "add", adding),
        patch.object(UserSpeech, "to_recognize", deciding),
    ):
        yield stamps


async def voiced(texts: Sequence[str], tts: str = "auto") -> list[Samples]:
    """Return texts as speech, shape (n,) each, at ``RATE``."""
    async with open_engines(tts, "none") as engines:
        return [(await engines.tts.synthesize(text, RATE)).samples for text in texts]


@dataclass(frozen=True)
class Measured:
    """One call.

    Attributes:
        about: TTS and ASR, as they describe themselves.
        replies: its turns.
        passed_over: turns that were not answered once, after their end.
        told: the emulator's own measures, milliseconds, as get-call has them.
    """

    about: tuple[str, ...]
    replies: list[Reply]
    passed_over: int
    told: Mapping[Latency, Sequence[float]]


async def measure(
    tts: str,
    asr: str,
    turns: Sequence[Samples],
    tell: Callable[[str], None] = print,
    *,
    detector: DetectorKind = "auto",
) -> Measured:
    """Hold one call in real time, some six seconds a turn.

    Args:
        tts, asr: of the agent, see ``engines``.
        turns: what the caller says, shape (n,) each, at ``RATE``.
        tell: takes a line about each turn.
        detector: finds its ends.

    Raises:
        BenchError: the caller or the LLM server ended, or nothing was answered.
        ConfigError: an engine is not installed.
    """
    replies: list[Reply] = []
    example = str(REPO / "examples" / "llm_server_streaming.py")
    with tempfile.TemporaryDirectory() as folder, stamped() as stamps:
        said = Path(folder) / "turns.npz"
        np.savez(said, *turns)
        async with open_engines(tts, asr) as engines, child(example, "--port=0") as server:
            url = (await next_line(server, "the LLM server")).split()[-1]
            async with Emulator(agent=llm_agent(url, engines, detector=detector)) as emulator:
                call = emulator.register(AudioFormat(rate=RATE))
                joined = f"{emulator.url}/{call.call_id}"
                async with child("-m", questioner.__name__, joined, str(RATE), str(said)) as caller:
                    for number in range(len(turns)):
                        saw = json.loads(await next_line(caller, "the caller"))
                        times = stamps.between(saw["spoken"], saw["arrived"])
                        if saw.pop("early") or times is None:
                            tell(f"turn {number + 1}: passed over")
                            continue
                        replies.append(Reply(**saw, **times))
                        tell(f"turn {number + 1}: {describe(replies[-1])}")
    if not replies:
        raise BenchError("no turn was answered")
    about = engines.describe()
    return Measured(about, replies, len(turns) - len(replies), call.latencies)


def describe(reply: Reply) -> str:
    """Return the figures of one turn as a line."""
    parts = " + ".join(f"{seconds * 1e3:.0f}" for seconds in reply.parts.values())
    return f"{reply.spoken - reply.began:.1f} s of speech, {parts} = {reply.whole * 1e3:.0f} ms"


def rows(measured: Measured) -> list[Row]:
    """Return the lines of the table."""
    replies = measured.replies
    whole = [reply.whole for reply in replies]
    lengths = [reply.spoken - reply.began for reply in replies]
    names = ", ".join(line.partition(", loaded")[0] for line in measured.about)
    told = [each / 1e3 for each in measured.told.get("e2e", ())]
    passed = f", {measured.passed_over} passed over" if measured.passed_over else ""
    counted = f"{len(replies)} turns of {min(lengths):.1f} to {max(lengths):.1f} s{passed}"
    return [
        Row(names, counted),
        latency("last sound of the user → first of the agent", whole),
        *(
            Row(f"  {name}", spread([reply.parts[name] for reply in replies]))
            for name in replies[0].parts
        ),
        Row("that sound begins with silence", spread([reply.silence for reply in replies])),
        latency("the same by get-call: e2e", told),
        Row("  the client waited longer by (median)", f"{_less(whole, told) * 1e3:.1f} ms"),
    ]


def _less(many: Sequence[float], others: Sequence[float]) -> float:
    return percentile(many, 50) - percentile(others, 50)


def run(
    *,
    turns: int = len(TURNS),
    engines: Sequence[tuple[str, str]] = ENGINES,
    tell: Callable[[str], None],
) -> list[Row]:
    """Measure with each pair of TTS and ASR that is installed."""
    said = asyncio.run(voiced(TURNS[:turns]))
    found: list[Row] = []
    for tts, asr in engines:
        tell(f"{tts} and {asr} …")
        try:
            found += rows(asyncio.run(measure(tts, asr, said, tell)))
        except ConfigError as error:
            found.append(Row(f"{tts} and {asr}", f"not measured: {error}"))
    return found
