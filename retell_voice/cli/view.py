"""What the screen shows, folded from a call's events. Pure: time comes from the events."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from retell_voice.audio.levels import HANG, SPEECH
from retell_voice.cli.captions import Captions
from retell_voice.cli.turns import Turns
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    CallState,
    DeviceChanged,
    Ended,
    Event,
    InputFinished,
    LatencyChanged,
    Levels,
    MicrophoneSilent,
    MonitorChanged,
    NetworkChanged,
    Response,
    Role,
    StateChanged,
    Statistics,
    Transcript,
    Turn,
    Utterance,
)
from retell_voice.program.words import news, warn
from retell_voice.shown import clean

SILENCE = -100.0
_CONCEALED = 0.04  # seconds concealed between two statistics that count as a gap
_FALL = 30.0  # dB per second by which a meter falls
_HOLD = 1.5  # seconds for which a meter's peak stays
_NOTES = 3
_FRESH = 30.0  # seconds for which to show a note


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
class Talk:
    """How long one side has spoken, seconds of the call.

    Attributes:
        since: when the current speech began, None in silence.
        until: when it was last heard.
        total: of all finished speech.
    """

    since: float | None = None
    until: float = 0.0
    total: float = 0.0

    def went_on(self, begin: float, end: float) -> Talk:
        """Return it with speech from ``begin`` to ``end``."""
        return replace(self, since=begin if self.since is None else self.since, until=end)

    def stopped(self) -> Talk:
        """Return it in silence."""
        return Talk(None, self.until, self.seconds)

    @property
    def seconds(self) -> float:
        """All speech so far."""
        return self.total + (0.0 if self.since is None else max(self.until - self.since, 0.0))


@dataclass(frozen=True, slots=True)
class Note:
    """Something that people should know, when it happened, and what it is about: what comes later
    about the same replaces it."""

    at: float
    text: str
    about: str = ""


@dataclass(frozen=True, slots=True)
class View:
    """Everything there is to show. ``call_id`` is masked, empty for a call that is yet to be made
    with ``callee``; texts are printable.

    Attributes:
        at: call time of this view, seconds.
        said: the conversation so far; without a transcript, when the agent was heard.
        began: when each of its utterances appeared.
        turns: the transcript, turn by turn.
        has_captions: whether there ever was one.
        lost: sides whose device is away.
        gap_at: when the agent's voice last had a gap.
        loss_at: when your or the agent's audio was last dropped.
        slowest: the agent's slowest answer.
    """

    call_id: str = ""
    callee: str = ""
    server: str = ""
    audio: str = ""
    microphone: str = ""
    speaker: str = ""
    recording: str = ""
    state: CallState = CallState.CONNECTING
    hanging_up: bool = False
    at: float = 0.0
    levels_at: float = 0.0
    near_end: Meter = Meter()
    far_end: Meter = Meter()
    you: Talk = Talk()
    agent: Talk = Talk()
    turn: Role | None = None
    turn_at: float = 0.0
    said: tuple[Utterance, ...] = ()
    began: tuple[float, ...] = ()
    turns: Turns = field(default_factory=Turns)
    has_transcript: bool = False
    captions: Captions = field(default_factory=Captions)
    has_captions: bool = False
    notes: tuple[Note, ...] = ()
    lost: frozenset[str] = frozenset()
    input_finished_at: float | None = None
    gap_at: float | None = None
    loss_at: float | None = None
    slowest: Response | None = None
    statistics: Statistics = field(default_factory=Statistics)
    ended: Ended | None = None

    @property
    def agent_speaking(self) -> bool:
        """Whether the agent is heard."""
        return self.agent.since is not None

    @property
    def you_speaking(self) -> bool:
        """Whether you speak, judged by the level."""
        return self.you.since is not None and self.at - self.you.until <= HANG

    @property
    def fresh_notes(self) -> tuple[Note, ...]:
        """The recent notes."""
        return tuple(each for each in self.notes if self.at - each.at <= _FRESH)

    def passed(self, seconds: float) -> View:
        """Return the view this many seconds later, with no events."""
        return self if self.ended else replace(self, at=self.at + max(seconds, 0.0))


def reduce(view: View, event: Event) -> View:  # noqa: PLR0911, PLR0912 - a table of events
    """Return the view after an event."""
    view = _told(replace(view, at=max(event.at, view.at)), event)
    match event:
        case Levels():
            return _metered(view, event)
        case Statistics():
            return _counted(view, event)
        case StateChanged(state=state):
            return replace(view, state=state)
        case Turn(speaker=speaker):
            return replace(view, turn=speaker, turn_at=event.at)
        case AgentStarted():
            return replace(view, agent=view.agent.went_on(event.at, event.at), captions=Captions())
        case AgentStopped():
            return _fell_silent(view, event)
        case Response(delay=delay):
            is_slowest = view.slowest is None or delay > view.slowest.delay
            return replace(view, slowest=event) if is_slowest else view
        case Alignment(text=text, duration=duration):
            captions = view.captions.heard(clean(text), event.at, duration)
            return replace(view, captions=captions, has_captions=True)
        case InputFinished():
            return replace(view, input_finished_at=event.at)
        case Ended():
            return replace(
                view,
                state=CallState.ENDED,
                ended=event,
                statistics=event.statistics,
                you=view.you.stopped(),
                agent=view.agent.stopped(),
                near_end=Meter(),
                far_end=Meter(),
            )
        case DeviceChanged(state="lost", side=side):
            view = replace(view, lost=view.lost | {side})
        case DeviceChanged(side=side, name=name):
            view = replace(view, lost=view.lost - {side})
            if side == "near_end":  # even if a file was over, its successor is not
                view = replace(view, microphone=clean(name), input_finished_at=None)
            else:
                view = replace(view, speaker=clean(name))
    about = _subject(event)
    view = _settled(view, about)
    note = news(event) or warn(event)
    if note is None:
        return view
    return replace(view, notes=(*view.notes, Note(event.at, note, about))[-_NOTES:])


_SILENT = "silent microphone"


def _subject(event: Event) -> str:
    """Return what an event is about that may be over later, empty for one that just happened."""
    match event:
        case DeviceChanged(side=side):
            return f"device {side}"
        case LatencyChanged(side=side):
            return f"latency {side}"
        case NetworkChanged():
            return "network"
        case MonitorChanged():
            return "transcript"
        case MicrophoneSilent():
            return _SILENT
    return ""


def _settled(view: View, about: str) -> View:
    """Return the view without what was said about something until now."""
    notes = tuple(each for each in view.notes if not about or each.about != about)
    return view if len(notes) == len(view.notes) else replace(view, notes=notes)


def _told(view: View, event: Event) -> View:
    turns = view.turns.after(event)
    if turns is view.turns:
        return view
    view = replace(
        view, turns=turns, has_transcript=view.has_transcript or isinstance(event, Transcript)
    )
    if not view.has_transcript:
        return view
    return replace(view, said=tuple(map(_clean, turns.said)), began=turns.began)


def _metered(view: View, levels: Levels) -> View:
    at = levels.at
    elapsed = max(at - view.levels_at, 0.0)
    you = view.you
    if levels.near_end > SPEECH:
        you = you.went_on(at - min(elapsed, HANG), at)
    elif at - you.until > HANG:
        you = you.stopped()
    agent = view.agent
    if levels.near_end > SILENCE:
        view = _settled(view, _SILENT)
    return replace(
        view,
        levels_at=at,
        near_end=view.near_end.moved(levels.near_end, at, elapsed),
        far_end=view.far_end.moved(levels.far_end, at, elapsed),
        you=you,
        agent=agent if agent.since is None else agent.went_on(at, at),
    )


def _counted(view: View, now: Statistics) -> View:
    was = view.statistics
    gaps = now.underruns + now.playback_xruns > was.underruns + was.playback_xruns
    gaps = gaps or now.concealed - was.concealed > _CONCEALED
    losses = now.frames_dropped > was.frames_dropped or now.overflowed > was.overflowed
    return replace(
        view,
        statistics=now,
        gap_at=now.at if gaps else view.gap_at,
        loss_at=now.at if losses else view.loss_at,
    )


def _fell_silent(view: View, event: AgentStopped) -> View:
    since = max(event.silent_since, 0.0)
    view = replace(
        view,
        agent=view.agent.went_on(since, since).stopped(),
        captions=view.captions.stopped(since, interrupted=event.interrupted),
    )
    # The server reports the turn when you begin to speak, not when you may. Anything it has
    # reported since is about what comes next.
    if view.turn is not None and view.turn_at <= since:
        view = replace(view, turn="user", turn_at=event.at)
    heard = view.captions.text(since)
    if heard and not view.has_transcript:
        said = (*view.said, Utterance("agent", heard))
        view = replace(view, said=said, began=(*view.began, since))
    return view


def _clean(utterance: Utterance) -> Utterance:
    content = clean(utterance.content)
    return utterance if content == utterance.content else replace(utterance, content=content)
