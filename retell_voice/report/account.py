"""What the events of a call say about it over time. Pure: text in, series out."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from typing import Any

from retell_voice.audio.levels import HANG, SPEECH
from retell_voice.errors import ConfigError, show
from retell_voice.protocol.transcript import History, Item

Series = list[tuple[float, float]]
"""Times, seconds since the call was opened, with a value each."""
Spans = list[tuple[float, float]]
"""Beginnings and ends, seconds."""

_LARGEST = 1e12
"""A larger number cannot be a figure of a call, and cannot be plotted."""
_HINT = "give a recording's directory or events.jsonl, or the output of 'talk --json'"


@dataclass
class Account:
    """One call.

    Attributes:
        near, far: peak levels, dBFS.
        you: when you spoke, judged by the level, as the screen does.
        agent: when the agent was heard.
        clears: when it was cut short.
        barge_ins: when it fell silent because you spoke, and how long after you began.
        responses: when it was heard again after you spoke, and how long after.
        depth, target: of the jitter buffer, seconds.
        round_trip, silence: heartbeats' round trip, clear → silence (median so far), seconds.
        underruns, losses: when the buffer ran dry; when audio was dropped or a device lost.
        utterances, seen: what was said; when each part of it first stood in the transcript.
        statistics: the last figures.
        echo: the method of echo control, and its state.
        began: call time at which the recording's sound begins.
        truncated: the end is missing: the program was killed, or the call goes on.
    """

    call: dict[str, Any] = field(default_factory=dict)
    near: Series = field(default_factory=list)
    far: Series = field(default_factory=list)
    agent: Spans = field(default_factory=list)
    you: Spans = field(default_factory=list)
    clears: list[float] = field(default_factory=list)
    barge_ins: Series = field(default_factory=list)
    responses: Series = field(default_factory=list)
    depth: Series = field(default_factory=list)
    target: Series = field(default_factory=list)
    round_trip: Series = field(default_factory=list)
    silence: Series = field(default_factory=list)
    underruns: list[float] = field(default_factory=list)
    losses: list[tuple[float, str]] = field(default_factory=list)
    utterances: list[dict[str, Any]] = field(default_factory=list)
    seen: list[float] = field(default_factory=list)
    statistics: dict[str, Any] = field(default_factory=dict)
    echo: tuple[str, str] = "", ""
    ended: dict[str, str] | None = None
    began: float = 0.0
    end: float = 0.0
    truncated: bool = False
    _told: list[Item[dict[str, Any]]] = field(default_factory=list, repr=False)
    _history: History[dict[str, Any]] = field(default_factory=History, repr=False)


def spoken(levels: Series) -> Spans:
    """Return when somebody spoke, by the levels: short pauses belong to it."""
    found: Spans = []
    before, is_open = 0.0, False
    for at, level in levels:
        if level > SPEECH:
            begin = found.pop()[0] if is_open else at - min(max(at - before, 0.0), HANG)
            found.append((begin, at))
            is_open = True
        elif is_open and at - found[-1][1] > HANG:
            is_open = False
        before = at
    return found


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
            if number == 1 and not each[:40].isprintable():
                what = "this is no text, so not the events of a call"
                raise ConfigError(f"{name}: {what}", _HINT) from None
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
    _close(account, account.end)
    account.you = spoken(account.near)
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
            _close(account, at)
            account.agent.append((at, math.inf))
        case "agent_stopped":
            _close(account, _number(event, "silent_since"))
            if event["interrupted"]:
                account.clears.append(_number(event, "silent_since"))
        case "response":
            account.responses.append((at, _number(event, "delay")))
        case "barge_in":
            account.barge_ins.append((at, _number(event, "delay")))
        case "transcript":
            _take_transcript(account, at, event)
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
        case "error" if account.ended is None:  # as talk --json reports a call that never began
            account.ended = {"error": words(event["message"])}
        case "ended":
            by, error = words(event["by"]), event.get("error")
            code, reason = words(event["code"]), words(event["reason"] or "")
            account.ended = {"by": by, "code": code, "reason": reason}
            if error:
                account.ended["error"] = words(error["message"])
            _take_statistics(account, at, event["statistics"])


def _close(account: Account, at: float) -> None:
    """Note that the agent is silent from now on, if it was heard."""
    if account.agent and account.agent[-1][1] == math.inf:
        begin = account.agent[-1][0]
        account.agent[-1] = (begin, max(begin, at))


_SIDES = {"near_end": "your", "far_end": "the agent's"}


def _take_transcript(account: Account, at: float, event: dict[str, Any]) -> None:
    first = round(_number(event, "from")) if "from" in event else 0
    account._told[max(first, 0) :] = [
        Item(words(each.get("role")), words(each.get("content")), dict(each))
        for each in event["utterances"]
    ]
    # Earlier versions kept only what the server sent: perhaps the last few utterances.
    account.utterances = account._history.update(account._told)
    del account.seen[len(account.utterances) :]
    account.seen += [at] * (len(account.utterances) - len(account.seen))


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
    account.echo = words(event.get("echo")), words(event.get("echo_state"))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
