"""Eight utterances, each of which stalls once: what is heard of that."""

from __future__ import annotations

import random
import tempfile
import time
from dataclasses import dataclass
from typing import Any

from support.card import VirtualCard
from support.recorder import RATE as CARD_RATE

from bench_parts.figures import Row, limited, median
from bench_parts.latency import chunks, tone
from bench_parts.listen import gaps, sounds
from bench_parts.server import Caller, MeasuringServer, last_statistics, real_program

FRAME = 0.02
_SECONDS = 2.0
_PAUSE = 1.0


@dataclass(frozen=True)
class Heard:
    """What came of the utterances; seconds."""

    gaps: int
    silence: float
    delays: list[float]
    """From the first byte of each utterance to its first sound."""
    statistics: dict[str, Any]


def schedule(
    utterances: int, stall: float, *, shift: bool = False, seed: int = 3
) -> list[tuple[float, int]]:
    """Return (time, number of the frame in its utterance) of every frame.

    Each utterance stalls once, for ``stall`` seconds, between its 30th and its 70th frame. What
    was held up then comes at once, as a network does it; with ``shift`` all that follows is
    later, as a sender does it that cannot keep up.
    """
    dice = random.Random(seed)
    frames = []
    begin = 0.0
    for _ in range(utterances):
        held = dice.randrange(30, 70)
        for number in range(round(_SECONDS / FRAME)):
            at = number * FRAME
            if number >= held:
                # The stall is added to the interval that is there anyhow.
                at = at + stall if shift else max(at, held * FRAME + stall)
            frames.append((begin + at, number))
        begin += _SECONDS + _PAUSE + stall
    return frames


def hear(card: VirtualCard, utterances: int, stall: float, *, shift: bool = False) -> Heard:
    """Let the real program play the utterances, and listen."""
    audio = [chunk.tobytes() for chunk in chunks(tone(_SECONDS), round(FRAME * 1000))]
    plan = schedule(utterances, stall, shift=shift)
    command = real_program("", "--json")
    command.remove("--plain")
    with MeasuringServer() as server, tempfile.TemporaryFile() as output:
        command[command.index("--url") + 1] = server.url
        with Caller(command, card.env, output) as caller:
            server.wait_for_frames(50)
            with card.record() as recorder:
                start = server.send_in_real_time([(at, audio[number]) for at, number in plan])
                time.sleep(1.0)
                samples = recorder.samples()
                firsts = [recorder.time_of(at) for at, _ in sounds(samples, round(0.6 * CARD_RATE))]
            server.hang_up()
            caller.process.wait(10.0)
        output.seek(0)
        statistics = last_statistics(output.read().decode())
    begun = [start + at for at, number in plan if number == 0]
    found = gaps(samples, CARD_RATE, most=0.6)
    return Heard(
        gaps=len(found),
        silence=sum(gap.length for gap in found) / CARD_RATE,
        delays=[heard - begin for begin, heard in zip(begun, firsts, strict=False)],
        statistics=statistics,
    )


def run(card: VirtualCard, *, utterances: int = 8, stall: float = 0.18) -> list[Row]:
    """Measure with stalls of both kinds, and without."""
    calm = hear(card, utterances, 0.0)
    floor = median(calm.delays)
    rows = []
    for name, shift in [("held up, then at once", False), ("held up, and all after it", True)]:
        heard = hear(card, utterances, stall, shift=shift)
        added = max((delay - floor for delay in heard.delays), default=float("nan"))
        what = f"stalls of {stall * 1e3:.0f} ms, {name}"
        rows += [
            limited(f"{what}: gaps in {utterances} utterances", heard.gaps, 2),
            Row("  silence heard", f"{heard.silence * 1e3:.0f} ms"),
            limited("  delay added to an utterance, most", added * 1e3, 200, "{:.0f} ms"),
            Row("  target, underruns, concealed", _learnt(heard.statistics)),
        ]
    return [
        *rows,
        limited("no stalls: gaps", calm.gaps, 0, target="0"),
        Row("  first byte → first sound, 20 ms frames", f"{floor * 1e3:.0f} ms"),
        Row("  target, underruns, concealed", _learnt(calm.statistics), "at its floor"),
    ]


def _learnt(statistics: dict[str, Any]) -> str:
    target = statistics.get("playout_target")
    concealed = statistics.get("concealed")
    return ", ".join(
        [
            "?" if target is None else f"{target * 1e3:.0f} ms",
            str(statistics.get("underruns", "?")),
            "–" if concealed is None else f"{concealed * 1e3:.0f} ms",
        ]
    )
