"""The settings themselves: one table a command, one row a setting.

``retell_voice.settings`` has the machinery.
"""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from retell_voice.settings import Secret, Settings, Sourced, setting

_CALL, _SOUND, _SHOWN = "The call", "Sound", "What you see"
_SERVER = "The server"


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkSettings(Settings):
    """Settings of ``retell-voice talk``; top level of the file."""

    call_id: Sourced[str | None] = setting(
        None,
        "The call to join, as register-call gave it. It is a secret, and a command line is "
        "visible to every user of the machine (ps): '-' reads it from standard input.",
        _CALL,
        kind=Secret,
    )
    url: Sourced[str] = setting(
        "wss://api.retellai.com/audio-websocket",
        "Server to call; /CALL_ID is appended.",
        _CALL,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    local: Sourced[bool] = setting(
        False,
        "Start the emulator in this process, register a call with it and call that. "
        "Needs no account and no network.",
        _CALL,
    )
    interruptible: Sourced[bool] = setting(
        True,
        "With --local: the parrot falls silent when you talk over it. Without headphones rather "
        "not, or it hears and interrupts itself.",
        _CALL,
    )
    updates: Sourced[bool] = setting(
        True, "Ask the server for the transcript and for whose turn it is.", _CALL
    )
    alignment: Sourced[bool] = setting(
        False, "Ask for each piece of audio with its text, shown when it is heard.", _CALL
    )
    encoding: Sourced[str] = setting(
        "s16le",
        "Encoding with which the call was registered.",
        _SOUND,
        choices=("s16le", "mulaw"),
        metavar="NAME",
    )
    rate: Sourced[int] = setting(
        24000,
        "Sample rate with which the call was registered.",
        _SOUND,
        minimum=8000,
        maximum=48000,
        unit="Hz",
        metavar="HZ",
    )
    frame_ms: Sourced[int] = setting(
        20,
        "Length of the frames of microphone audio that are sent.",
        _SOUND,
        minimum=20,
        maximum=250,
        unit="ms",
        metavar="MS",
    )
    jitter_ms: Sourced[str] = setting(
        "40:220",
        "Lowest and highest depth of the jitter buffer, ms; in between it adapts by itself. "
        "Higher rides out a worse network, lower answers sooner.",
        _SOUND,
        metavar="MIN:MAX",
    )
    input: Sourced[str | None] = setting(
        None,
        "Microphone, by its name or a part of it ('retell-voice devices' lists them). "
        "Without it: the system's default.",
        _SOUND,
        kind=str,
        metavar="NAME",
    )
    output: Sourced[str | None] = setting(
        None,
        "Speaker, by its name or a part of it. Without it: the system's default.",
        _SOUND,
        kind=str,
        metavar="NAME",
    )
    input_file: Sourced[str | None] = setting(
        None,
        "A WAV file is the microphone, then silence. When it is over and the agent has been "
        "silent for 3 s, the call is hung up.",
        _SOUND,
        kind=str,
        metavar="WAV",
    )
    output_file: Sourced[str | None] = setting(
        None,
        "A WAV file is the speaker; one that is there is replaced.",
        _SOUND,
        kind=str,
        metavar="WAV",
    )
    json: Sourced[bool] = setting(
        False, "Print one JSON object a line for each event, on standard output.", _SHOWN
    )
    plain: Sourced[bool] = setting(
        False, "Print lines, no live screen; without a terminal that is so anyway.", _SHOWN
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class EmulatorSettings(Settings):
    """Settings of ``retell-voice emulator``; section ``[emulator]`` of the file."""

    section: ClassVar[str] = "emulator"

    host: Sourced[str] = setting(
        "127.0.0.1",
        "Address to listen at. 0.0.0.0 lets everyone on your network in.",
        _SERVER,
        metavar="ADDRESS",
    )
    port: Sourced[int] = setting(
        8080,
        "Port to listen at; 0 takes any free one.",
        _SERVER,
        minimum=0,
        maximum=65535,
        metavar="PORT",
    )
    prefix: Sourced[str] = setting(
        "", "Path before every route, for example /retell.", _SERVER, metavar="PATH"
    )
    api_key: Sourced[str | None] = setting(
        None,
        "The only API key that REST calls may carry; without it any will do. It is a secret: "
        "rather set it in the environment or the config file.",
        _SERVER,
        kind=Secret,
        metavar="KEY",
    )
    accept_any: Sourced[bool] = setting(
        False,
        "Let any call_id in, registered or not, in the format of --encoding and --rate.",
        _SERVER,
    )
    encoding: Sourced[str] = setting(
        "s16le",
        "Encoding of calls that nobody registered.",
        _SERVER,
        choices=("s16le", "mulaw"),
        metavar="NAME",
    )
    rate: Sourced[int] = setting(
        24000,
        "Sample rate of calls that nobody registered.",
        _SERVER,
        minimum=8000,
        maximum=48000,
        unit="Hz",
        metavar="HZ",
    )
    expiry: Sourced[float] = setting(
        300.0,
        "Seconds within which a registered call must be joined.",
        _SERVER,
        minimum=1,
        maximum=86400,
        unit="s",
        metavar="SECONDS",
    )
    interruptible: Sourced[bool] = setting(
        True, "Let callers talk over the parrot; not where their microphones hear it.", _SERVER
    )
    answer_pings: Sourced[bool] = setting(True, "Answer the client's heartbeat.", _SERVER)


SECTIONS: dict[str, type[Settings]] = {
    each.section: each for each in (TalkSettings, EmulatorSettings)
}
"""Sections of the file, the top level first."""
