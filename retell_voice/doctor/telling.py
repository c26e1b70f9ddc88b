"""How findings are told: a line each and what comes of them, or JSON."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable

from retell_voice.doctor.findings import Finding, Verdict, exit_code, report

_COLOURS = {Verdict.PASS: "32", Verdict.WARN: "33", Verdict.FAIL: "1;31"}


def tell(found: Iterable[Finding], *, as_json: bool) -> int:
    """Print findings as they come, and return the exit code.

    Args:
        found: them.
        as_json: print one object at the end instead of lines.
    """
    findings = []
    colours = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    for finding in found:
        findings.append(finding)
        if not as_json:
            print_line(line(finding, colours=colours))
    if as_json:
        print(json.dumps(report(findings), indent=2))
    else:
        print_line(summary(findings))
    return exit_code(findings)


def line(finding: Finding, *, colours: bool = False) -> str:
    """Return a finding as a line, and a second one with what to do."""
    verdict = f"{finding.verdict:4}"
    if colours:
        verdict = f"\x1b[{_COLOURS[finding.verdict]}m{verdict}\x1b[0m"
    text = f"{verdict}  {finding.check}: {finding.says}"
    return f"{text}\n      → {finding.hint}" if finding.hint else text


def summary(findings: list[Finding]) -> str:
    """Return the last line."""
    counts = {each: sum(f.verdict is each for f in findings) for each in Verdict}
    if counts[Verdict.FAIL]:
        return f"{counts[Verdict.FAIL]} failed, {counts[Verdict.WARN]} to look at"
    if counts[Verdict.WARN]:
        return f"nothing failed, {counts[Verdict.WARN]} to look at"
    return "all is well"


def print_line(text: str) -> None:
    """Print a line; what the terminal has no sign for becomes a question mark."""
    encoding = sys.stdout.encoding or "ascii"
    print(text.encode(encoding, "replace").decode(encoding), flush=True)
