"""What a scenario is made of: its steps, and what each of them does. Pure data.

Times are seconds, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias

from retell_voice.audio.format import AudioFormat
from retell_voice.events import Role, Utterance

Alignment = Literal["asked", "off", "forced"]
"""Whether audio goes out as base64 with its text: as the caller asked, never, always."""


@dataclass(frozen=True, slots=True)
class Words:
    """Sound of a text: a voice says it."""

    text: str


@dataclass(frozen=True, slots=True)
class Recording:
    """Sound of a WAV file, in the scenario's folder unless its path is absolute."""

    path: Path


@dataclass(frozen=True, slots=True)
class Tone:
    """A sine of so many dBFS (0: as loud as can be), or silence where it has no pitch."""

    seconds: float
    hz: float = 0.0
    dbfs: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """How audio is sent.

    Attributes:
        pace: how many times as fast as it is heard; 0: as fast as the network takes it.
        chunk_ms: length of a message; 0: the emulator's own.
        chunk_bytes: length of a message instead, unless 0; samples may be split.
        jitter_ms: every message is late by up to so much, and never before the one ahead of it.
        burst_seconds: so much audio is held back, then sent at once, again and again.
    """

    pace: float = 0.0
    chunk_ms: int = 0
    chunk_bytes: int = 0
    jitter_ms: float = 0.0
    burst_seconds: float = 0.0

    @property
    def timed(self) -> bool:
        """Whether it takes time."""
        return self.pace > 0 or self.jitter_ms > 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Speak:
    """Send audio; ``text`` goes with it where alignment is on and the source has no words."""

    source: Words | Recording | Tone
    text: str = ""
    alignment: Alignment = "asked"
    delivery: Delivery = field(default_factory=Delivery)


Condition = Literal[
    "seconds",
    "user_speaks",
    "user_stops",
    "microphone_seconds",
    "microphone_frames",
    "text",
    "ping",
    "heard",
    "caller_leaves",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Wait:
    """Wait; after ``at_most`` (0: never) the scenario has failed, or goes on."""

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
    """Send the transcript (None: as it was) and whose turn it is; also unasked if forced."""

    transcript: tuple[Utterance, ...] | None
    turn: Role | None
    forced: bool


@dataclass(frozen=True, slots=True)
class Announce:
    """Send metadata, any JSON value."""

    metadata: Any


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message as it stands."""

    message: str | bytes


@dataclass(frozen=True, slots=True)
class Garbage:
    """Send something broken; ``size``: bytes of what has one."""

    kind: str
    size: int


Stops = Literal["sending", "reading", "both"]


@dataclass(frozen=True, slots=True)
class Stall:
    """For a time send nothing, not even a pong, or read nothing, or neither."""

    seconds: float
    stops: Stops


@dataclass(frozen=True, slots=True)
class HalfOpen:
    """From now on nothing is sent, whatever the caller does; TCP stays up."""


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
    """Do the steps so many times; None: until the caller leaves."""

    times: int | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Together:
    """Hand what the steps send to the network in one piece."""

    steps: tuple[Step, ...]


Deed: TypeAlias = (
    Speak
    | Wait
    | Clear
    | Update
    | Announce
    | Send
    | Garbage
    | Stall
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
        name: its kind, the word in the file.
        number: its place there, ``2``, or ``2.1`` within step 2.
        details: the rest of it, short, for people.
        deed: what it does.
    """

    name: str
    number: str
    details: str
    deed: Deed


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """What the server does in a call, step by step; then it hangs up.

    Attributes:
        name: what people call it.
        description: what it is for.
        encoding, rate: those of the calls it is made for; None: of any.
        seed: of its random delays.
        folder: where its recordings are.
        steps: in their order.
    """

    name: str
    description: str = ""
    encoding: str | None = None
    rate: int | None = None
    seed: int = 0
    folder: Path = Path()
    steps: tuple[Step, ...] = ()

    def fits(self, audio: AudioFormat) -> bool:
        """Return whether it is made for calls of this format."""
        return self.encoding in (None, audio.encoding) and self.rate in (None, audio.rate)

    @property
    def formats(self) -> str:
        """The calls it is made for, in words."""
        rate = f"{self.rate} Hz" if self.rate else ""
        return " ".join(filter(None, (self.encoding, rate))) or "any"
