"""What an examination finds, and the exit code that comes of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any, Literal

Part = Literal["system", "config", "sound", "network", "account", "call"]

PARTS: dict[Part, str] = {
    "system": "Python, packages, timers, the clock",
    "config": "the config file and who may read it",
    "sound": "PortAudio, devices, microphone, speaker, the way through the air",
    "network": "the server: name, TCP, TLS, WebSocket",
    "account": "the REST API, the API key, the agents",
    "call": "a web call: token, relays, gateway, UDP, audio",
}
"""What is examined, in this order."""

ON_REQUEST: tuple[Part, ...] = ("call",)
"""What is examined only when it is asked for: it costs something."""

_EXIT_CODES: dict[Part, int] = {
    "system": 2,
    "config": 2,
    "sound": 3,
    "network": 4,
    "account": 7,
    "call": 6,
}


class Verdict(StrEnum):
    """How a check went."""

    PASS = "pass"  # noqa: S105 - no password
    WARN = "warn"
    FAIL = "fail"


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found.

    Attributes:
        part: what it belongs to.
        check: what was looked at, a word or two.
        verdict: how it went.
        says: what was found, one line.
        hint: what to do; empty when there is nothing to do.
        figures: what was measured, by name; the unit is in the name.
        code: exit code if it failed; None for that of its part.
    """

    part: Part
    check: str
    verdict: Verdict
    says: str
    hint: str = ""
    figures: Mapping[str, Any] = field(default_factory=dict)
    code: int | None = None

    @property
    def exit_code(self) -> int:
        """0 unless it failed; see ``retell_voice.errors``."""
        if self.verdict is not Verdict.FAIL:
            return 0
        return _EXIT_CODES[self.part] if self.code is None else self.code


def exit_code(findings: Iterable[Finding]) -> int:
    """Return the exit code of the first that failed, 0 when none did."""
    return next((code for each in findings if (code := each.exit_code)), 0)


def report(findings: Iterable[Finding]) -> dict[str, Any]:
    """Return all of them as an object for JSON."""
    findings = list(findings)
    listed = []
    for each in findings:
        shown = asdict(each)
        del shown["code"]
        listed.append(shown)
    code = exit_code(findings)
    return {"ok": code == 0, "exit_code": code, "findings": listed}
