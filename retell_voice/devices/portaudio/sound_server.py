"""What a Linux sound server knows about its devices: PulseAudio, or PipeWire in its place.

PortAudio knows the sound server as one device, ``pulse`` or ``default``. Whether that plays through
headphones, and whether an echo-cancelled source is there, only the server can say.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic
from typing import Any

from retell_voice.echo.system import SoundDevice

_SECONDS = 1.0
"""Seconds for all queries together."""


@dataclass(frozen=True, slots=True)
class SoundServer:
    """The devices of a sound server.

    Attributes:
        microphones, speakers: all there are, monitors of speakers included.
        microphone, speaker: the defaults, None if unknown.
    """

    microphones: tuple[SoundDevice, ...]
    speakers: tuple[SoundDevice, ...]
    microphone: SoundDevice | None
    speaker: SoundDevice | None


def ask(run: Callable[[list[str], float], str] | None = None) -> SoundServer | None:
    """Return what the sound server knows; None if there is none, or it does not answer in 1 s.

    ``PULSE_SOURCE`` and ``PULSE_SINK`` count as they do for every program that records or plays.

    Args:
        run: runs a command for at most this many seconds and returns its output; raises
            ``OSError`` or ``subprocess.SubprocessError``.
    """
    if run is None:
        if not sys.platform.startswith("linux"):
            return None
        run = _run
    deadline = monotonic() + _SECONDS

    def answer(*question: str) -> Any:
        return json.loads(run(["pactl", "-f", "json", *question], deadline - monotonic()))

    try:
        info = answer("info")
        microphones = _devices(answer("list", "sources"))
        speakers = _devices(answer("list", "sinks"))
        source, sink = info["default_source_name"], info["default_sink_name"]
    except (OSError, subprocess.SubprocessError, ValueError, LookupError):
        return None
    except (TypeError, AttributeError, RecursionError):  # JSON of another shape
        return None
    return SoundServer(
        microphones,
        speakers,
        _named(os.environ.get("PULSE_SOURCE") or source, microphones),
        _named(os.environ.get("PULSE_SINK") or sink, speakers),
    )


def _run(command: list[str], seconds: float) -> str:
    done = subprocess.run(  # noqa: S603 - a fixed command
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "LC_ALL": "C"},  # or some versions write broken numbers
        timeout=max(seconds, 0.0),
        check=True,
    )
    return done.stdout.decode("utf-8", "replace")


def _devices(listed: list[dict[str, Any]]) -> tuple[SoundDevice, ...]:
    return tuple(
        SoundDevice(
            name=str(each["name"]),
            description=str(each.get("description") or ""),
            form_factor=str((each.get("properties") or {}).get("device.form_factor") or ""),
            port=str(each.get("active_port") or ""),
        )
        for each in listed
    )


def _named(name: str, devices: tuple[SoundDevice, ...]) -> SoundDevice | None:
    return next((device for device in devices if device.name == name), None)
