"""The arguments of a call, checked before anything is opened."""

from __future__ import annotations

from typing import Any

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.ports import check_device
from retell_voice.errors import AudioFormatError
from retell_voice.transport.ports import Route

DEFAULT_FRAME_MS = 20


def check_audio(audio: object, *, devices: bool, processing: bool) -> None:
    """Raise TypeError unless ``audio`` is a format or an ``AudioIO``, which brings its own devices
    and processing."""
    if not isinstance(audio, AudioFormat | AudioIO | None):
        raise TypeError(
            f"audio= takes an AudioFormat or an AudioIO, not {_described(audio)}: "
            'AudioFormat("s16le", 24000), for example'
        )
    if isinstance(audio, AudioIO) and devices:
        raise TypeError("audio=AudioIO(…) brings its own microphone and speaker")
    if isinstance(audio, AudioIO) and processing:
        raise TypeError("audio=AudioIO(…) has its own echo control")


def check_parts(microphone: object, speaker: object, recorder: object) -> None:
    """Raise DeviceError for what is no device, TypeError for what is no observer."""
    if microphone is not None:
        check_device(microphone, "microphone")
    if speaker is not None:
        check_device(speaker, "speaker")
    if recorder is not None and (isinstance(recorder, type) or not hasattr(recorder, "begin")):
        raise TypeError(f"recorder= takes a Recorder or an observer, not {_described(recorder)}")


def route_of(route: Route | str, **web: Any) -> Route:
    """Return a route: the one given, or that of a registered call; raises TypeError."""
    given = {name: value for name, value in web.items() if value is not None}
    if isinstance(route, str):
        from retell_voice.transport.route import web_route  # noqa: PLC0415 - no other needs it

        return web_route(route, **given)
    if isinstance(route, type) or not callable(getattr(route, "connect", None)):
        raise TypeError(f"a call takes a call_id or a route, not {_described(route)}")
    if given:
        raise TypeError(f"a route states these itself: {', '.join(given)}")
    return route


def frame_ms_of(wanted: int | None, route: Route) -> int:
    """Return the length of a frame; raises AudioFormatError if it is not the route's."""
    if wanted is None:
        return route.frame_ms or DEFAULT_FRAME_MS
    if route.frame_ms not in (None, wanted):
        raise AudioFormatError(f"{route.label} takes frames of {route.frame_ms} ms, not {wanted}")
    return wanted


def _described(value: object) -> str:
    """Describe a wrong argument, for its user."""
    if isinstance(value, type):
        return f"the class {value.__name__}"
    return repr(value) if isinstance(value, str) else type(value).__name__
