"""The data model of scenarios: steps, and what each of them does.

Times are seconds unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.after_call import NOTHING_MADE_UP, AfterCall
from retell_voice.emulator.gateway.path import Network
from retell_voice.emulator.request_faults import RequestFault
from retell_voice.events import Role, Utterance

Alignment = Literal["asked", "off", "forced"]
"""Whether audio is sent as base64 with its text: as the caller asked, never, always."""


@dataclass(frozen=True, slots=True)
class Words:
    """A text for the TTS."""

    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """A WAV file, in the scenario's folder unless its path is absolute."""

    path: Path


@dataclass(frozen=True, slots=True)
class Tone:
    """A sine wave at a level in dBFS, or silence if ``hz`` is 0."""

    seconds: float
    hz: float = 0.0
    dbfs: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How audio is sent.

    Attributes:
        pace: multiple of real time; 0: as fast as the network takes it.
        chunk_ms: length of a message; 0: the emulator's own.
        chunk_bytes: length of a message instead, unless 0; samples may be split.
        jitter_ms: each message is late by up to this, but never overtakes the one before.
        burst_seconds: this much audio is held back, then sent at once, again and again.
    """

    pace: float = 0.0
    chunk_ms: int = 0
    chunk_bytes: int = 0
    jitter_ms: float = 0.0
    burst_seconds: float = 0.0

    @property
    def timed(self) -> bool:
        """Whether sending takes time."""
        return self.pace > 0 or self.jitter_ms > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Send audio; ``text`` goes with it if alignment is on and the source has no words."""

    source: Words | Recording | Tone
    text: str = ""
    alignment: Alignment = "asked"
    delivery: Delivery = field(default_factory=Delivery)


ANY_DIGIT = "?"
"""Stands for any digit where digits are waited for."""
Condition = Literal[
    "seconds",
    "user_speaks",
    "user_stops",
    "microphone_seconds",
    "microphone_frames",
    "text",
    "digits",
    "ping",
    "heard",
    "caller_leaves",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait; after ``at_most`` (0: no limit) the scenario fails, or goes on.

    Attributes:
        condition: for what.
        amount: how much of it, where it is counted.
        text: which text, or which digits; ``?`` is any digit.
        at_most: seconds.
        go_on: whether the scenario goes on where it waited in vain, or other digits came.
    """

    condition: Condition
    amount: float = 0.0
    text: str = ""
    at_most: float = 0.0
    go_on: bool = False


@dataclass(frozen=True, slots=True)
class Clear:
    """Send ``clear``."""


@dataclass(frozen=True, slots=True)
class Update:
    """Send the transcript (None: unchanged) and the turn; if forced, even to a caller that did
    not ask for updates."""

    transcript: tuple[Utterance, ...] | None
    turn: Role | None
    forced: bool


@dataclass(frozen=True, slots=True)
class SendMetadata:
    """Send metadata, any JSON value."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message verbatim."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class BadMessage:
    """Send one of ``BAD_MESSAGES``; ``size`` in bytes, for those that have one."""

    kind: str
    size: int


Stops = Literal["sending", "reading", "both"]


@dataclass(frozen=True, slots=True)
class Stall:
    """For a time, send nothing (not even a pong), read nothing, or both."""

    seconds: float
    stops: Stops


Direction = Literal["both", "to_caller", "from_caller"]


@dataclass(frozen=True, slots=True)
class BadNetwork:
    """Treat the packets of a web call so from now on."""

    network: Network
    direction: Direction


@dataclass(frozen=True, slots=True)
class DropControl:
    """Close a web call's control channel; the audio goes on."""


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """Send nothing from now on, whatever the caller does; TCP stays up."""


@dataclass(frozen=True, slots=True)
class Reset:
    """Break the connection: TCP RST."""


@dataclass(frozen=True, slots=True)
class Drop:
    """End the connection without a close frame: TCP FIN."""


@dataclass(frozen=True, slots=True)
class Close:
    """Close with a code and words for the caller; ``why`` is Retell's disconnection_reason."""

    code: int
    reason: str
    why: str


@dataclass(frozen=True, slots=True)
class Repeat:
    """Repeat the steps; ``times`` None: until the caller leaves."""

    times: int | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Send everything that the steps send in one piece."""

    steps: tuple[Step, ...]


StepAction: TypeAlias = (
    Speak
    | Wait
    | Clear
    | Update
    | SendMetadata
    | Send
    | BadMessage
    | Stall
    | BadNetwork
    | DropControl
    | HalfOpen
    | Reset
    | Drop
    | Close
    | Repeat
    | Together
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One step.

    Attributes:
        name: its kind, the key in the file.
        number: its place in the file, ``2``, or ``2.1`` within step 2.
        details: the rest of it, shortened, for people.
        action: what it does.
    """

    name: str
    number: str
    details: str
    action: StepAction


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the server does in a call, step by step; then it hangs up.

    Attributes:
        name: for people.
        description: what it is for.
        encoding, rate: of the calls it is for; None: any.
        seed: of its random delays.
        folder: where relative paths of recordings start.
        steps: in order.
        request_faults: what goes wrong before a call begins, one request each.
        after_call: what there is once a call is over.
    """

    name: str
    description: str = ""
    encoding: str | None = None
    rate: int | None = None
    seed: int = 0
    folder: Path = Path()
    steps: tuple[Step, ...] = ()
    request_faults: tuple[RequestFault, ...] = ()
    after_call: AfterCall = NOTHING_MADE_UP

    def fits(self, audio: AudioFormat) -> bool:
        """Return whether it is for calls of this format."""
        return self.encoding in (None, audio.encoding) and self.rate in (None, audio.rate)

    @property
    def formats(self) -> str:
        """The calls it is for, in words."""
        rate = f"{self.rate} Hz" if self.rate else ""
        return " ".join(filter(None, (self.encoding, rate))) or "any"
