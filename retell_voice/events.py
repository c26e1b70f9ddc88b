"""What a call tells you: a single stream of these, in the order they happened.

Every event carries ``at``: seconds since the call was opened (monotonic clock).
All durations are seconds, all levels dBFS, unless a field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from retell_voice.errors import RetellVoiceError

Role = Literal["agent", "user"]


class CallState(StrEnum):
    """State of a call; it only ever moves downwards in this list."""

    CONNECTING = "connecting"
    LIVE = "live"
    DRAINING = "draining"
    """The server has closed, or the network failed; audio already received is still playing."""
    ENDED = "ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """Base of all events."""

    at: float = 0.0


@dataclass(frozen=True, slots=True)
class Word:
    """One word of a transcript; start and end in seconds from the start of the call."""

    word: str
    start: float
    end: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """One turn of a transcript. ``words`` is empty when the server sent none."""

    role: Role
    content: str
    words: tuple[Word, ...] = ()


@dataclass(frozen=True, slots=True)
class StateChanged(Event):
    """The call moved to another state."""

    state: CallState


@dataclass(frozen=True, slots=True)
class TranscriptItem:
    """One entry of the live transcript of a web call.

    Attributes:
        id: names the entry; one that grows keeps its id.
        role: ``agent``, ``user`` or ``transfer_target`` for speech; ``tool_call_invocation``,
            ``tool_call_result``, ``node_transition``, ``dtmf``, ``sms``, ``injected`` or whatever
            else the server calls it.
        time: seconds on the server's clock of the call; entries from before the session have their
            own clock.
        content: what was said, or what happened, in one line.
        fields: everything the server sent about it.
    """

    id: str
    role: str
    time: float
    content: str
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Transcript(Event):
    """The transcript of the whole call so far (needs ``updates=True``), even if the server sends
    only its last few utterances.

    Attributes:
        utterances: what agent and user said.
        items: for a web call, everything in order: speech, tool calls, transitions, digits.
        pre_session: the same for what happened before the session began.
    """

    utterances: tuple[Utterance, ...]
    items: tuple[TranscriptItem, ...] = ()
    pre_session: tuple[TranscriptItem, ...] = ()


@dataclass(frozen=True, slots=True)
class Turn(Event):
    """The turn went to this speaker (needs ``updates=True``)."""

    speaker: Role


@dataclass(frozen=True, slots=True)
class AgentStarted(Event):
    """The first sample of an agent's utterance is being heard."""


@dataclass(frozen=True, slots=True)
class AgentStopped(Event):
    """The agent fell silent: its last sample has been heard, or a ``clear`` cut it short.

    If a server keeps streaming silence or room noise, that is when nothing else has been heard for
    0.8 s.

    Attributes:
        interrupted: True when the server sent ``clear`` while audio was queued or playing.
        discarded: seconds of audio that the ``clear`` threw away unheard.
        silent_since: call time (as ``at``) at which the last sample was heard. The event comes
            later, by the time it takes to tell an end from a gap.
    """

    interrupted: bool = False
    discarded: float = 0.0
    silent_since: float = 0.0


@dataclass(frozen=True, slots=True)
class Response(Event):
    """The agent answers: its first sample is being heard. Sent once each time you spoke while the
    agent was silent and then heard it, after ``AgentStarted``.

    Attributes:
        delay: seconds since the end of your speech, judged by the microphone's audio, to about
            20 ms.
        playout: the part of it between the arrival of the audio and its being heard: jitter buffer
            and speaker; None if that cannot be determined.
        round_trip: the network's part, its last round trip; None if unknown. The rest is the
            server's.
    """

    delay: float
    playout: float | None = None
    round_trip: float | None = None


@dataclass(frozen=True, slots=True)
class BargeIn(Event):
    """You spoke over the agent, and the server cleared; sent after ``AgentStopped``.

    Attributes:
        delay: seconds from the start of your speech to the agent's last sample.
    """

    delay: float


@dataclass(frozen=True, slots=True)
class Metadata(Event):
    """Metadata that the LLM server sent for the frontend: any JSON value up to 100 levels deep;
    invalid numbers are null."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class NodeTransition(Event):
    """The agent moved to another node of its conversation flow.

    Attributes:
        former, new: names of the nodes, or their ids if they have no names; empty if unknown.
        fields: everything the server sent about it.
    """

    former: str
    new: str
    fields: Mapping[str, Any] = field(default_factory=dict, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class MonitorChanged(Event):
    """The connection for a web call's live transcript was opened, broke and is being reopened, or
    is gone for good. The call itself goes on.

    Attributes:
        state: ``attached``, ``retrying`` or ``lost``.
        why: one line; empty when attached.
    """

    state: Literal["attached", "retrying", "lost"]
    why: str = ""


@dataclass(frozen=True, slots=True)
class NetworkChanged(Event):
    """A web call's server has sent no audio for 2 s, or sends again. After 10 s the call is lost.

    Attributes:
        state: ``stalled`` or ``back``.
        silent_for: seconds without a packet.
    """

    state: Literal["stalled", "back"]
    silent_for: float


@dataclass(frozen=True, slots=True)
class Alignment(Event):
    """This text is being heard from now on (needs ``alignment=True``).

    Attributes:
        text: what the audio says.
        duration: length of that audio.
    """

    text: str
    duration: float


@dataclass(frozen=True, slots=True)
class InputFinished(Event):
    """The microphone has ended (a file that is over); silence is sent from now on."""


@dataclass(frozen=True, slots=True)
class DeviceChanged(Event):
    """A device was lost, is back, or another has taken its place (``Call.use``).

    The call goes on meanwhile. While the microphone is away, silence is sent; while the speaker is
    away, the agent's audio plays unheard in real time and is not kept for later.

    Attributes:
        side: ``near_end`` (the microphone) or ``far_end`` (the speaker).
        state: what happened to it; ``changed``: another one was requested and has taken over.
        name: the device that is, or was, in use; a default device may come back as another one.
        why: why it was lost, one line; empty otherwise.
    """

    side: Literal["near_end", "far_end"]
    state: Literal["lost", "back", "changed"]
    name: str
    why: str = ""


@dataclass(frozen=True, slots=True)
class LatencyChanged(Event):
    """A device was reopened with another latency; that costs a gap of some tens of ms.

    Attributes:
        side: ``near_end`` (the microphone) or ``far_end`` (the speaker).
        why: ``gaps``: it lost audio and has more latency now; ``calm``: it has lost none for 20 s
            or more and has less, until it loses some again.
        old, new: latency that the device reports, before and now; None if it reports none.
    """

    side: Literal["near_end", "far_end"]
    why: Literal["gaps", "calm"]
    old: float | None = None
    new: float | None = None


@dataclass(frozen=True, slots=True)
class MicrophoneSilent(Event):
    """The microphone has delivered nothing but digital zeros for seconds, which a real one never
    does: it is muted by the system, or this program lacks permission. It is reopened once, which
    helps some. Reported again only after there was sound in between; not reported while ``muted``.

    Attributes:
        name: the microphone.
    """

    name: str


@dataclass(frozen=True, slots=True)
class EchoSuspected(Event):
    """The agent seems to hear itself: what is sent follows what is played, and the server clears or
    may do so. Reported once per call.

    Attributes:
        echo: the echo control in use: ``off``, ``webrtc``, ``half-duplex``, ``system`` or the name
            of your own.
    """

    echo: str


@dataclass(frozen=True, slots=True)
class AudioDropped(Event):
    """Audio was dropped because a queue was full.

    Attributes:
        side: ``near_end`` (yours: the oldest was dropped because it had waited for a second)
            or ``far_end`` (the agent's: the newest was dropped because the playout was full).
        duration: seconds dropped since the last such event.
    """

    side: Literal["near_end", "far_end"]
    duration: float


@dataclass(frozen=True, slots=True)
class RecordingStopped(Event):
    """Recording has stopped; the call goes on.

    Attributes:
        path: directory of the recording; what was written can be read.
        why: one line.
    """

    path: str
    why: str


@dataclass(frozen=True, slots=True)
class UnknownMessage(Event):
    """The server sent a text or JSON message that this client does not know.

    Attributes:
        message: its first 4096 characters.
    """

    message: str


@dataclass(frozen=True, slots=True)
class MalformedMessage(Event):
    """The server sent something that cannot be parsed; the call goes on.

    Attributes:
        problem: what is wrong with it.
        excerpt: its first 200 characters.
    """

    problem: str
    excerpt: str


@dataclass(frozen=True, slots=True)
class DigitSent(Event):
    """A phone key was sent (``Call.press``).

    Attributes:
        digit: one of ``0123456789*#``.
    """

    digit: str


@dataclass(frozen=True, slots=True)
class ProviderComplaint(Event):
    """The phone provider played by this client would have complained about something; the call goes
    on.

    Attributes:
        provider: ``Twilio``, ``Telnyx``, …
        code: the provider's error number, as in its debugger; empty if it has none.
        problem: what is wrong, and what the provider does about it.
        excerpt: first 200 characters of the message; empty if it is not about a message.
    """

    provider: str
    code: str
    problem: str
    excerpt: str = ""


@dataclass(frozen=True, slots=True)
class Levels(Event):
    """Peak levels since the last such event, dBFS, −100 for digital silence.

    ``near_end`` is you (after muting), ``far_end`` the agent as played.
    """

    near_end: float
    far_end: float


@dataclass(frozen=True, slots=True)
class PacketFigures:
    """What became of the agent's packets in a web call; durations in seconds.

    Audio played that no packet contained is in ``concealed`` of the ``Statistics``, too.
    """

    received: int = 0
    """Packets that came, whatever became of them."""
    lost: int = 0
    """Packets that were missing when their turn came, those that came late among them."""
    late: int = 0
    """Packets that came when their turn had passed."""
    duplicates: int = 0
    """Packets that came twice."""
    undecodable: int = 0
    """Packets that the decoder rejected."""
    recovered: float = 0.0
    """Audio of lost packets, recovered from the next one's forward error correction."""
    accelerated: float = 0.0
    """Audio left out, to reduce the delay."""
    expanded: float = 0.0
    """Audio repeated, to increase the delay."""
    delay: float = 0.0
    """How long the usual packet waits to be played, now; 0 while nothing plays."""


@dataclass(frozen=True, slots=True)
class Statistics(Event):
    """Figures of the call so far; a snapshot, also sent as an event every second."""

    frames_sent: int = 0
    bytes_sent: int = 0
    """Your audio sent, bytes as encoded on the wire."""
    frames_dropped: int = 0
    """Microphone frames dropped because they had waited for a second: for the network, or for a
    blocked event loop."""
    bytes_received: int = 0
    """Agent audio received, bytes as encoded on the wire."""
    clears: int = 0
    unknown_messages: int = 0
    malformed_messages: int = 0
    events_dropped: int = 0
    """Events dropped because nobody was reading them."""
    capture_xruns: int = 0
    """Gaps in what the input device captured: reported by it, seen in its timestamps, or because a
    thread took blocks too late."""
    playback_xruns: int = 0
    """Gaps in what the output device played: reported by it, or seen in its timestamps."""
    packets: PacketFigures | None = None
    """The agent's packets; None where its audio does not come in packets."""
    underruns: int = 0
    """Times the jitter buffer ran empty within an utterance."""
    concealed: float = 0.0
    """Audio synthesised to conceal those underruns, and lost packets."""
    playout_depth: float = 0.0
    """Agent audio queued and not yet played."""
    playout_target: float = 0.0
    """Depth the jitter buffer waits for before it starts an utterance."""
    heard: float = 0.0
    """Agent audio played."""
    discarded: float = 0.0
    """Agent audio thrown away by ``clear``, or in packets that were of no use."""
    overflowed: float = 0.0
    """Agent audio dropped because the playout was full."""
    device_losses: int = 0
    """Times that a device was lost, whether it came back or not."""
    capture_latency: float | None = None
    """Input latency that the device reports."""
    playback_latency: float | None = None
    """Output latency that the device reports."""
    capture_drift: float | None = None
    """How much faster the input device's clock runs than this machine's, parts per million;
    None in the first minute, and good to about 10 000 divided by the seconds since."""
    playback_drift: float | None = None
    """The same for the output device."""
    clear_to_silence_p50: float | None = None
    """Time from the arrival of a ``clear`` to the last faint sample at the speaker, median of
    the last 1000; rounded up to a whole block, about 10 ms."""
    clear_to_silence_p95: float | None = None
    """The same, 95th percentile."""
    responses: int = 0
    """Times that the agent answered, see ``Response``."""
    response_last: float | None = None
    """Delay of its latest answer."""
    response_p50: float | None = None
    """Median of the last 1000."""
    response_p95: float | None = None
    """Their 95th percentile."""
    response_max: float | None = None
    """The slowest of all."""
    barge_ins: int = 0
    """Times that you interrupted the agent, see ``BargeIn``."""
    barge_in_p50: float | None = None
    """Time from the start of your speech to the agent's silence, median of the last 1000."""
    barge_in_p95: float | None = None
    """The same, 95th percentile."""
    echo: str = "off"
    """The echo control in use: ``off``, ``webrtc``, ``half-duplex``, ``system``, or the name of
    your own."""
    echo_state: Literal["off", "converging", "converged"] = "off"
    """Whether echo control has converged."""
    echo_erle: float | None = None
    """Echo return loss enhancement, dB: how much echo control reduces the echo; None before the
    agent has spoken for a while."""
    echo_cost: float | None = None
    """CPU seconds that echo control takes per second of audio."""
    round_trip: float | None = None
    """Round trip of the last heartbeat; None until the first is answered."""


@dataclass(frozen=True, slots=True)
class Ended(Event):
    """The call is over; always the last event.

    Attributes:
        by: who ended it.
        code: WebSocket close code, None when the connection never had one.
        reason: the text that came with the code, possibly empty.
        error: what to raise or show if this was not a normal end, else None.
        statistics: the final figures.
    """

    by: Literal["you", "server", "network", "device"]
    code: int | None
    reason: str
    error: RetellVoiceError | None = None
    statistics: Statistics = field(default_factory=Statistics)
