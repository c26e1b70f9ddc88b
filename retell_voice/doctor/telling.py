"""How findings are told: a line each, and what comes of them."""

from __future__ import annotations

from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.shown import clean

_COLOURS = {Verdict.PASS: "32", Verdict.WARN: "33", Verdict.FAIL: "1;31"}


def line(finding: Finding, *, colours: bool = False) -> str:
    """Return a finding as a line, and a second one with what to do."""
    verdict = f"{finding.verdict:4}"
    if colours:
        verdict = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m"
    text = f"{verdict}  {clean(finding.check)}: {clean(finding.says)}"
    return f"{text}\n      → {clean(finding.hint)}" if finding.hint else text


def summary(findings: list[Finding]) -> str:
    """Return the last line."""
    counts = {each: sum(f.verdict is each for f in findings) for each in Verdict}
    if counts[Verdict.FAIL]:
        return f"{counts[Verdict.FAIL]} failed, {counts[Verdict.WARN]} to look at"
    if counts[Verdict.WARN]:
        return f"nothing failed, {counts[Verdict.WARN]} to look at"
    return "all is well"
