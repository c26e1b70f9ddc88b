"""Plots a call over time as an image, with matplotlib (the extra ``report``)."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.report.account import Account, Series
from retell_voice.shown import clock

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_YOU, _AGENT, _CLEAR, _BAD, _GREY = "#1a7f37", "#0a7490", "#c62828", "#a04b00", "#59636e"
"""As on the page."""
_FLOOR = -60.0
_WIDTH = 11.0
_HEIGHTS = (2.0, 0.9, 1.6, 1.6)


def draw(account: Account) -> Figure:
    """Return the figure: levels, turns, jitter buffer and latencies above each other.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure  # noqa: PLC0415 - an extra, and slow to import
        from matplotlib.ticker import FuncFormatter  # noqa: PLC0415 - as above
    except ImportError:
        raise ConfigError(
            "an image needs matplotlib, which is not installed",
            how_to_install("report"),
        ) from None
    figure = Figure(figsize=(_WIDTH, sum(_HEIGHTS) + 1.5), layout="constrained")
    rows: list[Any] = list(
        figure.subplots(4, 1, sharex=True, gridspec_kw={"height_ratios": _HEIGHTS})
    )
    _levels(rows[0], account)
    _turns(rows[1], account)
    _jitter(rows[2], account)
    _latencies(rows[3], account)
    for row in rows:
        for at in account.clears:
            row.axvline(at, color=_CLEAR, linewidth=0.8, alpha=0.6)
        row.grid(axis="x", alpha=0.25)
        row.spines[["top", "right"]].set_visible(False)
    rows[-1].set_xlim(0, max(account.end, 1.0))
    rows[-1].xaxis.set_major_formatter(FuncFormatter(lambda at, _: clock(max(at, 0))))
    rows[-1].set_xlabel("time in the call (red lines: the agent was interrupted)")
    return figure


def svg(figure: Figure) -> str:
    """Return a figure as an ``<svg>`` element; the same figure gives the same text."""
    import matplotlib as mpl  # noqa: PLC0415 - as above

    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "retell-voice"}):
        figure.savefig(out, format="svg", metadata={"Date": None})
    text = out.getvalue()
    return text[text.index("<svg") :]


def _levels(row: Axes, account: Account) -> None:
    for series, sign, colour, word in (
        (account.near, 1, _YOU, "you"),
        (account.far, -1, _AGENT, "agent"),
    ):
        times = [at for at, _ in series]
        # Both grow away from the middle: you upwards, the agent downwards.
        heights = [sign * max(0.0, level - _FLOOR) for _, level in series]
        row.fill_between(times, heights, color=colour, linewidth=0, label=word)
    ticks = range(-60, 61, 20)
    row.set_yticks(list(ticks), [f"{abs(each) + _FLOOR:.0f}" for each in ticks])
    row.set_ylim(-60, 60)
    row.set_ylabel("level, dBFS")
    if account.near:
        _legend(row)
    else:
        _nothing(row, "no levels were recorded")


def _turns(row: Axes, account: Account) -> None:
    for place, colour, spoken in ((1, _YOU, account.you), (0, _AGENT, account.agent)):
        bars = [(begin, end - begin) for begin, end in spoken]
        row.broken_barh(bars, (place - 0.35, 0.7), facecolors=colour)
    for at, delay in account.responses:
        row.plot([at - delay, at], [0.5, 0.5], color=_GREY, linewidth=1.0, marker="|")
        row.text(at - delay / 2, 0.55, f"{delay:.1f}", color=_GREY, fontsize="x-small", ha="center")
    row.set_yticks([0, 1], ["agent", "you"])
    row.set_ylim(-0.6, 1.6)
    for at, _ in account.losses:
        row.plot([at], [1.5], marker="v", color=_BAD, clip_on=False)


def _jitter(row: Axes, account: Account) -> None:
    row.step(*_ms(account.target), where="post", color=_GREY, label="target")
    row.plot(*_ms(account.depth), color=_AGENT, marker=".", label="queued")
    if account.underruns:
        zeros = [0.0] * len(account.underruns)
        row.plot(account.underruns, zeros, "x", color=_BAD, label="ran dry", clip_on=False)
    # The agent's sentences are seconds long, the target tens of milliseconds.
    row.set_yscale("symlog", linthresh=200)
    row.yaxis.set_major_formatter("{x:g}")
    row.set_ylim(bottom=0)
    row.set_ylabel("jitter buffer, ms")
    if account.depth:
        _legend(row)
    else:
        _nothing(row, "no statistics were recorded")


def _latencies(row: Axes, account: Account) -> None:
    row.plot(*_ms(account.round_trip), color=_YOU, marker=".", label="heartbeat round trip")
    row.plot(*_ms(account.silence), color=_CLEAR, marker=".", label="clear → silence, median")
    row.set_ylim(bottom=0)
    row.set_ylabel("latency, ms")
    if account.round_trip or account.silence:
        _legend(row)
    else:
        _nothing(row, "the call was too short for latencies")


def _legend(row: Axes) -> None:
    """Put the legend above the row, where it hides nothing."""
    row.legend(
        loc="lower right",
        bbox_to_anchor=(1, 1),
        borderaxespad=0,
        ncols=3,
        fontsize="small",
        frameon=False,
    )


def _ms(series: Series) -> tuple[list[float], list[float]]:
    return [at for at, _ in series], [value * 1000 for _, value in series]


def _nothing(row: Axes, why: str) -> None:
    row.text(0.5, 0.5, why, transform=row.transAxes, ha="center", va="center", color=_GREY)
