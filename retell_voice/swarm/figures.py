"""What a swarm found out, in a form that can be added up: on one machine, or from several.

Times are kept as HdrHistograms: three digits, whatever their number, and percentiles of the sum are
those of all calls, which an average of percentiles is not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from retell_voice.errors import CallFailed, ConfigError
from retell_voice.extras import how_to_install

if TYPE_CHECKING:
    from hdrh.histogram import HdrHistogram

_HIGHEST = 600_000_000  # microseconds
_DIGITS = 3
SOME_FAILED = CallFailed.exit_code
PERCENTILES = (50.0, 90.0, 95.0, 99.0)
TIMES = ("register", "connect", "answer", "gap", "late")
"""Seconds to register a call, waits for a server that has too many included; from dialling to an
open connection; from the end of the caller's speech to the agent's first sound; without sound
within the agent's speech; that a frame was sent after its time."""


class Times:
    """Durations, as a histogram."""

    def __init__(self, encoded: str = "") -> None:
        self._histogram = _histogram()
        if encoded:
            self._histogram.decode_and_add(encoded.encode())

    def add(self, seconds: float) -> None:
        """Add one."""
        self._histogram.record_value(min(max(1, round(seconds * 1e6)), _HIGHEST))

    def merge(self, other: Times) -> None:
        """Add all of another."""
        self._histogram.add(other._histogram)

    @property
    def count(self) -> int:
        """How many there are."""
        return int(self._histogram.get_total_count())

    @property
    def highest(self) -> float:
        """The longest, seconds; 0 where there are none."""
        return float(self._histogram.get_max_value()) / 1e6 if self.count else 0.0

    def percentile(self, percent: float) -> float:
        """Return the value that so many percent do not exceed, seconds; 0 where there are none."""
        value = self._histogram.get_value_at_percentile(percent) if self.count else 0
        return float(value) / 1e6

    def encoded(self) -> str:
        """Return it as text, in HdrHistogram's own format."""
        return str(self._histogram.encode().decode("ascii"))

    def shown(self) -> dict[str, Any]:
        """Return it for a reader of JSON: seconds, and the histogram itself."""
        named = {f"p{percent:g}": self.percentile(percent) for percent in PERCENTILES}
        return {"count": self.count, **named, "max": self.highest, "hdr": self.encoded()}


class Figures:
    """All that is counted.

    Attributes:
        times: by their names, see ``TIMES``.
        calls: calls that were dialled.
        held: calls that were held to their end without an error.
        asked, unanswered: utterances of callers, and those after which nothing was heard.
        cut: ``clear`` messages.
        failures: why calls failed, and how often.
        exit_codes: of these failures, and how often.
        complaints: what the provider that is played would have complained of, and how often.
        most: calls that went on at a time.
        left_out: calls that were not dialled because this machine was late.
    """

    _COUNTS = ("calls", "held", "asked", "unanswered", "cut", "most", "left_out")

    def __init__(self) -> None:
        self.times = {name: Times() for name in TIMES}
        self.calls = self.held = self.asked = self.unanswered = 0
        self.cut = self.most = self.left_out = 0
        self.failures: Counter[str] = Counter()
        self.exit_codes: Counter[int] = Counter()
        self.complaints: Counter[str] = Counter()

    def fail(self, why: str, exit_code: int) -> None:
        """Count a call that failed."""
        self.failures[why] += 1
        self.exit_codes[exit_code] += 1

    @property
    def exit_code(self) -> int:
        """What a program should exit with: 0 where all calls were held, or were going on well when
        they were stopped; where all failed alike, what a call alone would have; ``SOME_FAILED``
        where some failed, or some were not dialled."""
        if not self.failures:
            return SOME_FAILED if self.left_out else 0
        codes = list(self.exit_codes)
        return codes[0] if len(codes) == 1 and not self.held else SOME_FAILED

    def merge(self, other: Figures) -> None:
        """Add those of another swarm, which went on at the same time."""
        for name, times in self.times.items():
            times.merge(other.times[name])
        for name in self._COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.failures += other.failures
        self.exit_codes += other.exit_codes
        self.complaints += other.complaints

    def shown(self) -> dict[str, Any]:
        """Return them for a reader of JSON; ``read`` takes that again."""
        return {
            **{name: getattr(self, name) for name in self._COUNTS},
            "failures": dict(self.failures),
            "exit_codes": {str(code): count for code, count in self.exit_codes.items()},
            "complaints": dict(self.complaints),
            **{name: times.shown() for name, times in self.times.items()},
        }

    @classmethod
    def read(cls, shown: Mapping[str, Any]) -> Figures:
        """Return what ``shown`` told."""
        figures = cls()
        for name in cls._COUNTS:
            setattr(figures, name, int(shown[name]))
        figures.failures = Counter(shown["failures"])
        figures.exit_codes = Counter({int(each): n for each, n in shown["exit_codes"].items()})
        figures.complaints = Counter(shown["complaints"])
        figures.times = {name: Times(shown[name]["hdr"]) for name in TIMES}
        return figures


def _histogram() -> HdrHistogram:
    try:
        from hdrh.histogram import HdrHistogram  # noqa: PLC0415 - an extra
    except ImportError:
        raise ConfigError(
            "a swarm's times are kept in HdrHistograms, which are not installed",
            how_to_install("swarm"),
        ) from None
    return HdrHistogram(1, _HIGHEST, _DIGITS)
