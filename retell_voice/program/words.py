"""What a call's events mean, in words for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from retell_voice.events import (
    AudioDropped,
    DeviceChanged,
    DigitSent,
    EchoSuspected,
    Ended,
    Event,
    LatencyChanged,
    MalformedMessage,
    MicrophoneSilent,
    MonitorChanged,
    NetworkChanged,
    ProviderComplaint,
    RecordingStopped,
    UnknownMessage,
)
from retell_voice.shown import clean

if TYPE_CHECKING:  # many programs have no microphone
    from retell_voice.echo.choice import Choice

_DEVICES = {"near_end": "microphone", "far_end": "speaker"}


def echo_hint(choice: Choice | None) -> str:
    """Return what people should know about a choice of echo control, one line, or nothing."""
    if choice is None or not choice.hint:
        return ""
    return f"echo control is off: {choice.why}; with headphones: --echo off; {choice.hint}"


def news(event: Event) -> str | None:
    """Return an event's good news for people, None if it has none."""
    match event:
        case DeviceChanged(state="back", side=side, name=name):
            return f"the {_DEVICES[side]} is back: {clean(name)}"
        case DeviceChanged(state="changed", side=side, name=name):
            return f"the {_DEVICES[side]} is now: {clean(name)}"
        case LatencyChanged(why="calm", side=side, new=new):
            return f"no gaps at the {_DEVICES[side]} for a while: latency lowered{_ms(new)}"
        case DigitSent(digit=digit):
            return f"you pressed {digit}"
        case NetworkChanged(state="back", silent_for=seconds):
            return f"audio from the server is back after {seconds:.0f} s"
    return None


def warn(event: Event) -> str | None:  # noqa: PLR0911 - one return for each event
    """Return what people should know about an event, None if nothing."""
    match event:
        case DeviceChanged(state="lost", side=side, why=why):
            return f"the {_DEVICES[side]} is gone; waiting for it to come back: {clean(why)}"
        case LatencyChanged(why="gaps", side=side, new=new):
            return f"gaps at the {_DEVICES[side]}, is the machine busy? latency raised{_ms(new)}"
        case MicrophoneSilent():
            return "the microphone delivers only silence: muted by the system, or no permission?"
        case EchoSuspected(echo="off"):
            return "the agent seems to hear itself: use headphones, or --echo webrtc or half-duplex"
        case EchoSuspected(echo="half-duplex"):
            return "the agent seems to hear itself: turn the speaker down, or use headphones"
        case EchoSuspected(echo=echo):
            return (
                f"the agent seems to hear itself despite echo control ({clean(echo)}): turn "
                "the speaker down, try --echo half-duplex, or use headphones"
            )
        case AudioDropped(side="near_end", duration=duration):
            return f"{duration:.1f} s of your voice was dropped: it could not be sent in time"
        case AudioDropped(duration=duration):
            return f"{duration:.1f} s of the agent was dropped: the playout queue is full"
        case RecordingStopped(why=why):
            return f"recording stopped: {clean(why)}"
        case UnknownMessage(message=message):
            return f"the server sent an unknown message: {clean(message[:60])}"
        case ProviderComplaint(provider=provider, code=code, problem=problem):
            return f"{provider}{f' {code}' if code else ''}: {clean(problem)}"
        case MalformedMessage(problem=problem):
            return f"the server sent a malformed message: {clean(problem)}"
    return _of_the_network(event)


def _of_the_network(event: Event) -> str | None:
    match event:
        case NetworkChanged(state="stalled", silent_for=seconds):
            return f"no audio from the server for {seconds:.0f} s"
        case MonitorChanged(state="retrying", why=why):
            return f"the transcript is interrupted, reconnecting: {clean(why)}"
        case MonitorChanged(state="lost", why=why):
            return f"the transcript is lost, the call goes on: {clean(why)}"
    return None


def ending(ended: Ended) -> str:
    """Return who ended the call, always with the code and reason."""
    who = {
        "you": "you hung up",
        "server": "the server closed the call",
        "network": "the connection was lost",
        "device": "a device was lost",
    }[ended.by]
    words = [str(ended.code)] if ended.code is not None else []
    if ended.reason:
        words.append(clean(ended.reason))
    return f"{who} ({': '.join(words)})" if words else who


def _ms(latency: float | None) -> str:
    return "" if latency is None else f" to {latency * 1e3:.0f} ms"
