"""What the events of a call say about it over time. Pure: text in, series out."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from retell_voice.errors import ConfigError, show
from retell_voice.protocol.transcript import History, Item

Series = list[tuple[float, float]]
"""Times, seconds since the call was opened, with a value each."""
Spans = list[tuple[float, float]]
"""Beginnings and ends, seconds."""

SPEECH = -40.0
"""dBFS; a near end above this counts as speech."""
_GAP = 0.4
"""Seconds of quiet within speech."""
_LARGEST = 1e12
"""A larger number cannot be a figure of a call, and cannot be plotted."""
_HINT = "give a recording's directory or events.jsonl, or the output of 'talk --json'"


@dataclass
class Account:
    """One call.

    Attributes:
        near, far: peak levels, dBFS.
        agent: when the agent was heard.
        clears: when it was interrupted.
        responses: when it was heard again after you spoke, and how long after.
        depth, target: of the jitter buffer, seconds.
        round_trip, silence: heartbeats' round trip, clear → silence (median so far), seconds.
        underruns, losses: when the buffer ran dry; when audio was dropped or a device lost.
        statistics: the last figures.
        began: call time at which the recording's sound begins.
        truncated: the end is missing: the program was killed, or the call goes on.
    """

    call: dict[str, Any] = field(default_factory=dict)
    near: Series = field(default_factory=list)
    far: Series = field(default_factory=list)
    agent: Spans = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    responses: Series = field(default_factory=list)
    depth: Series = field(default_factory=list)
    target: Series = field(default_factory=list)
    round_trip: Series = field(default_factory=list)
    silence: Series = field(default_factory=list)
    underruns: list[float] = field(default_factory=list)
    losses: list[tuple[float, str]] = field(default_factory=list)
    utterances: list[dict[str, Any]] = field(default_factory=list)
    statistics: dict[str, Any] = field(default_factory=dict)
    ended: dict[str, str] | None = None
    began: float = 0.0
    end: float = 0.0
    truncated: bool = False
    _told: list[Item[dict[str, Any]]] = field(default_factory=list, repr=False)
    _history: History[dict[str, Any]] = field(default_factory=History, repr=False)

    @property
    def you(self) -> Spans:
        """When you spoke, judged by the level."""
        return spans([at for at, level in self.near if level > SPEECH])


def spans(times: Iterable[float]) -> Spans:
    """Return the spans covered by times close to each other."""
    found: Spans = []
    for at in times:
        if found and at - found[-1][1] <= _GAP:
            found[-1] = (found[-1][0], at)
        else:
            found.append((at, at))
    return [(begin, end) for begin, end in found if end > begin]


def read(text: str, name: str) -> Account:
    """Read lines of JSON.

    A truncated last line is skipped: the program was killed while writing it.

    Args:
        text: the lines.
        name: of the file, for messages.

    Raises:
        ConfigError: it is not a file of events; names the line.
    """
    account = Account()
    lines = text.splitlines()
    whole = text.endswith("\n")
    known = 0
    for number, each in enumerate(lines, 1):
        if not each.strip():
            continue
        try:
            event = json.loads(each)
        except (ValueError, RecursionError):
            if number == len(lines) and not whole and known:
                break
            raise ConfigError(
                f"{name} line {number}: {show(each[:40])} is not JSON", _HINT
            ) from None
        if not isinstance(event, dict) or not isinstance(event.get("event"), str):
            raise ConfigError(f"{name} line {number}: not an event", _HINT)
        try:
            _take(account, event)
        except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
            what = show(event["event"])
            raise ConfigError(
                f"{name} line {number}: {what} is malformed ({error})", _HINT
            ) from None
        known += 1
    if not known:
        raise ConfigError(f"{name}: contains no events", _HINT)
    if account.agent and account.agent[-1][1] == math.inf:
        account.agent[-1] = (account.agent[-1][0], account.end)
    account.truncated = account.ended is None
    return account


def _take(account: Account, event: dict[str, Any]) -> None:  # noqa: PLR0912 - a table of events
    # Below 0: heard "a moment ago" in a call that had just begun.
    at = max(_number(event, "at"), 0.0) if "at" in event else 0.0
    account.end = max(account.end, at)
    match event["event"]:
        case "recording" | "call":
            account.call = event
            account.began = at
        case "levels":
            near, far = _number(event, "near_end"), _number(event, "far_end")
            account.near.append((at, near))
            account.far.append((at, far))
        case "agent_started":
            account.agent.append((at, math.inf))
        case "agent_stopped":
            if account.agent and account.agent[-1][1] == math.inf:
                account.agent[-1] = (account.agent[-1][0], _number(event, "silent_since"))
            if event["interrupted"]:
                account.clears.append(_number(event, "silent_since"))
        case "response":
            account.responses.append((at, _number(event, "delay")))
        case "transcript":
            _take_transcript(account, event)
        case "statistics":
            _take_statistics(account, at, event)
        case "audio_dropped":
            seconds, side = _number(event, "duration"), _SIDES[event["side"]]
            account.losses.append((at, f"{seconds:.2f} s of {side} audio dropped"))
        case "device_changed" if event["state"] != "changed":  # as requested
            account.losses.append((at, f"{words(event['name'])} {words(event['state'])}"))
        case "echo_suspected":
            account.losses.append((at, "the agent seemed to hear itself"))
        case "recording_stopped":
            account.losses.append((at, f"recording stopped: {words(event['why'])}"))
        case "ended":
            by, error = words(event["by"]), event.get("error")
            code, reason = words(event["code"]), words(event["reason"] or "")
            account.ended = {"by": by, "code": code, "reason": reason}
            if error:
                account.ended["error"] = words(error["message"])
            _take_statistics(account, at, event["statistics"])


_SIDES = {"near_end": "your", "far_end": "the agent's"}


def _take_transcript(account: Account, event: dict[str, Any]) -> None:
    first = round(_number(event, "from")) if "from" in event else 0
    account._told[max(first, 0) :] = [
        Item(words(each.get("role")), words(each.get("content")), dict(each))
        for each in event["utterances"]
    ]
    # Earlier versions kept only what the server sent: perhaps the last few utterances.
    account.utterances = account._history.update(account._told)


def _number(event: dict[str, Any], name: str) -> float:
    """Return a number that can be plotted; raises ValueError, KeyError."""
    value = event[name]
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"{name}: {show(value)}")
    if not abs(value) <= _LARGEST:
        raise ValueError(f"{name} is out of range")
    return float(value)


def words(value: object) -> str:
    """Return a value as text, whatever its type."""
    return value if isinstance(value, str) else "" if value is None else show(value)


def _take_statistics(account: Account, at: float, event: dict[str, Any]) -> None:
    new = _number(event, "underruns") - account.statistics.get("underruns", 0.0)
    account.underruns += [at] * min(max(0, int(new)), 1)
    account.depth.append((at, _number(event, "playout_depth")))
    account.target.append((at, _number(event, "playout_target")))
    for series, key in (
        (account.round_trip, "round_trip"),
        (account.silence, "clear_to_silence_p50"),
    ):
        if event.get(key) is not None:
            series.append((at, _number(event, key)))
    account.statistics = {key: _number(event, key) for key in event if _is_number(event[key])}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def figures(account: Account) -> list[tuple[str, str]]:
    """Return the figures worth knowing about a call, as names and values for people."""
    known = account.statistics
    rows = [("length", clock(account.end))]
    names = ("started", "encoding", "rate", "microphone", "speaker", "server")
    rows += [(name, words(account.call[name])) for name in names if account.call.get(name)]
    if account.end:
        for name, spoken in (("you spoke", account.you), ("the agent was heard", account.agent)):
            seconds = sum(end - begin for begin, end in spoken)
            rows.append((name, f"{seconds:.0f} s, {seconds / account.end:.0%}"))
    rows.append(("interruptions", str(len(account.clears))))
    for name, key in (
        ("answers, median", "response_p50"),
        ("answers, 95 % within", "response_p95"),
        ("slowest answer", "response_max"),
        ("interrupted → silent, median", "barge_in_p50"),
    ):
        if known.get(key) is not None:
            rows.append((name, f"{known[key]:.2f} s"))
    for name, key, unit, scale in (
        ("clear → silence, median", "clear_to_silence_p50", "ms", 1000),
        ("clear → silence, 95 %", "clear_to_silence_p95", "ms", 1000),
        ("heartbeat round trip", "round_trip", "ms", 1000),
        ("jitter buffer target", "playout_target", "ms", 1000),
        ("gaps concealed", "underruns", "", 1),
        ("speaker gaps", "playback_xruns", "", 1),
        ("microphone gaps", "capture_xruns", "", 1),
        ("frames sent", "frames_sent", "", 1),
        ("frames dropped", "frames_dropped", "", 1),
        ("devices lost", "device_losses", "", 1),
        ("echo removed", "echo_erle", "dB", 1),
    ):
        if known.get(key) is not None:
            rows.append((name, f"{known[key] * scale:.0f} {unit}".rstrip()))
    return rows


def outcome(account: Account) -> str:
    """Return how the call ended, in one line."""
    ended = account.ended
    if ended is None:
        return "The recording is incomplete: the program was killed, or the call goes on."
    if "error" in ended:
        return f"It ended with an error: {ended['error']}"
    return f"Ended by {ended['by']}, code {ended['code']} {ended['reason']}".rstrip() + "."


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    return f"{int(seconds) // 60:02}:{int(seconds) % 60:02}"
