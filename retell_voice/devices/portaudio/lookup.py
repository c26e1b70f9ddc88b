"""The available sound devices, and lookup by name.

An index is never kept: PortAudio renumbers its devices whenever one is plugged in. A device is
looked up by name each time it is opened.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from typing import Any, Literal

from retell_voice.devices.portaudio.library import NO_SOUND_HINT, in_use, portaudio
from retell_voice.errors import DeviceNotFound

Direction = Literal["input", "output"]

COMMON_RATES = (8000, 16000, 22050, 24000, 32000, 44100, 48000)
"""Rates to try, Hz."""

SERVERS = ("pulse", "default", "pipewire")
"""ALSA's names for the sound server, first the one that best survives its restart."""

_SHARED_APIS = ("Core Audio", "PulseAudio", "Windows WASAPI")
"""Host APIs that let several streams share one device."""

_WORDS = {"input": "microphone", "output": "speaker"}


@dataclass(frozen=True, slots=True)
class DeviceInfo:
    """A sound device in one direction.

    Attributes:
        channels: how many it has.
        default_rate: the rate it prefers, Hz.
        rates: those of ``COMMON_RATES`` it accepts; empty when it is busy or broken.
        is_default: whether it is used when no name is given.
        why: in words, why it is the default; empty when it is not.
    """

    name: str
    host_api: str
    direction: Direction
    channels: int
    default_rate: int
    rates: tuple[int, ...]
    is_default: bool
    why: str


@dataclass(frozen=True, slots=True)
class Found:
    """A device with its current PortAudio index."""

    index: int
    name: str
    host_api: str
    channels: int
    default_rate: int
    why: str = ""


def is_shared(device: Found) -> bool:
    """Return whether a device can have several streams at a time."""
    return device.host_api in _SHARED_APIS or (device.host_api == "ALSA" and device.name in SERVERS)


def all_devices(direction: Direction) -> list[Found]:
    """Return the devices of one direction, those of the default host API first."""
    sd = portaudio()
    apis: tuple[dict[str, Any], ...] = sd.query_hostapis()
    try:
        first = sd.query_hostapis(index=sd.default.hostapi)["name"]
    except Exception:  # there is no default: no device
        first = ""
    found = [
        Found(
            index=index,
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            channels=device[f"max_{direction}_channels"],
            default_rate=round(device["default_samplerate"]),
        )
        for index, device in enumerate(sd.query_devices())
        if device[f"max_{direction}_channels"] > 0
    ]
    return sorted(found, key=lambda device: device.host_api != first)


def default_device(direction: Direction) -> Found | None:
    """Return the device to use when no name is given, with the reason; None: no device."""
    devices = all_devices(direction)
    sd = portaudio()
    wanted = sd.default.device["input" if direction == "input" else "output"]
    chosen = next((device for device in devices if device.index == wanted), None)
    if chosen is None:
        return _because(devices[0], f"the first {direction}") if devices else None
    if chosen.host_api == "ALSA" and "(hw:" in chosen.name:
        # A raw card has one user at a time and few rates; a sound server has no such limits.
        for name in SERVERS:
            for device in devices:
                if device.name == name:
                    return _because(device, f"the sound server, rather than {chosen.name} alone")
    return _because(chosen, f"the system's default {direction}")


def instead_of(mute: Collection[Found], direction: Direction, rate: int) -> Found | None:
    """Return a replacement for default devices that pass no audio.

    Args:
        mute: those devices.
        rate: samples a second that the replacement must accept.

    Returns None when nothing else is left.
    """
    tried = {(device.name, device.host_api) for device in mute}
    # A raw card may be the one the sound server needs.
    devices = sorted(all_devices(direction), key=lambda device: device.name not in SERVERS)
    for device in (*filter(None, [default_device(direction)]), *devices):
        if (device.name, device.host_api) not in tried and channels_at(direction, device, rate):
            return _because(device, f"no audio passes through {_listed(mute)}")
    return None


def resolve(direction: Direction, name: str | None, host_api: str | None = None) -> Found:
    """Return the device with a name: the whole name, else any part of it, in any case.

    The default host API comes before the others.

    Raises:
        DeviceNotFound: there is none, or the part of a name matches several.
    """
    word = _WORDS[direction]
    if name is None:
        if (device := default_device(direction)) is None:
            raise DeviceNotFound(f"no {word}", NO_SOUND_HINT)
        return device
    devices = [d for d in all_devices(direction) if host_api is None or d.host_api == host_api]
    if not devices:
        raise DeviceNotFound(f"no {word} {name!r}, nor any other", NO_SOUND_HINT)
    for device in devices:
        if device.name == name:
            return _because(device, f"its name is {name!r}")
    part = name.casefold().strip()
    fitting = [device for device in devices if part and part in device.name.casefold()]
    whole = [device for device in fitting if device.name.casefold() == part]
    fitting = whole or [d for d in fitting if d.host_api == fitting[0].host_api]
    if not fitting:
        raise DeviceNotFound(
            f"no {word} {name!r}; available: {_listed(devices)}",
            "part of the name is enough; `retell-voice devices` lists them",
        )
    if len({device.name for device in fitting}) > 1:
        raise DeviceNotFound(
            f"{name!r} matches more than one {word}: {_listed(fitting)}", "give more of the name"
        )
    return _because(fitting[0], f"its name contains {name!r}")


def accepts(direction: Direction, index: int, rate: int, channels: int) -> bool:
    """Return whether a device supports 16-bit samples at a rate, in a number of channels."""
    sd = portaudio()
    check = sd.check_input_settings if direction == "input" else sd.check_output_settings
    try:
        check(device=index, samplerate=rate, channels=channels, dtype="int16")
    except (sd.PortAudioError, ValueError):
        return False
    return True


def best_settings(direction: Direction, device: Found, rate: int) -> tuple[int, int]:
    """Return (rate, channels) at which to open a device for a call of ``rate``.

    The call's rate if the device has it, else the device's own, else the nearest above, else
    the nearest below; one channel if it has that, else two, else as many as there are.
    When it accepts none of all these the call's rate and one channel are returned, and
    opening it will say what is wrong.
    """
    others = sorted(COMMON_RATES, key=lambda other: (other < rate, abs(other - rate)))
    for candidate in dict.fromkeys((rate, device.default_rate, *others)):
        if channels := channels_at(direction, device, candidate):
            return candidate, channels
    return rate, 1


def channels_at(direction: Direction, device: Found, rate: int) -> int:
    """Return how many channels to open at a rate: one, two, or all; 0 when it takes none."""
    counts = dict.fromkeys((1, min(2, device.channels), device.channels))
    return next((n for n in counts if accepts(direction, device.index, rate, n)), 0)


def list_devices() -> list[DeviceInfo]:
    """Return every input, then every output, those of the default host API first.

    Raises:
        DeviceError: PortAudio is not installed or does not start.
    """
    with in_use():
        return _list_devices()


def _list_devices() -> list[DeviceInfo]:
    listed = []
    for direction in ("input", "output"):
        default = default_device(direction)
        for device in all_devices(direction):
            chosen = default is not None and default.index == device.index
            listed.append(
                DeviceInfo(
                    name=device.name,
                    host_api=device.host_api,
                    direction=direction,
                    channels=device.channels,
                    default_rate=device.default_rate,
                    rates=_rates(direction, device),
                    is_default=chosen,
                    why=default.why if chosen and default else "",
                )
            )
    return listed


def _rates(direction: Direction, device: Found) -> tuple[int, ...]:
    return tuple(rate for rate in COMMON_RATES if channels_at(direction, device, rate))


def _because(device: Found, why: str) -> Found:
    return replace(device, why=why)


def _listed(devices: Iterable[Found]) -> str:
    return ", ".join(dict.fromkeys(repr(device.name) for device in devices))
