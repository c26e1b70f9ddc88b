"""What became of the devices, and of the audio between them and the call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retell_voice.events.base import Event


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
class Levels(Event):
    """Peak levels since the last such event, dBFS, −100 for digital silence.

    ``near_end`` is you (after muting), ``far_end`` the agent as played.
    """

    near_end: float
    far_end: float
