"""What a swarm found out, in words and as a page."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from http import HTTPStatus
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from retell_voice import private
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.report.figure import svg
from retell_voice.report.page import STYLE, table
from retell_voice.shown import clean
from retell_voice.swarm.figures import PERCENTILES, Figures, Times
from retell_voice.swarm.pace import LATE
from retell_voice.swarm.swarm import Moment

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_NAMES = {
    "register": "registered after",
    "connect": "connected after",
    "answer": "answered after",
    "gap": "gaps in the agent's voice",
    "late": "frames sent late by",
}
_TOLD = 10
"""Different failures that are told."""


def rows(figures: Figures) -> list[tuple[str, str]]:
    """Return name and value of each figure."""
    found = [
        (
            "calls",
            f"{figures.calls} dialled, {figures.held} held to the end, {figures.most} at once",
        )
    ]
    if figures.left_out:
        found.append(("not dialled", f"{figures.left_out}: this machine was late"))
    found.append(
        ("utterances", f"{figures.asked} by callers, {figures.unanswered} without an answer")
    )
    found += [
        (_NAMES[name], _spread(times))
        for name, times in figures.times.items()
        if times.count or name != "register"  # not all calls are registered
    ]
    found.append(("clears", str(figures.cut)))
    found += [
        ("failed", f"{count} × {clean(why)}") for why, count in figures.failures.most_common(_TOLD)
    ]
    found += [
        ("complaint", f"{count} × {clean(why)}")
        for why, count in figures.complaints.most_common(_TOLD)
    ]
    return found


def verdict(figures: Figures) -> str:
    """Return what keeps the figures from being the server's; empty: nothing."""
    late = figures.times["late"]
    if figures.left_out:
        return (
            f"this machine is the bottleneck: it carries about {figures.most} of these calls on "
            f"time, and {figures.left_out} were not dialled"
        )
    if late.count and late.percentile(95) > LATE:
        return (
            "this machine is the bottleneck: more than a twentieth of all frames were sent more "
            f"than {LATE * 1000:.0f} ms late, and answers seem slower by that"
        )
    return ""


def are_unknown(figures: Figures) -> bool:
    """Tell whether the server knew none of the calls."""
    unknown = [f" answered HTTP {HTTPStatus.NOT_FOUND.value} " in why for why in figures.failures]
    return bool(unknown) and all(unknown) and not figures.held


def progress(moment: Moment, figures: Figures) -> str:
    """Return how it goes, one line."""
    answer = figures.times["answer"]
    median = f", answers {_ms(answer.percentile(50))} (median)" if answer.count else ""
    failed = sum(figures.failures.values())
    return (
        f"{moment.at:5.0f} s  {moment.going} going on, {figures.held} over, {failed} failed{median}"
    )


def page(figures: Figures, moments: Sequence[Moment], title: str) -> str:
    """Return a page that needs nothing else.

    Args:
        figures: what was found out.
        moments: how it went; empty where that is not known.
        title: in a few words.
    """
    parts = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>\n{STYLE}</style></head><body>",
        f"<h1>{escape(title)}</h1>",
    ]
    if why := verdict(figures):
        parts.append(f'<p class="warn">{escape(why)}</p>')
    parts += [svg(_draw(figures, moments)), "<h2>Figures</h2>", table(rows(figures))]
    return "\n".join([*parts, "</body></html>", ""])


def check_page(path: Path) -> None:
    """See that there can be a page, before anybody is called for it.

    Raises:
        ConfigError: matplotlib is not installed, or the file cannot be written.
    """
    if find_spec("matplotlib") is None:
        raise ConfigError(
            "a page is drawn with matplotlib, which is not installed", how_to_install("report")
        )
    if not path.parent.is_dir():
        raise ConfigError(f"{path}: no such directory: {path.parent}")
    private.check(path)


def _draw(figures: Figures, moments: Sequence[Moment]) -> Figure:
    from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import

    figure = Figure(figsize=(11.0, 7.0), layout="constrained")
    above, below = figure.subplots(2, 1)
    percents = [*range(100), 99.5, 99.9, 100.0]
    for name in ("answer", "connect", "register", "late"):
        times = figures.times[name]
        if times.count:
            values = [1000 * times.percentile(percent) for percent in percents]
            above.plot(percents, values, label=f"{_NAMES[name]} ({times.count})")
    above.set(xlabel="percentile", ylabel="ms", yscale="log", xlim=(0, 100))
    above.grid(alpha=0.25)
    if above.lines:
        above.legend()
    at = [each.at for each in moments]
    below.step(at, [each.going for each in moments], where="post")
    below.set(xlabel="seconds", ylabel="calls going on", ylim=(0, None))
    share = below.twinx()
    share.plot(at, [100 * each.late for each in moments], color="#d62728", alpha=0.6)
    share.set(ylabel="frames sent late, %", ylim=(0, 100))
    return figure


def _spread(times: Times) -> str:
    if not times.count:
        return "none"
    named = ", ".join(f"{_ms(times.percentile(p))} ({p:g} %)" for p in PERCENTILES)
    return f"{named}, {_ms(times.highest)} at most; measured {times.count} times"


def _ms(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"
