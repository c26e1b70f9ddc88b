"""Settings of ``retell-voice talk``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass

from retell_voice.settings.schema import Secret, Sourced, setting
from retell_voice.settings.tables.call import CALL, SHOWN, SOUND, CallSettings

MAX_JITTER_MS = 5000


def jitter_range(text: str) -> tuple[float, float]:
    """Return the lowest and highest depth of the jitter buffer, seconds.

    Raises:
        ValueError: says what the text should be.
    """
    low, mark, high = text.partition(":")
    if mark and low.isdecimal() and high.isdecimal() and int(low) <= int(high) <= MAX_JITTER_MS:
        return int(low) / 1000, int(high) / 1000
    raise ValueError(f"MIN:MAX, whole milliseconds, 0 ≤ MIN ≤ MAX ≤ {MAX_JITTER_MS}")


@dataclass(frozen=True, slots=True, kw_only=True)
class TalkSettings(CallSettings):
    """Settings of ``retell-voice talk``; top level of the file."""

    call_id: Sourced[str | None] = setting(
        None,
        "The call to join, as register-call gave it. It is a secret, and a command line is "
        "visible to every user of the machine (ps): '-' reads it from standard input.",
        CALL,
        kind=Secret,
    )
    url: Sourced[str] = setting(
        "wss://api.retellai.com/audio-websocket",
        "Server to call; /CALL_ID is appended. With --agent, without it: that of --api-url.",
        CALL,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    local: Sourced[bool] = setting(
        False,
        "Start the emulator in this process, register a call with it and call that. "
        "Needs no account and no network.",
        CALL,
    )
    llm: Sourced[str | None] = setting(
        None,
        "With --local: the custom LLM server that answers, instead of the parrot; /CALL_ID is "
        "appended. How it speaks and hears is set under [emulator].",
        CALL,
        kind=str,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    scenario: Sourced[str | None] = setting(
        None,
        "With --local: a TOML file that says what the server does and when.",
        CALL,
        kind=str,
        metavar="FILE",
    )
    interruptible: Sourced[bool] = setting(
        True,
        "With --local: the agent falls silent when you talk over it. Without headphones rather "
        "not, or it hears and interrupts itself.",
        CALL,
    )
    updates: Sourced[bool] = setting(
        True, "Ask the server for the transcript and for whose turn it is.", CALL
    )
    alignment: Sourced[bool] = setting(
        False, "Ask for each piece of audio with its text, shown when it is heard.", CALL
    )
    text_heartbeat: Sourced[bool] = setting(
        False,
        "Send the text 'ping' beside WebSocket's own ping, as Retell's browser client did. Some "
        "servers count on it; it ends others, which read JSON only.",
        CALL,
    )
    frame_ms: Sourced[int] = setting(
        20,
        "Length of the frames of microphone audio that are sent.",
        SOUND,
        minimum=20,
        maximum=250,
        unit="ms",
        metavar="MS",
    )
    jitter_ms: Sourced[str] = setting(
        "40:220",
        "Lowest and highest depth of the jitter buffer, ms; in between it adapts by itself. "
        "Higher rides out a worse network, lower answers sooner.",
        SOUND,
        metavar="MIN:MAX",
        read=jitter_range,
    )
    volume: Sourced[int] = setting(
        100,
        "How loud the agent is; + and - change it during the call.",
        SOUND,
        minimum=0,
        maximum=200,
        unit="%",
        metavar="PERCENT",
    )
    input: Sourced[str | None] = setting(
        None,
        "Microphone, by its name or a part of it ('retell-voice devices' lists them). "
        "Without it: the system's default.",
        SOUND,
        kind=str,
        metavar="NAME",
    )
    output: Sourced[str | None] = setting(
        None,
        "Speaker, by its name or a part of it. Without it: the system's default.",
        SOUND,
        kind=str,
        metavar="NAME",
    )
    input_file: Sourced[str | None] = setting(
        None,
        "A WAV file is the microphone, then silence. When it is over and the agent has been "
        "silent for 3 s, the call is hung up.",
        SOUND,
        kind=str,
        metavar="WAV",
    )
    output_file: Sourced[str | None] = setting(
        None,
        "A WAV file is the speaker; one that is there is replaced.",
        SOUND,
        kind=str,
        metavar="WAV",
    )
    push_to_talk: Sourced[bool] = setting(
        False,
        "Begin muted; you are heard while you hold the space bar. Needs a terminal.",
        SOUND,
    )
    record: Sourced[str | None] = setting(
        None,
        "Record the call in a directory of its own under this one, as it goes: both voices (WAV), "
        "the transcript and all events. Only you can read it.",
        SHOWN,
        kind=str,
        metavar="DIR",
    )
    record_minutes: Sourced[int] = setting(
        120,
        "Recording ends after so long; the call goes on.",
        SHOWN,
        minimum=1,
        maximum=1440,
        unit="min",
        metavar="MINUTES",
    )
    json: Sourced[bool] = setting(
        False, "Print one JSON object a line for each event, on standard output.", SHOWN
    )
    levels: Sourced[bool] = setting(
        True, "With --json: print the levels, too, twelve lines a second.", SHOWN
    )
    plain: Sourced[bool] = setting(
        False, "Print lines, no live screen; without a terminal that is so anyway.", SHOWN
    )
