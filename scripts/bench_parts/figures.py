"""Percentiles, and the table that a run prints."""

from __future__ import annotations

import math
import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

REPO = Path(__file__).absolute().parent.parent.parent
PATHS = f"{REPO}{os.pathsep}{REPO / 'scripts'}"
"""PYTHONPATH of the programs that are measured, and of those beside them."""


def percentile(values: Sequence[float], percent: float) -> float:
    """Return a percentile, interpolated between neighbours; NaN of nothing."""
    if not values:
        return math.nan
    ordered = sorted(values)
    place = (len(ordered) - 1) * percent / 100
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (place - below)


def median(values: Sequence[float]) -> float:
    """Return the median; NaN of nothing."""
    return percentile(values, 50)


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes:
        what: what was measured.
        figures: as text, for example ``24.1 / 30.2 / 31.0 ms``.
        target: what it should be, empty if nothing is asked of it.
        ratio: to the bare loop, empty where that says nothing.
        missed: whether the target was missed.
    """

    what: str
    figures: str
    target: str = ""
    ratio: str = ""
    missed: bool = False


def spread(seconds: Sequence[float]) -> str:
    """Return median, 95th percentile and maximum, in ms."""
    if not seconds:
        return "nothing measured"
    values = (percentile(seconds, percent) * 1e3 for percent in (50, 95, 100))
    return " / ".join(f"{value:.1f}" for value in values) + " ms"


def latency(
    what: str,
    seconds: Sequence[float],
    most: float | None = None,
    bare: Sequence[float] | None = None,
) -> Row:
    """Return the row of a latency: ``most`` is what its median may be, all in seconds."""
    middle = median(seconds)
    return Row(
        what,
        spread(seconds),
        "" if most is None else f"≤ {most * 1e3:.0f} ms",
        "" if not bare or not seconds else f"{middle / median(bare):.2f}",
        most is not None and not middle <= most,
    )


def limited(what: str, value: float, most: float, form: str = "{:g}", target: str = "") -> Row:
    """Return the row of a value that may be ``most``."""
    asked = target or "≤ " + form.format(most)
    return Row(what, form.format(value), asked, missed=not value <= most)


_HEAD = Row("what", "measured", "target", "× bare loop")


def table(rows: Sequence[Row], *, markdown: bool = False) -> str:
    """Return the rows as a table, for a terminal or in Markdown, without empty columns."""
    cells = [
        (row.what, row.figures, row.target + (" MISSED" if row.missed else ""), row.ratio)
        for row in [_HEAD, *rows]
    ]
    columns = [column for column in zip(*cells, strict=True) if any(column[1:])]
    cells = list(zip(*columns, strict=True))
    if markdown:
        lines = ["| " + " | ".join(cell.strip() for cell in row) + " |" for row in cells]
        return "\n".join([lines[0], "|" + "---|" * len(columns), *lines[1:]])
    widths = [max(map(len, column)) for column in columns]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in cells
    ]
    return "\n".join([lines[0], "  ".join("-" * width for width in widths), *lines[1:]])


def circumstances() -> str:
    """Return in a line what a run was measured on."""
    commit = subprocess.run(
        ["git", "-C", str(REPO), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    words = [
        f"{datetime.now(UTC):%Y-%m-%d}",
        f"{os.cpu_count()} cores",
        f"{platform.system()} {platform.machine()}",
        f"Python {platform.python_version()}",
        f"load before {os.getloadavg()[0]:.1f}",
    ]
    return ", ".join([*words, *([f"commit {commit}"] if commit else [])])
