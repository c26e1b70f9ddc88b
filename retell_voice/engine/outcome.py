"""From the state of a call to what people are told: pure functions."""

from __future__ import annotations

from typing import Literal

from retell_voice.audio.playout_reports import Spoken, Started, Stopped
from retell_voice.errors import CallFailed, DeviceLost, Rejected, RetellVoiceError
from retell_voice.events import AgentStarted, AgentStopped, Alignment, Ended, Event, Statistics
from retell_voice.transport.ports import Closed

LLM_FAILED = "error_llm_websocket"
LLM_NOT_REACHED = "error_llm_websocket_open"
"""How the reason begins if the agent's LLM server is to blame: Retell's own words."""
_INTERNAL_ERROR = 1011  # RFC 6455, section 7.4.1
_NORMAL = (1000, 1005)
"""Close codes of a call that ended as it should: normal closure, and none given."""


def heard(report: Started | Spoken | Stopped, rate: int, now: float, ago: float) -> Event:
    """Return the event for a report of the playout.

    Args:
        report: what became audible.
        rate: samples per second of the report's positions.
        now: call time, seconds.
        ago: seconds since it became audible.
    """
    match report:
        case Started():
            return AgentStarted(at=now - ago)
        case Spoken(text=text, samples=samples):
            return Alignment(at=now - ago, text=text, duration=samples / rate)
        case Stopped(interrupted=interrupted, discarded=discarded):
            return AgentStopped(
                at=now - ago if interrupted else now,
                interrupted=interrupted,
                discarded=discarded / rate,
                silent_since=now - ago,
            )


def ended(
    closed: Closed,
    statistics: Statistics,
    *,
    hung_up: bool,
    failure: DeviceLost | None,
    defect: BaseException | None,
    answered: bool,
) -> Ended:
    """Return the last event of a call.

    Args:
        closed: how its connection ended.
        statistics: the final figures; their time stamp becomes the event's.
        hung_up: you hung up before anything else ended the call.
        defect: the exception in this software that ended the call, if any.
        failure: the lost device that ended the call, if any.
        answered: the server had sent something; if not, a close with an error is a refusal.
    """
    by: Literal["you", "server", "network", "device"]
    error: RetellVoiceError | None
    code, reason = closed.code, closed.reason
    if failure is not None:
        by, error, reason = "device", failure, str(failure)
    elif defect is not None:
        by, code = "you", 1000
        error = RetellVoiceError(f"a defect of this software ended the call: {defect!r}")
    elif hung_up or closed.by == "you":
        by, error, code = "you", None, 1000
    elif closed.by == "server":
        by = "server"
        error = None if code in _NORMAL else _server_error(closed, answered)
    else:
        by, error = "network", _network_error(closed)
    return Ended(
        at=statistics.at, by=by, code=code, reason=reason, error=error, statistics=statistics
    )


def _server_error(closed: Closed, answered: bool) -> CallFailed | Rejected:
    code, reason, hint = closed.code, closed.reason, closed.hint
    said = f"{code} {reason}".rstrip()
    if reason.startswith(LLM_NOT_REACHED):
        hint = "the agent's LLM server cannot be reached: the agent's owner must fix this"
    elif reason.startswith(LLM_FAILED):
        hint = "the agent's LLM server failed: the agent's owner must fix this"
    elif code == _INTERNAL_ERROR and not hint:
        hint = "the agent failed: its owner must fix this"
    if answered:
        return CallFailed(f"server: it closed the call: {said}", hint, code=code, reason=reason)
    return Rejected(
        f"server: it closed the call before it began: {said}",
        hint or "check the call_id, and that encoding and rate match those it was registered with",
        code=code,
    )


def _network_error(closed: Closed) -> CallFailed:
    return CallFailed(
        f"network: the connection broke off: {closed.code} {closed.reason}".rstrip(),
        closed.hint or "check the network; the call cannot be joined again",
        code=closed.code,
        reason=closed.reason,
    )
