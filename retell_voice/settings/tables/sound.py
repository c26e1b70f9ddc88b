"""Settings of sound: devices, frames, the jitter buffer, echo control."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from retell_voice.settings.schema import Settings, Sourced, setting

SOUND = "Sound"
MAX_JITTER_MS = 5000


class JitterRange(NamedTuple):
    """Lowest and highest depth of the jitter buffer, seconds; as text ``MIN:MAX``, milliseconds."""

    low: float
    high: float

    @classmethod
    def read(cls, text: str) -> JitterRange:
        """Parse a range.

        Raises:
            ValueError: says what the text should be.
        """
        low, mark, high = text.partition(":")
        if mark and low.isdecimal() and high.isdecimal() and int(low) <= int(high) <= MAX_JITTER_MS:
            return cls(int(low) / 1000, int(high) / 1000)
        raise ValueError(f"MIN:MAX, whole milliseconds, 0 ≤ MIN ≤ MAX ≤ {MAX_JITTER_MS}")

    def __str__(self) -> str:
        return f"{self.low * 1000:.0f}:{self.high * 1000:.0f}"


@dataclass(frozen=True, kw_only=True)
class SoundSettings(Settings):
    """Shared by every program that plays or records sound; top level of the file."""

    frame_ms: Sourced[int] = setting(
        20,
        "Length of the frames of microphone audio that are sent; of a web call, 20.",
        SOUND,
        minimum=20,
        maximum=250,
        unit="ms",
        metavar="MS",
    )
    jitter_ms: Sourced[JitterRange] = setting(
        JitterRange(0.04, 0.22),
        "Lowest and highest depth of the jitter buffer, ms; it adapts in between. Higher rides out "
        "a worse network, lower has less delay. Default for web calls: 15:500.",
        SOUND,
        kind=str,
        metavar="MIN:MAX",
        read=JitterRange.read,
    )
    volume: Sourced[int] = setting(
        100,
        "Volume of the agent; + and - change it during the call.",
        SOUND,
        minimum=0,
        maximum=200,
        unit="%",
        metavar="PERCENT",
    )
    echo: Sourced[str] = setting(
        "off",
        "Echo control, which keeps the agent from hearing itself: webrtc cancels the echo (the "
        "extra 'echo'), half-duplex turns the microphone down while the agent is heard, system uses "
        "the sound server's canceller. auto: webrtc if installed, off with headphones.",
        SOUND,
        choices=("auto", "webrtc", "half-duplex", "system", "off"),
        metavar="METHOD",
    )
    noise_suppression: Sourced[bool] = setting(
        False,
        "Reduce steady background noise before sending. Retell does that, too.",
        SOUND,
    )
    automatic_gain: Sourced[bool] = setting(
        False, "Bring your voice to a normal level before sending.", SOUND
    )
    input: Sourced[str | None] = setting(
        None,
        "Microphone, by name or part of it ('retell-voice devices' lists them). By default the "
        "system's default.",
        SOUND,
        kind=str,
        metavar="NAME",
    )
    output: Sourced[str | None] = setting(
        None,
        "Speaker, by name or part of it. By default the system's default.",
        SOUND,
        kind=str,
        metavar="NAME",
    )
    input_file: Sourced[str | None] = setting(
        None,
        "WAV file used as the microphone, followed by silence. When it is over and the agent has "
        "been silent for 3 s, the call is hung up.",
        SOUND,
        kind=str,
        metavar="WAV",
    )
    output_file: Sourced[str | None] = setting(
        None,
        "WAV file used as the speaker; an existing file is overwritten.",
        SOUND,
        kind=str,
        metavar="WAV",
    )
