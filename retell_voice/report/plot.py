"""Draws a call over time as SVG, for a page. Pure.

Nothing has a colour here but a class, which ``page.css`` colours, light or dark. What is stretched
with the page is in a picture of its own; words and marks stand at a percentage of the width, and
keep their size::

    <svg>  <rect x="12.5%" …>  <svg viewBox="0 0 10000 200" preserveAspectRatio="none"> <path>
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Iterable
from html import escape

from retell_voice.report.account import Account, Series, Spans
from retell_voice.report.sound import POINTS
from retell_voice.shown import clock

_WIDE, _HIGH = 10_000, 200
_QUIETEST = 0.03
"""Amplitude to which a silent recording is not magnified: −30 dBFS."""
_KNEE = 20.0
"""ms; the scale of the jitter buffer is linear below, logarithmic above."""
_EDGE = 4.0
"""Percent of the width within which words stand inside of the edge."""
_MS = (100, 1000, 10_000, 100_000)


def plots(account: Account, length: float) -> str:
    """Return all plots of a call as HTML, on a time axis of ``length`` seconds."""
    axis = _Axis(max(length, 1.0))
    loudest = max((level for _, level in (*account.near, *account.far)), default=-100.0)
    rows = [
        _caption("you", f'<span class="key you">you</span>{_peak(account.near)}'),
        _voice("you", account.near, account.you, loudest, axis),
        _between(account, axis),
        _voice("agent", account.far, account.agent, loudest, axis),
        _caption("agent", f'<span class="key agent">agent</span>{_peak(account.far)}'),
        '<svg class="axis" aria-hidden="true"></svg>',
        _caption(
            "",
            "jitter buffer, ms: "
            + _key("agent", "queued")
            + _key("target", "target")
            + _key("bad", "ran dry"),
        ),
        _jitter(account, axis),
        _caption(
            "", "latency, ms: " + _key("trip", "round trip") + _key("clear", "clear → silence")
        ),
        _latency(account, axis),
    ]
    return "\n".join(rows)


class _Axis:
    def __init__(self, length: float) -> None:
        self.length = length

    def share(self, at: float) -> float:
        """Return where a time stands, 0–1."""
        return min(max(at / self.length, 0.0), 1.0)

    def percent(self, at: float) -> str:
        return f"{100 * self.share(at):.3f}%"

    def x(self, at: float) -> str:
        return f"{_WIDE * self.share(at):.0f}"

    def apart(self, times: Iterable[float]) -> list[float]:
        """Return times without those that would be drawn over each other."""
        return sorted({round(self.share(at) * POINTS): at for at in times}.values())

    def thinned(self, series: Series) -> Series:
        """Return the highest value of each point that can be drawn."""
        if len(series) <= POINTS:
            return series
        highest: dict[int, tuple[float, float]] = {}
        for at, value in series:
            place = round(self.share(at) * POINTS)
            if place not in highest or value > highest[place][1]:
                highest[place] = (at, value)
        return [highest[place] for place in sorted(highest)]


def _caption(side: str, inside: str) -> str:
    return f'<p class="caption {side}">{inside}</p>'


def _key(name: str, text: str) -> str:
    return f'<span class="key {name}">{text}</span> '


def _peak(levels: Series) -> str:
    peak = max((level for _, level in levels), default=-100.0)
    return f" peak {peak:.0f} dBFS" if peak > -100 else ""


def _row(kind: str, label: str, *parts: str) -> str:
    return f'<svg class="{kind}" role="img" aria-label="{escape(label)}">{"".join(parts)}</svg>'


def _stretched(*paths: str) -> str:
    box = f'viewBox="0 0 {_WIDE} {_HIGH}" preserveAspectRatio="none"'
    return f"<svg {box}>{''.join(paths)}</svg>" if any(paths) else ""


def _text(kind: str, x: str, y: str, text: str) -> str:
    return f'<text class="{kind}" x="{x}" y="{y}">{escape(text)}</text>'


def _nothing(why: str) -> str:
    return _text("nothing", "50%", "50%", why)


def _voice(side: str, levels: Series, spoken: Spans, loudest: float, axis: _Axis) -> str:
    label = {"you": "your voice", "agent": "the agent's voice"}[side]
    drawn = axis.thinned(sorted(levels))
    if not drawn:
        return _row(f"voice {side}", label, _nothing("no levels were recorded"))
    scale = 0.96 * _HIGH / 2 / max(_amplitude(loudest), _QUIETEST)
    edge = [(axis.x(at), scale * _amplitude(level)) for at, level in drawn]
    above = "L".join(f"{x} {_HIGH / 2 - y:.0f}" for x, y in edge)
    below = "L".join(f"{x} {_HIGH / 2 + y:.0f}" for x, y in reversed(edge))
    wave = _stretched(f'<path d="M{above}L{below}Z"/>')
    return _row(f"voice {side}", label, *_bars(spoken, axis), wave, *_cuts((), axis))


def _amplitude(level: float) -> float:
    return 0.0 if level <= -100 else 10 ** (min(level, 0.0) / 20)


def _bars(spoken: Spans, axis: _Axis) -> list[str]:
    ends = dict(spoken)
    bars = []
    for begin in axis.apart(ends):
        width = 100 * (axis.share(ends[begin]) - axis.share(begin))
        if width >= 0:
            bars.append(
                f'<rect class="spoken" x="{axis.percent(begin)}" width="{width:.3f}%" '
                'y="0" height="100%"/>'
            )
    return bars


def _cuts(times: Iterable[float], axis: _Axis) -> list[str]:
    return [
        f'<line class="clear" x1="{x}" x2="{x}" y1="0" y2="100%"/>'
        for x in map(axis.percent, axis.apart(times))
    ]


def _between(account: Account, axis: _Axis) -> str:
    """Return what happens between the two: answers, interruptions, losses."""
    parts = _cuts(account.clears, axis)
    delays = dict(account.responses)
    for at in axis.apart(delays):
        begin, end = axis.percent(at - delays[at]), axis.percent(at)
        parts.append(f'<line class="answer" x1="{begin}" x2="{end}" y1="50%" y2="50%"/>')
        parts.append(_mark("answer", end, f"{delays[at]:.1f} s", f"answered at {clock(at)}", "28%"))
    silences = dict(account.barge_ins)
    for at in axis.apart(silences):
        text = f"✕ {silences[at]:.1f} s"
        parts.append(_mark("clear", axis.percent(at), text, f"interrupted at {clock(at)}", "78%"))
    for at in axis.apart(at for at, _ in account.losses):
        parts.append(_mark("bad", axis.percent(at), "▼", f"trouble at {clock(at)}", "78%"))
    return _row("between", "answers and interruptions", *parts)


def _mark(kind: str, x: str, text: str, what: str, y: str) -> str:
    title = f"<title>{escape(what)}</title>"
    place = float(x[:-1])
    edge = " first" if place < _EDGE else " last" if place > 100 - _EDGE else ""
    return f'<text class="mark {kind}{edge}" x="{x}" y="{y}">{title}{escape(text)}</text>'


def _jitter(account: Account, axis: _Axis) -> str:
    def height(seconds: float) -> float:
        return math.log1p(max(seconds, 0.0) * 1000 / _KNEE)

    depth, target = axis.thinned(account.depth), axis.thinned(account.target)
    if not depth:
        return _row("plot", "jitter buffer", _nothing("no statistics were recorded"))
    most = 1.1 * max(height(value) for _, value in (*depth, *target, (0.0, 0.1)))
    scale: Callable[[float], float] = lambda seconds: height(seconds) / most  # noqa: E731
    dry = [
        _mark("bad", axis.percent(at), "✕", f"ran dry at {clock(at)}", "94%")
        for at in axis.apart(account.underruns)
    ]
    grid = [ms for ms in _MS if height(ms / 1000) < most]
    return _row(
        "plot",
        "jitter buffer",
        *_grid(grid, scale),
        _stretched(
            _line("target", target, scale, axis, step=True), _line("agent", depth, scale, axis)
        ),
        *dry,
        *_cuts(account.clears, axis),
    )


def _latency(account: Account, axis: _Axis) -> str:
    trips, silences = axis.thinned(account.round_trip), axis.thinned(account.silence)
    if not (trips or silences):
        return _row("plot", "latency", _nothing("the call was too short for latencies"))
    top = max(0.02, 1.15 * max(value for _, value in (*trips, *silences)))
    nice = [base * 10**power for power in range(16) for base in (1, 2, 5)]
    step = nice[bisect_right(nice, top * 1000 / 2) - 1]
    return _row(
        "plot",
        "latency",
        *_grid([ms for ms in (step, 2 * step) if ms < top * 1000], lambda s: s / top),
        _stretched(
            _line("trip", trips, lambda s: s / top, axis),
            _line("clear", silences, lambda s: s / top, axis),
        ),
        *_cuts(account.clears, axis),
    )


def _line(
    kind: str, series: Series, scale: Callable[[float], float], axis: _Axis, *, step: bool = False
) -> str:
    if not series:
        return ""
    points = [(axis.x(at), f"{_y(scale(value)) * _HIGH:.1f}") for at, value in series]
    first, *more = points
    drawn = "".join(f"H{x}V{y}" if step else f"L{x} {y}" for x, y in more)
    return f'<path class="{kind}" d="M{first[0]} {first[1]}{drawn}"/>'


def _grid(values: Iterable[float], scale: Callable[[float], float]) -> list[str]:
    parts = []
    for ms in values:
        y = f"{100 * _y(scale(ms / 1000)):.1f}%"
        parts.append(f'<line class="grid" x1="0" x2="100%" y1="{y}" y2="{y}"/>')
        parts.append(_text("scale", "2", y, f"{ms:g}"))
    return parts


def _y(share: float) -> float:
    return 1 - min(max(share, 0.0), 1.0)
