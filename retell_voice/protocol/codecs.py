"""What audio is encoded with in the phone providers' dialects.

µ-law stays as it is: a call's own audio can be that. All else is 16-bit little-endian PCM in a
call, and is turned into its codec, sample by sample, on its way out and back on its way in.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass
from typing import Literal

from retell_voice.errors import ConfigError, did_you_mean, show

with warnings.catch_warnings():  # as in audio.format
    warnings.simplefilter("ignore", DeprecationWarning)
    import audioop

CodecName = Literal["PCMU", "PCMA", "L16", "L16BE"]
LINEAR = ("L16", "L16BE")
_RATES = {"PCMU": (8000,), "PCMA": (8000,)}
_LINEAR_RATES = (8000, 16000, 22050, 24000, 48000)
_TEXT = re.compile(r"([A-Z]+[0-9]*[A-Z]*)(?:/([0-9]{1,6}))?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Codec:
    """How the audio of one direction is encoded.

    Attributes:
        name: ``PCMU`` (µ-law), ``PCMA`` (A-law), ``L16`` (16-bit PCM, little-endian) or ``L16BE``
            (the same, big-endian).
        rate: samples a second.

    Raises:
        ConfigError: there is no such codec, or not at that rate.
    """

    name: CodecName = "PCMU"
    rate: int = 8000

    def __post_init__(self) -> None:
        names = (*_RATES, *LINEAR)
        if self.name not in names:
            hint = did_you_mean(str(self.name), names)
            raise ConfigError(f"there is no codec {show(self.name)} here", hint)
        rates = _RATES.get(self.name, _LINEAR_RATES)
        if self.rate not in rates:
            raise ConfigError(
                f"{self.name} has no rate of {self.rate} Hz", f"known: {', '.join(map(str, rates))}"
            )

    def __str__(self) -> str:
        return f"{self.name}/{self.rate}"

    @classmethod
    def parse(cls, text: str) -> Codec:
        """Read a name, with a rate or without: ``PCMU``, ``L16/16000``; L16 alone is at 16 kHz.

        Raises:
            ConfigError: there is no such codec.
        """
        found = _TEXT.fullmatch(text.strip().upper())
        if found is None:
            raise ConfigError(f"{show(text)} is no codec", "for example PCMU, PCMA, L16/16000")
        rate = found[2] or ("8000" if found[1] in _RATES else "16000")
        return cls(found[1], int(rate))  # type: ignore[arg-type]  # it is checked there

    @property
    def is_mulaw(self) -> bool:
        """Whether a call's own audio is in this codec as µ-law; if not it is 16-bit PCM."""
        return self.name == "PCMU"

    @property
    def width(self) -> int:
        """Bytes per sample on the wire."""
        return 1 if self.name in _RATES else 2

    def seconds(self, data: bytes) -> float:
        """Return how long encoded audio lasts."""
        return len(data) / self.width / self.rate

    def encode(self, audio: bytes) -> bytes:
        """Return a call's audio, whole samples, as it goes over the wire."""
        match self.name:
            case "PCMA":
                return bytes(audioop.lin2alaw(audio, 2))
            case "L16BE":
                return bytes(audioop.byteswap(audio, 2))
        return audio

    def decode(self, data: bytes) -> bytes:
        """Return what came over the wire, whole samples, as a call's audio."""
        match self.name:
            case "PCMA":
                return bytes(audioop.alaw2lin(data, 2))
            case "L16BE":
                return bytes(audioop.byteswap(data, 2))
        return data


def transcode(audio: bytes, *, is_mulaw: bool, to_mulaw: bool) -> bytes:
    """Return µ-law or 16-bit PCM as either of them, at the same rate."""
    if is_mulaw == to_mulaw:
        return audio
    return bytes(audioop.lin2ulaw(audio, 2) if to_mulaw else audioop.ulaw2lin(audio, 2))


PCMU = Codec()
