"""The table of a measured web call. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from bench_parts.figures import Row, median, percentile, spread
from bench_parts.packet_heard import Delays, delays, distance, time_to_come_back
from bench_parts.packet_programs import Figures
from bench_parts.packet_weather import Placed
from retell_voice.audio.format import Samples

_RATE = 48000
_FLOOR = 1.5
"""How much slower than the floor we may be."""
_BACK, _NEAR = 3.0, 0.02
"""Seconds within which the depth must be near the calm one, and how near."""
_START = 1.2
_SAME = 1.05
"""Ratio up to which two figures are the same: the phase of a block is chance."""
_AFTER = (0.1, 0.25, 0.5, 1.0, 2.0, 4.0)
_NAMES = {"ours": "", "chromium": "  Chromium", "bare": "  bare aiortc and PortAudio"}


@dataclass(frozen=True)
class Heard:
    """What one program came to.

    Attributes:
        samples: what its speaker played, from the moment the first packet was sent, 48 kHz.
        uplink: from each click at the microphone to its packet, seconds.
        marks: what it said of itself at the start and at the end of each phase.
        cpu, memory: percent of a core, MB.
    """

    samples: Samples
    uplink: list[float]
    marks: list[Figures]
    cpu: float
    memory: float


@dataclass(frozen=True)
class Result:
    """All that was measured.

    Attributes:
        starts: from the command to the first packet, seconds.
        depths: of our jitter buffer, each second: when, from the start of the speech, and depth.
    """

    phases: list[Placed]
    heard: dict[str, Heard]
    starts: list[float]
    depths: list[tuple[float, float]]


def rows(result: Result, said: Samples) -> list[Row]:
    """Return the table; ``said`` is what is heard of the speech where nothing is lost."""
    found = {name: delays(said, each.samples, _RATE) for name, each in result.heard.items()}
    calm, *others = result.phases
    downlink = {
        name: list(each.between(calm.begin + 1.0, calm.end).delays) for name, each in found.items()
    }
    uplink = {name: each.uplink for name, each in result.heard.items()}
    stalls = [each for each in others if each.phase.stalled is not None]
    return [
        *_latency("packet of the gateway → heard at the card", downlink),
        *_latency("spoken at the card → its packet at the gateway", uplink),
        _depth(result.depths, stalls),
        *_stalls(found, stalls),
        *_quality(result, said, found),
        _speaker(result.heard["ours"].marks),
        *_cost(result),
        Row(
            "talk --agent: command → first packet",
            spread(result.starts),
            f"≤ {_START * 1e3:.0f} ms",
            missed=not median(result.starts) <= _START,
        ),
    ]


def _each(
    what: str, show: Callable[[str], str], target: str, ratio: str, missed: bool
) -> list[Row]:
    first, *more = _NAMES
    return [
        Row(what, show(first), target, ratio, missed),
        *(Row(_NAMES[name], show(name)) for name in more),
    ]


def _latency(what: str, seconds: dict[str, list[float]]) -> list[Row]:
    middle = {name: median(values) for name, values in seconds.items()}
    high = {name: percentile(values, 95) for name, values in seconds.items()}
    most = min(_FLOOR * middle["bare"], _SAME * middle["chromium"])
    return _each(
        what,
        lambda name: spread(seconds[name]),
        f"≤ {_FLOOR} × bare, ≤ Chromium",
        f"{middle['ours'] / middle['bare']:.2f}",
        not (middle["ours"] <= most and high["ours"] <= _SAME * high["chromium"]),
    )


def _depth(depths: Sequence[tuple[float, float]], stalls: Sequence[Placed]) -> Row:
    """The jitter buffer alone, to a second: where the speaker had gaps, its latency rises, too."""
    back = []
    for place in stalls:
        assert place.phase.stalled is not None
        begin, end = (place.begin + each for each in place.phase.stalled)
        calm = median([depth for at, depth in depths if place.begin - 1 <= at < begin])
        after = [(at, depth) for at, depth in depths if end <= at < place.end]
        late = [number for number, (_, depth) in enumerate(after) if depth > calm + _NEAR]
        first = late[-1] + 1 if late else 0
        back.append(after[first][0] - end if first < len(after) else math.inf)
    return Row(
        "depth of our jitter buffer back within 20 ms after a stall of 200 ms, at most",
        ", ".join(f"{seconds:.1f}" for seconds in back) + " s",
        f"≤ {_BACK:g} s",
        missed=not max(back, default=math.inf) <= _BACK,
    )


def _stalls(found: dict[str, Delays], stalls: Sequence[Placed]) -> list[Row]:
    back: dict[str, list[float]] = {name: [] for name in found}
    over: dict[str, list[list[float]]] = {name: [[] for _ in _AFTER] for name in found}
    for place in stalls:
        assert place.phase.stalled is not None
        begin, end = (place.begin + each for each in place.phase.stalled)
        for name, each in found.items():
            calm = each.between(place.begin + 0.5, begin - 0.2).median
            after = each.between(begin, place.end)
            back[name].append(time_to_come_back(after, end, calm))
            for late, values in zip(_AFTER, over[name], strict=True):
                values.append(each.between(end + late - 0.1, end + late + 0.1).median - calm)
    times = ", ".join(f"{late:g}" for late in _AFTER)
    return [
        *_each(
            "delay back to within 20 ms after it, for good",
            lambda name: ", ".join(f"{seconds:.2f}" for seconds in back[name]) + " s",
            "",
            "",
            False,
        ),
        *_each(
            f"delay above the calm one, {times} s after it",
            lambda name: ", ".join(_ms(values) for values in over[name]) + " ms",
            "",
            "",
            False,
        ),
    ]


def _ms(values: Sequence[float]) -> str:
    known = [value for value in values if not math.isnan(value)]
    return f"{median(known) * 1e3:.0f}" if known else "?"


def _quality(result: Result, said: Samples, found: dict[str, Delays]) -> list[Row]:
    table = []
    for index, place in enumerate(result.phases):
        if place.phase.stalled is not None:
            continue
        parts = {name: each.between(place.begin + 0.5, place.end) for name, each in found.items()}
        far = {
            name: distance(said, result.heard[name].samples, _RATE, each)
            for name, each in parts.items()
        }
        shown = {
            name: f"{far[name]:.2f} dB, {parts[name].median * 1e3:.0f} ms"
            + _made_up(*result.heard[name].marks[index : index + 2])
            for name in parts
        }
        what = "0% loss" if index == 0 else place.phase.name
        is_loss = index == 0 or place.phase.loss is not None
        table += _each(
            f"{what}: spectral distance, delay, concealed",
            shown.__getitem__,
            "≤ Chromium's dB" if is_loss else "",
            "",
            is_loss and not far["ours"] <= _SAME * far["chromium"],
        )
    return table


def _made_up(before: Figures, after: Figures) -> str:
    played = after.played - before.played
    return f", {(after.concealed - before.concealed) / played:.1%}" if played else ""


def _speaker(marks: Sequence[Figures]) -> Row:
    """What is no fault of the jitter buffer: each gap of the speaker may raise its latency."""
    gaps = ", ".join(str(after.gaps - before.gaps) for before, after in pairwise(marks))
    depths = ", ".join(f"{each.depth * 1e3:.0f}" for each in marks[1:])
    latencies = ", ".join(f"{each.latency * 1e3:.0f}" for each in marks[1:])
    return Row(
        "each phase at its end: depth of our jitter buffer; latency of our speaker, new gaps",
        f"{depths}; {latencies} ms; {gaps}",
    )


def _cost(result: Result) -> list[Row]:
    heard = result.heard
    return [
        *_each(
            "CPU of the call, all processes",
            lambda name: f"{heard[name].cpu:.1f} % of a core",
            "≤ ½ of Chromium's",
            f"{heard['ours'].cpu / heard['bare'].cpu:.2f}",
            not heard["ours"].cpu <= heard["chromium"].cpu / 2,
        ),
        *_each(
            "memory of the call, proportional",
            lambda name: f"{heard[name].memory:.0f} MB",
            "",
            f"{heard['ours'].memory / heard['bare'].memory:.2f}",
            False,
        ),
    ]
