"""A call made from the settings: its audio format, devices, recorder, and the call itself."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, BinaryIO
from urllib.parse import urlsplit

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import NullMicrophone, Raw, WavMicrophone, WavSpeaker
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.devices.sound_files.opening import STANDARD, is_pipe
from retell_voice.engine.call import Call
from retell_voice.errors import ConfigError
from retell_voice.program import stdout
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.call import CallSettings, RegistrationSettings
from retell_voice.settings.tables.sound import SoundSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.transport.ports import Route

if TYPE_CHECKING:  # most calls are not recorded
    from retell_voice.recording.recorder import Recorder

PHONE_CARD_RATE = 48_000
"""Samples a second to open a sound card with for a phone call: at 8 kHz most cards sound worse, and
some do not open."""


def audio_format(settings: RegistrationSettings) -> AudioFormat:
    """Return the format that calls are registered with."""
    return AudioFormat(Encoding(settings.encoding.value), settings.rate.value)


def phone_route_of(
    settings: TalkSettings, parameters: Mapping[str, str] | None, *, url: str, call_id: str = ""
) -> Route:
    """Return the route of a call that is made as a phone provider would make it.

    Args:
        settings: as which provider, and for whom.
        parameters: what the server is told as the call begins.
        url: of the server.
        call_id: appended to it; empty for none.

    Raises:
        ConfigError: it cannot be made like that.
    """
    from retell_voice.transport.phone import phone_route  # other calls need no provider

    return phone_route(
        settings.dialect.value,
        url,
        call_id=call_id,
        from_number=settings.from_number.value,
        to_number=settings.to_number.value,
        parameters=parameters,
        codec=settings.codec.value,
        strict=settings.strict.value,
        auth_token=settings.auth_token.value,
    )


def find_devices(
    settings: SoundSettings,
    audio: AudioFormat,
    *,
    far_end: AudioFormat | None = None,
    card_rate: int | None = None,
    speed: float = 1.0,
    waits: bool = False,
    silent: bool = False,
) -> tuple[Microphone, Speaker]:
    """Return the microphone and speaker that the settings name, not yet open; files win.

    Args:
        settings: which ones.
        audio: format of the call.
        far_end: format of the agent's voice; None: as ``audio``.
        card_rate: samples a second to open sound cards with, if supported; None: the call's.
        speed: of files, relative to real time.
        waits: each input file waits for its ``go_on``.
        silent: nothing is said with sound; there is no microphone.

    Raises:
        ConfigError: a file cannot be used.
        DeviceNotFound: no such device, or none at all.
    """
    card = audio if card_rate is None else AudioFormat(rate=card_rate)
    microphone: Microphone = (
        NullMicrophone(audio.rate, speed=speed, name="typed text")
        if silent
        else find_microphone(settings, audio, card=card, speed=speed, waits=waits)
    )
    return microphone, find_speaker(settings, far_end or audio, card=card, speed=speed)


def find_microphone(
    settings: SoundSettings,
    audio: AudioFormat,
    *,
    card: AudioFormat,
    speed: float = 1.0,
    waits: bool = False,
) -> Microphone:
    """Return the microphone alone; ``card`` is the format of a sound card, see above."""
    if (paths := settings.input_file.value) is not None:
        raw = settings.input_format.value
        return WavMicrophone(
            [os.path.expanduser(path) for path in paths],
            audio.rate,
            speed=speed,
            raw=None if raw is None else Raw(*raw),
            waits=waits,
            loops=settings.input_loop.value,
        )
    from retell_voice.devices.portaudio import devices as portaudio  # files need no sound card

    return portaudio.find_microphone(card, settings.input.value)


def find_speaker(
    settings: SoundSettings, audio: AudioFormat, *, card: AudioFormat, speed: float = 1.0
) -> Speaker:
    """Return the speaker alone; likewise."""
    if (path := settings.output_file.value) is not None:
        wanted = settings.output_format.value
        return WavSpeaker(
            os.path.expanduser(path),
            audio.rate if wanted is None else wanted.rate,
            speed=speed,
            encoding="wav" if wanted is None else wanted.encoding,
            file=_handed_over(settings.output_file) if path == STANDARD else None,
        )
    from retell_voice.devices.portaudio import devices as portaudio  # files need no sound card

    return portaudio.find_speaker(card, settings.output.value)


def uses_pipe(settings: SoundSettings) -> bool:
    """Tell whether the devices can be found only once: what a pipe has said is gone."""
    if settings.output_file.value == STANDARD:
        return True
    return any(is_pipe(os.path.expanduser(each)) for each in settings.input_file.value or ())


def claim_stdout(settings: SoundSettings) -> None:
    """Keep standard output for the agent's voice, if the settings say so; before any line.

    Raises:
        ConfigError: it is a terminal.
    """
    if settings.output_file.value != STANDARD:
        return
    if stdout.is_terminal():
        raise ConfigError(
            f"{settings.output_file.source} -: standard output is a terminal",
            "pipe it into a program, or name a file",
        )
    stdout.hand_over()


def _handed_over(given: Sourced[str | None]) -> BinaryIO:
    file = stdout.handed_over()
    if file is None:
        raise ConfigError(f"{given.source} -: this command's own lines are on standard output")
    return file


def make_recorder(settings: CallSettings) -> Recorder | None:
    """Return a recorder for one call, None if recording is off.

    Raises:
        ConfigError: its directory cannot be created or written to.
    """
    if settings.record.value is None:
        return None
    from retell_voice.recording.recorder import Recorder  # as above

    return Recorder(settings.record.value, limit=60.0 * settings.record_minutes.value)


def make_call(
    settings: CallSettings,
    route: str | Route,
    *,
    audio: AudioFormat | None = None,
    microphone: Microphone,
    speaker: Speaker,
    url: str | None = None,
    recorder: Recorder | None = None,
    level_interval: float | None = None,
) -> Call:
    """Return a call, ready to be entered.

    Args:
        settings: of the call.
        route: what is dialled, or the call_id of a registered call.
        audio: the format that one was registered with.
        microphone, speaker: the devices.
        url: where to join a registered call; None for the one in the settings.
        recorder: see ``make_recorder``.
        level_interval: seconds between ``Levels`` events, None to send none.
    """
    web: dict[str, Any] = {}
    if isinstance(route, str):
        web = {
            "url": settings.url.value if url is None else url,
            "audio": audio,
            "frame_ms": settings.frame_ms.value,
            "updates": settings.updates.value,
            "alignment": settings.alignment.value,
            "text_heartbeat": settings.text_heartbeat.value,
        }
    jitter = settings.jitter_ms
    return Call(
        route,
        **web,
        microphone=microphone,
        speaker=speaker,
        level_interval=level_interval,
        jitter=None if jitter.source == DEFAULT else jitter.value,
        volume=settings.volume.value / 100,
        echo=settings.echo.value,
        noise_suppression=settings.noise_suppression.value,
        automatic_gain=settings.automatic_gain.value,
        recorder=recorder,
    )


def host_of(url: Sourced[str]) -> str:
    """Return the host, and port if any, of a URL, without user name and password.

    Raises:
        ConfigError: it has no host, or no usable port.
    """
    try:
        parts = urlsplit(url.value)
        if not parts.hostname or parts.port == 0:
            raise ValueError("no host")
    except ValueError as error:
        raise ConfigError(f"{url.source}: the URL cannot be used: {error}") from None
    return parts.netloc.rpartition("@")[2]
