"""Talk to a Retell voice agent: a real-time voice client.

::

    async with Call(call_id) as call:
        async for event in call:
            print(event)

Programs without asyncio take ``retell_voice.sync.Call``.

Importing this package is quick: it opens no device, and the module behind a name is loaded when
the name is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retell_voice.audio.format import AudioFormat, Encoding, Samples
    from retell_voice.devices.audio_io import AudioIO
    from retell_voice.devices.echo_path import EchoPath
    from retell_voice.devices.files import NullMicrophone, NullSpeaker, WavMicrophone, WavSpeaker
    from retell_voice.devices.listener import Listener
    from retell_voice.devices.paced import PacedMicrophone, PacedSpeaker
    from retell_voice.devices.portaudio.devices import open_devices
    from retell_voice.devices.ports import (
        AdjustableLatency,
        CanRest,
        DeviceTraits,
        Microphone,
        OpensTwice,
        Sink,
        Source,
        Speaker,
    )
    from retell_voice.echo.ports import EchoControl, EchoMeasures, EchoState
    from retell_voice.engine.call import Call
    from retell_voice.engine.listen_call import ListenCall
    from retell_voice.engine.observer import Observed, Observer
    from retell_voice.engine.web_call import WebCall
    from retell_voice.errors import (
        AudioFormatError,
        CallFailed,
        ConfigError,
        ConnectError,
        DeviceError,
        DeviceLost,
        DeviceNotFound,
        FieldRefused,
        KeyRefused,
        NotFound,
        Rejected,
        RestError,
        RetellVoiceError,
        TooManyRequests,
    )
    from retell_voice.events import (
        AgentStarted,
        AgentStopped,
        Alignment,
        AudioDropped,
        BargeIn,
        CallState,
        DeviceChanged,
        DigitSent,
        EchoSuspected,
        Ended,
        Event,
        InputFinished,
        LatencyChanged,
        Levels,
        MalformedMessage,
        Metadata,
        MicrophoneSilent,
        MonitorChanged,
        NetworkChanged,
        NodeTransition,
        PacketFigures,
        ProviderComplaint,
        RecordingStopped,
        Response,
        StateChanged,
        Statistics,
        Transcript,
        TranscriptItem,
        Turn,
        UnknownMessage,
        Utterance,
        Word,
    )
    from retell_voice.protocol.gateway import Admission
    from retell_voice.protocol.monitor import CallEnded
    from retell_voice.recording.recorder import Recorder
    from retell_voice.rest.calls import CallDetails, Registration, get_call, register_call
    from retell_voice.rest.web_calls import create_web_call
    from retell_voice.transport.monitor import Monitor
    from retell_voice.transport.phone import phone_route
    from retell_voice.transport.ports import Route
    from retell_voice.transport.route import DEFAULT_URL, web_route

__version__ = "0.1.0"

__all__ = [
    "DEFAULT_URL",
    "AdjustableLatency",
    "Admission",
    "AgentStarted",
    "AgentStopped",
    "Alignment",
    "AudioDropped",
    "AudioFormat",
    "AudioFormatError",
    "AudioIO",
    "BargeIn",
    "Call",
    "CallDetails",
    "CallEnded",
    "CallFailed",
    "CallState",
    "CanRest",
    "ConfigError",
    "ConnectError",
    "DeviceChanged",
    "DeviceError",
    "DeviceLost",
    "DeviceNotFound",
    "DeviceTraits",
    "DigitSent",
    "EchoControl",
    "EchoMeasures",
    "EchoPath",
    "EchoState",
    "EchoSuspected",
    "Encoding",
    "Ended",
    "Event",
    "FieldRefused",
    "InputFinished",
    "KeyRefused",
    "LatencyChanged",
    "Levels",
    "ListenCall",
    "Listener",
    "MalformedMessage",
    "Metadata",
    "Microphone",
    "MicrophoneSilent",
    "Monitor",
    "MonitorChanged",
    "NetworkChanged",
    "NodeTransition",
    "NotFound",
    "NullMicrophone",
    "NullSpeaker",
    "Observed",
    "Observer",
    "OpensTwice",
    "PacedMicrophone",
    "PacedSpeaker",
    "PacketFigures",
    "ProviderComplaint",
    "Recorder",
    "RecordingStopped",
    "Registration",
    "Rejected",
    "Response",
    "RestError",
    "RetellVoiceError",
    "Route",
    "Samples",
    "Sink",
    "Source",
    "Speaker",
    "StateChanged",
    "Statistics",
    "TooManyRequests",
    "Transcript",
    "TranscriptItem",
    "Turn",
    "UnknownMessage",
    "Utterance",
    "WavMicrophone",
    "WavSpeaker",
    "WebCall",
    "Word",
    "create_web_call",
    "get_call",
    "open_devices",
    "phone_route",
    "register_call",
    "web_route",
]

_ROOMS = (
    "errors",
    "events",
    "audio.format",
    "devices.ports",
    "devices.paced",
    "devices.files",
    "devices.listener",
    "echo.ports",
    "devices.echo_path",
    "devices.audio_io",
    "engine.observer",
    "recording.recorder",
    "rest.calls",
    "transport.ports",
    "transport.route",
    "transport.phone",
    "protocol.monitor",
    "transport.monitor",
    "protocol.gateway",
    "rest.web_calls",
    "engine.web_call",
    "engine.listen_call",
    "engine.call",
    "devices.portaudio.devices",
)
"""Where the public names live, cheapest first."""


def __getattr__(name: str) -> Any:
    if name == "sync":
        return import_module(f"{__name__}.sync")
    if name in __all__:
        for room in _ROOMS:
            found = vars(import_module(f"{__name__}.{room}")).get(name)
            if found is not None:
                globals()[name] = found
                return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
