"""What a call tells you: a single stream of these, in the order they happened.

Every event carries ``at``: seconds since the call was opened (monotonic clock).
All durations are seconds, all levels dBFS, unless a field says otherwise.
"""

from retell_voice.events.base import CallState, Event, Role
from retell_voice.events.connection import (
    DigitSent,
    Ended,
    MalformedMessage,
    MonitorChanged,
    NetworkChanged,
    ProviderComplaint,
    StateChanged,
    UnknownMessage,
)
from retell_voice.events.devices import (
    AudioDropped,
    DeviceChanged,
    EchoSuspected,
    InputFinished,
    LatencyChanged,
    Levels,
    MicrophoneSilent,
    RecordingStopped,
)
from retell_voice.events.speech import (
    AgentStarted,
    AgentStopped,
    Alignment,
    BargeIn,
    Metadata,
    NodeTransition,
    Response,
    Transcript,
    TranscriptItem,
    Turn,
    Utterance,
    Word,
)
from retell_voice.events.statistics import PacketFigures, Statistics

__all__ = [
    "AgentStarted",
    "AgentStopped",
    "Alignment",
    "AudioDropped",
    "BargeIn",
    "CallState",
    "DeviceChanged",
    "DigitSent",
    "EchoSuspected",
    "Ended",
    "Event",
    "InputFinished",
    "LatencyChanged",
    "Levels",
    "MalformedMessage",
    "Metadata",
    "MicrophoneSilent",
    "MonitorChanged",
    "NetworkChanged",
    "NodeTransition",
    "PacketFigures",
    "ProviderComplaint",
    "RecordingStopped",
    "Response",
    "Role",
    "StateChanged",
    "Statistics",
    "Transcript",
    "TranscriptItem",
    "Turn",
    "UnknownMessage",
    "Utterance",
    "Word",
]
