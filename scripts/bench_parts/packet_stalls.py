"""How soon the packet playout gives the delay of a stall back, with no clock but the pull."""

from __future__ import annotations

from support.packet_stalls import JITTERS, SOUNDS, moments, time_back

from bench_parts.figures import Row, percentile

_MOMENTS = 20
_MOST = 3.0


def run() -> list[Row]:
    """Stall calls at many moments of each kind of sound, with little and with much jitter."""
    rows = []
    for name in SOUNDS:
        back = [time_back(name, each, jitter) for each in moments(_MOMENTS) for jitter in JITTERS]
        high = percentile(back, 95)
        rows.append(
            Row(
                f"{name}: delay back to within 20 ms after a stall of 200 ms",
                f"{percentile(back, 50):.2f} / {high:.2f} / {max(back):.2f} s",
                f"95 % ≤ {_MOST:g} s",
                missed=not high <= _MOST,
            )
        )
    return rows
