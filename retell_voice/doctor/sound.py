"""Are there a microphone and a speaker, and does one hear the other?"""

from __future__ import annotations

import os
import socket
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.levels import dbfs, peak
from retell_voice.devices.portaudio.library import portaudio
from retell_voice.devices.portaudio.lookup import list_devices
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.doctor.acoustics import (
    CHIME_SECONDS,
    judge_clock,
    judge_level,
    judge_round_trip,
)
from retell_voice.doctor.echo import judge_echo, judge_way
from retell_voice.doctor.ends import CHIMES, EVERY, Ear, Mouth, echo_levels, round_trips
from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.echo.choice import Choice
from retell_voice.errors import DeviceError

if TYPE_CHECKING:
    from retell_voice.devices.portaudio.devices import PortAudioMicrophone, PortAudioSpeaker

Meter = Callable[[float, float], None]
"""Shows the level of the microphone: dBFS, and seconds left."""

_FIRST_BLOCK = 1.5
_TICK = 0.05


def examine(
    audio: AudioFormat,
    input_name: str | None,
    output_name: str | None,
    *,
    echo: str,
    seconds: float,
    chimes: bool,
    ask: Callable[[], None],
    meter: Meter,
) -> Iterator[Finding]:
    """Check the devices that a call would use.

    Args:
        audio: format of the call.
        input_name, output_name: names of devices or parts of them, None for the defaults.
        echo: the requested method of echo control.
        seconds: how long to listen while somebody speaks.
        chimes: whether to play sound; without it the speaker stays silent, and a machine without
            sound is not a failure, unless a device was named.
        ask: called when it is time to speak.
        meter: told the level while listening.
    """
    worst = Verdict.FAIL if chimes or input_name or output_name else Verdict.WARN
    try:
        found = portaudio().get_portaudio_version()[1]
        # Its full text ends in a hexadecimal revision of no use to anybody.
        yield Finding("sound", "PortAudio", Verdict.PASS, found.split(", revision")[0])
    except DeviceError as error:
        yield _failed("PortAudio", error, worst)
        return
    if sys.platform == "linux":
        yield judge_server(server_sockets(os.environ))
        yield judge_permissions(Path("/dev/snd"), os.access)
    try:
        microphone, speaker = _find(audio, input_name, output_name)
    except DeviceError as error:
        yield _failed("devices", error, worst)
        return
    for device, word in ((microphone, "microphone"), (speaker, "speaker")):
        yield judge_device(word, device.name, device.why, device.rate, audio.rate)
    yield _rates(microphone.name, speaker.name)
    choice, finding = judge_way(echo, microphone, speaker)
    yield finding
    ear = Ear()
    try:
        microphone.start(ear)
    except DeviceError as error:
        yield _failed("microphone", error)
        return
    try:
        yield from _listen(ear, microphone, seconds, ask, meter)
        if chimes:
            yield from _play(ear, microphone, speaker, choice)
        else:
            skipped = "skipped (--no-sound)"
            yield Finding("sound", "speaker", Verdict.PASS, skipped)
    finally:
        microphone.stop()


def judge_server(found: list[str]) -> Finding:
    """Judge which sound servers answer on this machine (Linux)."""
    if found:
        return Finding("sound", "sound server", Verdict.PASS, f"running: {', '.join(found)}")
    return Finding(
        "sound",
        "sound server",
        Verdict.WARN,
        "none answers; with plain ALSA only one program at a time can use a card",
        "start it: systemctl --user start pipewire pipewire-pulse (or pulseaudio --start); "
        "in a container or over SSH set PULSE_SERVER and XDG_RUNTIME_DIR",
    )


def server_sockets(environ: Mapping[str, str]) -> list[str]:
    """Return the names of the sound servers that answer."""
    runtime = environ.get("XDG_RUNTIME_DIR") or "/nonexistent"
    pulse = environ.get("PULSE_SERVER", "")
    if pulse and not pulse.startswith(("unix:", "/")):
        return [f"PulseAudio at {pulse}"]  # over the network: PortAudio will find out
    places = {
        "PipeWire": f"{runtime}/pipewire-0",
        "PulseAudio": pulse.removeprefix("unix:") or f"{runtime}/pulse/native",
    }
    return [name for name, path in places.items() if _answers(path)]


def _answers(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as end:
        end.settimeout(1.0)
        with suppress(OSError):
            end.connect(path)
            return True
    return False


def judge_permissions(folder: Path, may: Callable[[Path, int], bool]) -> Finding:
    """Judge whether this user may use the cards of this machine (Linux)."""
    cards = sorted(folder.glob("pcm*")) if folder.is_dir() else []
    if not cards:
        says = "no sound card in this machine (a container, or a remote sound server)"
        return Finding("sound", "permissions", Verdict.PASS, says)
    if all(may(card, os.R_OK | os.W_OK) for card in cards):
        return Finding("sound", "permissions", Verdict.PASS, "you may use the sound cards")
    return Finding(
        "sound",
        "permissions",
        Verdict.WARN,
        f"no permission to open {cards[0]}; a sound server may open it for you",
        "if there is none: sudo usermod -aG audio $USER, then log in again",
    )


def judge_device(word: str, name: str, why: str, rate: int, wanted: int) -> Finding:
    """Judge the chosen device and the rate at which it would be opened."""
    says = f"{name} ({why})" if why else name
    says += f", opened at {rate} Hz"
    if rate != wanted:
        says += f" and resampled, as it does not support the call's {wanted} Hz"
    return Finding("sound", word, Verdict.PASS, says, figures={"rate_hz": rate})


def zeros_hint() -> str:
    """Return what to do, on this system, about a microphone that delivers only zeros."""
    if sys.platform == "darwin":
        return (
            "allow your terminal the microphone: System Settings → Privacy & Security → "
            "Microphone; then restart the terminal"
        )
    if sys.platform == "win32":
        return "Settings → Privacy → Microphone: allow desktop apps; or it is muted"
    return "it is muted: pactl set-source-mute @DEFAULT_SOURCE@ 0, or its own switch"


def _find(
    audio: AudioFormat, input_name: str | None, output_name: str | None
) -> tuple[PortAudioMicrophone, PortAudioSpeaker]:
    from retell_voice.devices.portaudio.devices import open_devices  # noqa: PLC0415 - opens PortAudio

    return open_devices(audio, input_name, output_name)


def _rates(microphone: str, speaker: str) -> Finding:
    """Say which rates the chosen devices support."""
    rates = {
        word: next((d.rates for d in list_devices() if (d.direction, d.name) == key), ())
        for word, key in (
            ("microphone", ("input", microphone)),
            ("speaker", ("output", speaker)),
        )
    }
    if not all(rates.values()):
        busy = " and ".join(word for word, each in rates.items() if not each)
        hint = "another program may be using it: close that, or use a sound server"
        return Finding("sound", "rates", Verdict.WARN, f"{busy}: busy or broken", hint)
    says = "; ".join(f"{word} {' '.join(map(str, each))}" for word, each in rates.items())
    return Finding("sound", "rates", Verdict.PASS, f"{says} Hz")


def _listen(
    ear: Ear, microphone: Microphone, seconds: float, ask: Callable[[], None], meter: Meter
) -> Iterator[Finding]:
    began = time.monotonic()
    while not ear.count and not ear.gone and time.monotonic() - began < _FIRST_BLOCK:
        time.sleep(_TICK)
    if not ear.count:
        why = ear.gone or "it was opened, but no sound comes from it"
        hint = "choose another one with --input ('retell-voice devices' lists them)"
        yield Finding("sound", "microphone", Verdict.FAIL, f"{microphone.name}: {why}", hint)
        return
    ask()
    began, first = time.monotonic(), ear.count
    shown = first
    while (left := seconds - (time.monotonic() - began)) > 0 and not ear.gone:
        time.sleep(min(_TICK, left))
        level = dbfs(peak(ear.samples(shown)))
        shown = ear.count
        meter(level, max(0.0, left))
    blocks = ear.since(first)
    yield judge_level(ear.samples(first), microphone.rate, zeros_hint())
    if len(blocks) > 1:
        # From block to block: the first one was captured before.
        passed = sum(len(each) for _, each in blocks[1:])
        elapsed = blocks[-1][0] - blocks[0][0]
        yield judge_clock("microphone", microphone.rate, passed, elapsed)
    if ear.xruns:
        hint = "the machine or the USB port is busy: close other programs, try another port"
        says = f"audio was lost {ear.xruns} times"
        yield Finding("sound", "microphone", Verdict.WARN, says, hint, {"xruns": ear.xruns})


def _play(ear: Ear, microphone: Microphone, speaker: Speaker, choice: Choice) -> Iterator[Finding]:
    mouth = Mouth(speaker.rate)
    first = ear.count
    try:
        speaker.start(mouth)
    except DeviceError as error:
        yield _failed("speaker", error)
        return
    try:
        mouth.over.wait(CHIMES * EVERY + CHIME_SECONDS + 2 * _FIRST_BLOCK)
        time.sleep(2 * _TICK)
    finally:
        speaker.stop()
    if mouth.gone or len(mouth.asked) < CHIMES:
        why = mouth.gone or "it was opened, but plays no sound"
        hint = "choose another one with --output ('retell-voice devices' lists them)"
        yield Finding("sound", "speaker", Verdict.FAIL, f"{speaker.name}: {why}", hint)
        return
    says = f"{CHIMES} chimes were played: did you hear them?"
    yield Finding(
        "sound",
        "speaker",
        Verdict.WARN if mouth.xruns else Verdict.PASS,
        says + (f" There were {mouth.xruns} gaps" if mouth.xruns else ""),
        "the machine is busy: close other programs" if mouth.xruns else "",
        {"gaps": mouth.xruns, "latency_ms": round((speaker.latency or 0) * 1000, 1)},
    )
    # The first blocks come in a burst that fills the device's buffer.
    settled = mouth.marks[len(mouth.marks) // 4 :]
    if len(settled) > 1:
        elapsed = settled[-1][0] - settled[0][0]
        yield judge_clock("speaker", speaker.rate, settled[-1][1] - settled[0][1], elapsed)
    if heard := ear.since(first):
        yield judge_round_trip(round_trips(mouth.asked, heard, microphone.rate))
        yield judge_echo(echo_levels(mouth.asked, heard, microphone.rate), choice)


def _failed(check: str, error: DeviceError, verdict: Verdict = Verdict.FAIL) -> Finding:
    return Finding("sound", check, verdict, str(error), error.hint)
