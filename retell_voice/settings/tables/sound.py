"""Settings of sound: devices, frames, the jitter buffer, echo control."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import NamedTuple

from retell_voice.settings.schema import Settings, Sourced, setting

SOUND = "Sound"
MAX_JITTER_MS = 5000
IN = ("s16le", "s24le", "s32le", "f32le", "u8", "mulaw", "alaw")
OUT = ("wav", "s16le", "f32le", "mulaw")
"""Encodings that are read and written."""


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


class RawFormat(NamedTuple):
    """How audio without a header is encoded; as text ``ENCODING:RATE[:CHANNELS]``."""

    encoding: str
    rate: int
    channels: int = 1

    @classmethod
    def read_input(cls, text: str) -> RawFormat:
        """Parse the format of a file to be read.

        Raises:
            ValueError: says what the text should be.
        """
        encoding, _, rest = text.partition(":")
        rate, mark, channels = rest.partition(":")
        if (
            encoding in IN
            and _is_rate(rate)
            and (not mark or re.fullmatch("[1-9]|[1-9][0-9]", channels))
        ):
            return cls(encoding, int(rate), int(channels or 1))
        raise ValueError(
            f"ENCODING:RATE[:CHANNELS], such as s16le:16000; encodings: {', '.join(IN)}"
        )

    @classmethod
    def read_output(cls, text: str) -> RawFormat:
        """Parse the format of a file to be written.

        Raises:
            ValueError: says what the text should be.
        """
        encoding, _, rate = text.partition(":")
        if encoding in OUT and _is_rate(rate):
            return cls(encoding, int(rate))
        raise ValueError(f"ENCODING:RATE, such as s16le:16000; encodings: {', '.join(OUT)}")

    def __str__(self) -> str:
        return ":".join(map(str, self if self.channels > 1 else self[:2]))


def _is_rate(text: str) -> bool:
    return re.fullmatch("[0-9]{4,6}", text) is not None and 4000 <= int(text) <= 192_000


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
        "a worse network, lower has less delay. In web calls 15:500 unless given.",
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
        "auto",
        "Echo control, which keeps the agent from hearing itself: webrtc cancels the echo (the "
        "extra 'echo'), half-duplex turns the microphone down while the agent is heard, system "
        "uses the sound server's canceller. auto: webrtc if installed, off with a headset.",
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
    input_file: Sourced[tuple[str, ...] | None] = setting(
        None,
        "Sound file used as the microphone, followed by silence; '-' is standard input. WAV, and "
        "with the extra 'files' FLAC, Ogg, MP3, AIFF and others. Repeatable: one after the other. "
        "When they are over and the last answer has been heard, the call is hung up.",
        SOUND,
        kind=str,
        metavar="FILE",
        repeated=True,
    )
    input_format: Sourced[RawFormat | None] = setting(
        None,
        "How --input-file is encoded if it has no header: s16le:16000, for example, or "
        f"s16le:48000:2 for two channels. One of {', '.join(IN)}.",
        SOUND,
        kind=str,
        metavar="ENCODING:RATE",
        read=RawFormat.read_input,
    )
    input_loop: Sourced[bool] = setting(
        False, "Start again with the first --input-file after the last one.", SOUND
    )
    output_file: Sourced[str | None] = setting(
        None,
        "WAV file used as the speaker; an existing file is overwritten. '-' is standard output; "
        "what the program prints then goes to standard error.",
        SOUND,
        kind=str,
        metavar="WAV",
    )
    output_format: Sourced[RawFormat | None] = setting(
        None,
        "How --output-file is written: wav:16000 or, without a header, s16le:16000, for example. "
        f"One of {', '.join(OUT)}. By default WAV at the rate of the call.",
        SOUND,
        kind=str,
        metavar="ENCODING:RATE",
        read=RawFormat.read_output,
    )
