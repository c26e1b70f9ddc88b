"""Settings of ``retell-voice talk``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass

from retell_voice.protocol.dialects import DIALECTS
from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced, setting
from retell_voice.settings.tables.call import CALL, SHOWN, AgentCallSettings
from retell_voice.settings.tables.sound import SOUND

PHONE = "A phone provider's call"


@dataclass(frozen=True, kw_only=True)
class TalkSettings(AgentCallSettings):
    """Settings of ``retell-voice talk``; top level of the file."""

    call_id: Sourced[str | None] = setting(
        None,
        "The call to join, as returned by register-call. It is a secret, and every user of the "
        "machine can see command lines (ps): '-' reads it from standard input.",
        CALL,
        kind=Secret,
    )
    local: Sourced[bool] = setting(
        False,
        "Start the emulator in this process, register a call with it and join it. "
        "Needs no account and no network.",
        CALL,
    )
    llm: Sourced[str | None] = setting(
        None,
        "With --local: the custom LLM server that answers instead of the parrot; /CALL_ID is "
        "appended. TTS and ASR are set under [emulator].",
        CALL,
        kind=str,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    scenario: Sourced[str | None] = setting(
        None,
        "With --local: a TOML file that scripts what the server does.",
        CALL,
        kind=str,
        metavar="FILE",
    )
    interruptible: Sourced[bool] = setting(
        True,
        "With --local: the agent stops when you talk over it.",
        CALL,
    )
    dialect: Sourced[str] = setting(
        "web",
        "Dialect of the server: web is Retell's Audio WebSocket; with the others, the server is "
        "called as that phone provider would call it, and --url is dialled unchanged.",
        PHONE,
        choices=DIALECTS,
        metavar="NAME",
    )
    codec: Sourced[str | None] = setting(
        None,
        "Audio codec of the provider: PCMU, PCMA, L16/16000 and so on, or two, separated by a "
        "colon, for the caller's and the agent's voice; by default the provider's usual one.",
        PHONE,
        kind=str,
        metavar="NAME",
    )
    strict: Sourced[bool] = setting(
        True,
        "Report what the phone provider would complain about, and ignore what it would ignore.",
        PHONE,
    )
    auth_token: Sourced[str | None] = setting(
        None,
        "The provider's secret, with which it authenticates: Twilio's auth token, Telnyx' stream "
        "token, Vonage's signature secret.",
        PHONE,
        kind=Secret,
        is_option=False,
    )
    input_wait: Sourced[str] = setting(
        "none",
        "What each --input-file, or line of --typed, waits for. agent: for the agent's answer to "
        "what was said before, judged by what is heard, and at first for its greeting.",
        SOUND,
        choices=("none", "agent"),
        metavar="NAME",
    )
    typed: Sourced[bool] = setting(
        False,
        "With --local: type what you say instead of speaking, a line of standard input at a time. "
        "On the live screen, Enter does that without this option.",
        SOUND,
    )
    push_to_talk: Sourced[bool] = setting(
        False,
        "Start muted; hold the space bar to talk. Needs a terminal.",
        SOUND,
    )
    json: Sourced[bool] = setting(
        False, "Print each event on standard output as a JSON object, one per line.", SHOWN
    )
    levels: Sourced[bool] = setting(
        True, "With --json: print the levels, too, twelve lines per second.", SHOWN
    )
    plain: Sourced[bool] = setting(
        False, "Print lines instead of a live screen; always so without a terminal.", SHOWN
    )
