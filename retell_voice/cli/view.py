"""What the screen shows, folded from a call's events. Pure: time comes from the events."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass, field, replace

from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioDropped,
    CallState,
    DeviceChanged,
    Ended,
    Event,
    InputFinished,
    Levels,
    MalformedMessage,
    MicrophoneSilent,
    Role,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    UnknownMessage,
    Utterance,
)

SILENCE = -100.0
_SPEECH = -40.0  # dBFS; a near end above it is taken for somebody speaking
_FALL = 30.0  # dB a second by which a meter falls
_HOLD = 1.5  # seconds for which a meter's peak stays
_HANG = 0.4  # seconds for which you still count as speaking between words
_WARNINGS = 3
_CAPTION = 300  # characters of a caption that are kept
_DEVICES = {"near_end": "microphone", "far_end": "speaker"}
_BIDI = frozenset("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


@dataclass(frozen=True, slots=True)
class Meter:
    """A level meter, dBFS: rises at once, falls slowly, holds its peak."""

    level: float = SILENCE
    peak: float = SILENCE
    peak_at: float = 0.0

    def moved(self, level: float, at: float, elapsed: float) -> Meter:
        """Return the meter after ``elapsed`` seconds and a new level."""
        level = max(level, self.level - _FALL * elapsed, SILENCE)
        if level >= self.peak or at - self.peak_at > _HOLD:
            return Meter(level, level, at)
        return replace(self, level=level)


@dataclass(frozen=True, slots=True)
class View:
    """Everything there is to show. ``call_id`` is masked, texts hold nothing unprintable."""

    call_id: str = ""
    server: str = ""
    audio: str = ""
    microphone: str = ""
    speaker: str = ""
    state: CallState = CallState.CONNECTING
    hanging_up: bool = False
    at: float = 0.0
    near_end: Meter = Meter()
    far_end: Meter = Meter()
    levels_at: float = 0.0
    turn: Role | None = None
    agent_speaking: bool = False
    agent_silent_since: float = 0.0
    you_spoke_at: float | None = None
    utterances: tuple[Utterance, ...] = ()
    caption: str = ""
    warnings: tuple[str, ...] = ()
    input_finished_at: float | None = None
    statistics: Statistics = field(default_factory=Statistics)
    ended: Ended | None = None

    @property
    def you_speaking(self) -> bool:
        """Whether you speak, judged by the level."""
        return self.you_spoke_at is not None and self.at - self.you_spoke_at <= _HANG

    def all_said(self, patience: float) -> bool:
        """Whether the input is over and the agent has been silent for ``patience`` seconds."""
        if self.input_finished_at is None or self.agent_speaking:
            return False
        return self.at - max(self.input_finished_at, self.agent_silent_since) >= patience


def reduce(view: View, event: Event) -> View:  # noqa: PLR0911, PLR0912 - a table of events
    """Return the view after an event."""
    view = replace(view, at=max(event.at, view.at))
    match event:
        case Levels(near_end=near, far_end=far):
            elapsed = max(event.at - view.levels_at, 0.0)
            return replace(
                view,
                levels_at=event.at,
                near_end=view.near_end.moved(near, event.at, elapsed),
                far_end=view.far_end.moved(far, event.at, elapsed),
                you_spoke_at=event.at if near > _SPEECH else view.you_spoke_at,
            )
        case Statistics():
            return replace(view, statistics=event)
        case StateChanged(state=state):
            return replace(view, state=state)
        case Transcript(utterances=utterances):
            spoken = tuple(replace(each, content=clean(each.content)) for each in utterances)
            return replace(view, utterances=spoken)
        case Turn(speaker=speaker):
            return replace(view, turn=speaker)
        case AgentStarted():
            return replace(view, agent_speaking=True, caption="")
        case AgentStopped(silent_since=since):
            return replace(view, agent_speaking=False, agent_silent_since=max(since, 0.0))
        case Alignment(text=text):
            return replace(view, caption=(view.caption + clean(text))[-_CAPTION:])
        case InputFinished():
            return replace(view, input_finished_at=event.at)
        case Ended():
            return replace(
                view,
                state=CallState.ENDED,
                ended=event,
                statistics=event.statistics,
                agent_speaking=False,
                near_end=Meter(),
                far_end=Meter(),
            )
        case DeviceChanged(state="back", side="near_end", name=name):
            view = replace(view, microphone=clean(name))
        case DeviceChanged(state="back", name=name):
            view = replace(view, speaker=clean(name))
    if (warning := news(event) or warn(event)) is None:
        return view
    line = f"{clock(event.at)} {warning}"
    return replace(view, warnings=(*view.warnings, line)[-_WARNINGS:])


def news(event: Event) -> str | None:
    """Return good news for people, None when there are none."""
    match event:
        case DeviceChanged(state="back", side=side, name=name):
            return f"the {_DEVICES[side]} is back: {clean(name)}"
    return None


def warn(event: Event) -> str | None:  # noqa: PLR0911 - one return for each event
    """Return what people should know about an event, None when there is nothing."""
    match event:
        case DeviceChanged(state="lost", side=side, why=why):
            return f"the {_DEVICES[side]} is gone, the call waits for it: {clean(why)}"
        case MicrophoneSilent():
            return "the microphone delivers only silence: muted in the system, or no permission?"
        case AudioDropped(side="near_end", duration=duration):
            return f"{duration:.1f} s of your voice lost: the network did not take it"
        case AudioDropped(duration=duration):
            return f"{duration:.1f} s of the agent lost: too much of it was waiting to be played"
        case UnknownMessage(message=message):
            return f"the server sent something unknown: {clean(message[:60])}"
        case MalformedMessage(problem=problem):
            return f"the server sent something broken: {clean(problem[:60])}"
    return None


def clean(text: str) -> str:
    """Return a text from the server with nothing in it that could steer a terminal."""
    return "".join(_printable(character) for character in text)


def _printable(character: str) -> str:
    if character in "\n\r\t\v\f\u2028\u2029":
        return " "
    if character in _BIDI or unicodedata.category(character) in ("Cc", "Cs"):
        return ""
    return character


def clock(seconds: float) -> str:
    """Return a time as minutes and seconds."""
    minutes, rest = divmod(int(seconds), 60)
    return f"{minutes:02d}:{rest:02d}"


def summary(view: View) -> list[str]:
    """Return lines that say how the call went."""
    if view.ended is None:
        return []
    figures = view.statistics
    lines = [f"{clock(view.at)}  {ending(view.ended)}"]
    lines.append(
        f"       sent {figures.frames_sent} frames, heard {figures.heard:.1f} s of the agent"
        + (f", {figures.discarded:.1f} s cut short" if figures.discarded else "")
    )
    troubles = {
        "device losses": figures.device_losses,
        "frames dropped": figures.frames_dropped,
        "capture xruns": figures.capture_xruns,
        "playback xruns": figures.playback_xruns,
        "underruns": figures.underruns,
        "unknown messages": figures.unknown_messages,
        "malformed messages": figures.malformed_messages,
        "events dropped": figures.events_dropped,
    }
    if any(troubles.values()):
        seen = (f"{name} {count}" for name, count in troubles.items() if count)
        lines.append(f"       {', '.join(seen)}")
    quality = [f"jitter buffer {figures.playout_target * 1000:.0f} ms"]
    if figures.clear_to_silence_p50 is not None:
        quality.append(f"silent {figures.clear_to_silence_p50 * 1000:.0f} ms after a clear")
    if figures.round_trip is not None:
        quality.append(f"round trip {figures.round_trip * 1000:.1f} ms")
    lines.append(f"       {', '.join(quality)}")
    return lines


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
