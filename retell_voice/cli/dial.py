"""What ``talk`` is to dial: a call_id, a new call, a web call, or the emulator's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retell_voice.audio.format import AudioFormat
from retell_voice.cli.call_id import read_call_id
from retell_voice.cli.phone import PhoneCall, phone_call
from retell_voice.devices.sound_files.opening import STANDARD
from retell_voice.errors import ConfigError
from retell_voice.program.call_fields import CallFields, call_fields, check_unused
from retell_voice.program.opening import (
    audio_format,
    find_devices,
    find_speaker,
    host_of,
    make_recorder,
    uses_pipe,
)
from retell_voice.secret import mask
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.transport.ports import Route

if TYPE_CHECKING:  # the Audio WebSocket needs none of it
    from retell_voice.engine.web_call import WebCall

WEB_FRAME_MS = 20
_WEB_AUDIO = AudioFormat(rate=48000)


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What is to be dialled.

    Attributes:
        settings: with what follows from the kind of call.
        told: what a new call is told.
        audio: format of what the devices are opened for.
        call_id: of a call over the Audio WebSocket; empty for another.
        is_web: it is a web call.
        web: that call; None for another, and for the emulator's, which is yet to be made.
        phone: how it is made as a phone provider makes it; None: it is not.
    """

    settings: TalkSettings
    told: CallFields
    audio: AudioFormat
    call_id: str = ""
    is_web: bool = False
    web: WebCall | None = None
    phone: PhoneCall | None = None

    @property
    def format(self) -> str:
        """The formats of both directions, for people."""
        if self.phone is not None:
            return self.phone.audio
        return f"{'opus' if self.is_web else self.audio.encoding} {self.audio.rate} Hz"

    def route(self, url: str, call_id: str) -> Route | str:
        """Return what is dialled: a call_id stands for a registered call.

        Args:
            url: of the server.
            call_id: of the call, where there is one by now.
        """
        if self.phone is not None:
            return self.phone.route(url, call_id)
        return self.web or call_id

    def label(self, call_id: str) -> str:
        """Return what a screen calls the call; the call_id is masked."""
        if call_id or self.phone is None:
            return mask(call_id) if call_id else ""
        return f"as {self.phone.provider}"


def find_target(
    settings: TalkSettings,
    *,
    metadata: Sequence[str],
    variables: Sequence[str],
    parameters: Sequence[str],
    web_call: str | None,
    speed: float,
) -> Target:
    """Return what the command line, the environment and the file say is to be dialled.

    Where they name an agent at an Audio WebSocket, a call is registered with it.

    Args:
        settings: of the call, settled.
        metadata, variables: ``NAME=VALUE`` each, for a new call.
        parameters: the same, for a call that is made as a phone provider makes it.
        web_call: where the admission to a web call is to be read.
        speed: see ``talk``.

    Raises:
        ConfigError: they contradict each other, or name nothing.
        RetellVoiceError: the call cannot be registered.
    """
    _check_one(settings, web_call)
    if settings.agent.is_flag and not settings.agent.value:
        raise ConfigError(
            f"{settings.agent.source} is empty", "name one: `retell-voice agents` lists them"
        )
    phone = phone_call(settings, parameters)
    told = call_fields(settings, metadata, variables)
    if phone is not None:
        if web_call is not None:
            raise ConfigError(
                f"--web-call and {settings.dialect.source} exclude each other: give one"
            )
        return _phone_target(phone, settings, told, metadata, variables)
    audio = audio_format(settings)
    if web_call is not None:
        from retell_voice.program import web_calls  # as above

        check_unused(settings, metadata, variables)
        _check_no_web_options(settings)
        web = web_calls.web_call_from(settings, web_call)
        settings = replace(settings, agent=Sourced(None), local=Sourced(False))
        return _web_target(settings, told, web)
    if settings.agent.value:
        from retell_voice.cli.register import registered, tell_wait  # only where one is made
        from retell_voice.program import web_calls  # as above

        if web_calls.is_web_call(settings):
            web = web_calls.new_web_call(settings, told, waiting=tell_wait, plain=True)
            web_calls.require_packages(settings.agent.value)
            return _web_target(settings, told, web)
        _check_no_web_options(settings)
        settings = _at_api_host(settings)
        _check_all(settings, audio, speed)  # before a call is registered for nothing
        call = registered(settings, told)
        return Target(settings=settings, told=told, audio=call.audio, call_id=call.call_id)
    _check_no_web_options(settings)
    webrtc = settings.transport.is_flag and settings.transport.value == "webrtc"
    if webrtc and not settings.local.value:
        raise ConfigError(
            f"{settings.transport.source} webrtc: a web call is made with --agent or --local, or "
            "joined with --web-call",
            "CALL_ID is for a call over the Audio WebSocket",
        )
    if settings.local.value:
        return _local_target(settings, told)
    check_unused(settings, metadata, variables)
    call_id = _call_id(settings.call_id)
    if settings.api_url.source != DEFAULT:
        settings = _at_api_host(settings)
    host_of(settings.url)  # before devices are opened for nothing
    return Target(settings=settings, told=told, audio=audio, call_id=call_id)


def _check_all(settings: TalkSettings, audio: AudioFormat, speed: float) -> None:
    """See that a call can be held with the devices, the files and the echo control asked for.

    Raises:
        ConfigError, DeviceNotFound: it cannot.
    """
    make_recorder(settings)
    if uses_pipe(settings):  # which is read once
        if settings.output_file.value not in (None, STANDARD):
            find_speaker(settings, audio, card=audio, speed=speed)
        return
    microphone, speaker = find_devices(
        settings, audio, speed=speed, silent=bool(settings.typed.value)
    )
    if settings.echo.value != "auto":  # which is content with none
        from retell_voice.devices.echo_path import check_method  # as above

        check_method(settings.echo.value, microphone, speaker)


def _at_api_host(settings: TalkSettings) -> TalkSettings:
    """Return settings whose URL, unless it was given, is on the host that registers calls."""
    if settings.url.source != DEFAULT:
        return settings
    from retell_voice.program.registration import audio_url  # others need no REST

    api = settings.api_url
    return replace(settings, url=Sourced(audio_url(api.value), api.source))


def _local_target(settings: TalkSettings, told: CallFields) -> Target:
    if settings.transport.value != "webrtc":
        return Target(settings=settings, told=told, audio=audio_format(settings))
    from retell_voice.program.web_calls import check_options  # as above
    from retell_voice.transport.webrtc.route import find_libraries

    check_options(settings)
    find_libraries()
    return Target(settings=settings, told=told, audio=_WEB_AUDIO, is_web=True)


def _phone_target(
    phone: PhoneCall,
    settings: TalkSettings,
    told: CallFields,
    metadata: Sequence[str],
    variables: Sequence[str],
) -> Target:
    _check_no_web_options(settings)
    call_id = ""
    if not settings.local.value:
        check_unused(phone.without_numbers, metadata, variables)
        call_id = _call_id(settings.call_id) if settings.call_id.value else ""
        host_of(settings.url)
    return Target(settings=settings, told=told, audio=phone.near_end, call_id=call_id, phone=phone)


def _check_no_web_options(settings: TalkSettings) -> None:
    for each in (settings.node, settings.state):
        if each.is_flag:
            raise ConfigError(f"{each.source} is for a new web call: --agent makes one")


def _web_target(settings: TalkSettings, told: CallFields, web: WebCall) -> Target:
    # It is held where it was made.
    settings = replace(settings, url=settings.api_url)
    return Target(settings=settings, told=told, audio=_WEB_AUDIO, is_web=True, web=web)


def _check_one(settings: TalkSettings, web_call: str | None) -> None:
    if settings.local.value and settings.call_id.is_flag:
        raise ConfigError(f"{settings.local.source} registers a call of its own: leave CALL_ID out")
    if web_call is None:
        return
    if web_call == "-":
        for reader in (settings.input_file, settings.typed):
            if reader.value is True or "-" in (reader.value or ()):
                raise ConfigError(f"--web-call - and {reader.source} both read standard input")
    for each in (settings.call_id, settings.agent, settings.local):
        if each.is_flag and each.value:
            raise ConfigError(f"--web-call and {each.source} exclude each other: give one")
    if settings.transport.is_flag and settings.transport.value == "websocket":
        raise ConfigError(f"--web-call and {settings.transport.source} websocket: give one")


def _call_id(given: Sourced[str | None]) -> str:
    call_id = read_call_id(given.value or "")
    if not call_id and given.value == "-":
        raise ConfigError(
            "standard input was empty: no call_id came", "did the command before the pipe fail?"
        )
    if not call_id:
        raise ConfigError(
            "no call to join: --agent makes one, --local talks to the built-in emulator",
            "or give the CALL_ID that register-call returned; RETELL_VOICE_CALL_ID, or '-' for "
            "standard input, keep it out of ps",
        )
    return call_id
