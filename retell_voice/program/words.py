"""What a call's events mean, in words for people."""

from __future__ import annotations

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

_DEVICES = {"near_end": "microphone", "far_end": "speaker"}


def news(event: Event) -> str | None:
    """Return good news for people, None when there are none."""
    match event:
        case DeviceChanged(state="back", side=side, name=name):
            return f"the {_DEVICES[side]} is back: {clean(name)}"
        case DeviceChanged(state="changed", side=side, name=name):
            return f"the {_DEVICES[side]} is now: {clean(name)}"
        case LatencyChanged(why="calm", side=side, new=new):
            return f"the {_DEVICES[side]} has had no gaps for long: less latency{_ms(new)}"
        case DigitSent(digit=digit):
            return f"you pressed {digit}"
        case NetworkChanged(state="back", silent_for=seconds):
            return f"the server is heard again, after {seconds:.0f} s"
    return None


def warn(event: Event) -> str | None:  # noqa: PLR0911 - one return for each event
    """Return what people should know about an event, None when there is nothing."""
    match event:
        case DeviceChanged(state="lost", side=side, why=why):
            return f"the {_DEVICES[side]} is gone, the call waits for it: {clean(why)}"
        case LatencyChanged(why="gaps", side=side, new=new):
            return f"the {_DEVICES[side]} had gaps, as a busy machine makes: more latency{_ms(new)}"
        case MicrophoneSilent():
            return "the microphone delivers only silence: muted in the system, or no permission?"
        case EchoSuspected(echo="off"):
            return "the agent seems to hear itself: use headphones, or --echo webrtc or half-duplex"
        case EchoSuspected(echo="half-duplex"):
            return "the agent seems to hear itself: turn the speaker down, or use headphones"
        case EchoSuspected(echo=echo):
            return (
                f"the agent seems to hear itself in spite of echo control ({clean(echo)}): turn "
                "the speaker down, try --echo half-duplex, or use headphones"
            )
        case AudioDropped(side="near_end", duration=duration):
            return f"{duration:.1f} s of your voice lost: it could not be sent in time"
        case AudioDropped(duration=duration):
            return f"{duration:.1f} s of the agent lost: too much of it was waiting to be played"
        case RecordingStopped(why=why):
            return f"the call is no longer recorded: {clean(why)}"
        case UnknownMessage(message=message):
            return f"the server sent something unknown: {clean(message[:60])}"
        case ProviderComplaint(provider=provider, code=code, problem=problem):
            return f"{provider}{f' {code}' if code else ''}: {clean(problem)}"
        case MalformedMessage(problem=problem):
            return f"the server sent something broken: {clean(problem)}"
    return _of_the_network(event)


def _of_the_network(event: Event) -> str | None:
    match event:
        case NetworkChanged(state="stalled", silent_for=seconds):
            return f"nothing has come from the server for {seconds:.0f} s"
        case MonitorChanged(state="retrying", why=why):
            return f"the transcript stands still, it is being fetched again: {clean(why)}"
        case MonitorChanged(state="lost", why=why):
            return f"no transcript from here on, the call goes on: {clean(why)}"
    return None


def ending(ended: Ended) -> str:
    """Return who ended the call and with which words; code and reason always show."""
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
    return "" if latency is None else f", {latency * 1e3:.0f} ms"


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"
