"""What Retell has of a call once it is over, made up: recording, log, analysis. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

_ANALYSIS: Mapping[str, type | tuple[str, ...]] = {
    "call_summary": str,
    "call_successful": bool,
    "in_voicemail": bool,
    "user_sentiment": ("Negative", "Positive", "Neutral", "Unknown"),
    "custom_analysis_data": dict,
}
_KINDS = {str: "text", bool: "true or false", dict: "an object"}


@dataclass(frozen=True, slots=True, kw_only=True)
class AfterCall:
    """What every call has once it is over; None: it has not.

    Attributes:
        recording_url, public_log_url: as in get-call; nothing needs to be there.
        call_analysis: as in get-call, and then ``call_analyzed`` is sent.
    """

    recording_url: str | None = None
    public_log_url: str | None = None
    call_analysis: Mapping[str, Any] | None = None

    def __post_init__(self) -> None:
        if self.call_analysis is not None:
            check_analysis(self.call_analysis)

    def over(self, other: AfterCall) -> AfterCall:
        """Return this, with what it leaves out taken from another."""
        return replace(
            self,
            recording_url=self.recording_url or other.recording_url,
            public_log_url=self.public_log_url or other.public_log_url,
            call_analysis=self.call_analysis or other.call_analysis,
        )


NOTHING_MADE_UP = AfterCall()
"""Calls have none of it."""


def check_analysis(body: Mapping[str, Any]) -> None:
    """Check that this is Retell's ``call_analysis``.

    Raises:
        ValueError: it is not; says what the field that is wrong should be.
    """
    for name, value in body.items():
        wanted = _ANALYSIS.get(name)
        if wanted is None:
            raise ValueError(f"{name} is not one of {', '.join(_ANALYSIS)}")
        if isinstance(wanted, tuple):
            if value not in wanted:
                raise ValueError(f"{name} must be one of {', '.join(wanted)}")
        elif not isinstance(value, wanted):
            raise ValueError(f"{name} must be {_KINDS[wanted]}")


def parse_analysis(text: str) -> dict[str, Any]:
    """Read a ``call_analysis`` written as JSON.

    Raises:
        ValueError: it is none; says what it should be.
    """
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        raise ValueError('it must be a JSON object, like {"call_successful":true}')
    check_analysis(body)
    return body
