"""Settings of ``retell-voice talk``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass

from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced, setting
from retell_voice.settings.tables.call import CALL, SHOWN, AgentCallSettings
from retell_voice.settings.tables.sound import SOUND

PHONE = "A phone provider's call"
DIALECTS = ("web", "twilio", "telnyx", "vonage", "plivo", "exotel")
"""Dialects that ``talk`` has; all but the first are those of ``transport.phone``."""


@dataclass(frozen=True, kw_only=True)
class TalkSettings(AgentCallSettings):
    """Settings of ``retell-voice talk``; top level of the file."""

    call_id: Sourced[str | None] = setting(
        None,
        "The call to join, as register-call gave it. It is a secret, and a command line is "
        "visible to every user of the machine (ps): '-' reads it from standard input.",
        CALL,
        kind=Secret,
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
        "With --local: the agent falls silent when you talk over it.",
        CALL,
    )
    dialect: Sourced[str] = setting(
        "web",
        "How the server is spoken to: web is Retell's Audio WebSocket; the others call it as that "
        "phone provider would, and --url is then dialled as it is.",
        PHONE,
        choices=DIALECTS,
        metavar="NAME",
    )
    codec: Sourced[str | None] = setting(
        None,
        "How the provider encodes audio: PCMU, PCMA, L16/16000 and the like, or two with a colon "
        "between, of the caller's and of the agent's voice; by default the provider's usual one.",
        PHONE,
        kind=str,
        metavar="NAME",
    )
    strict: Sourced[bool] = setting(
        True,
        "Tell what the phone provider would complain of, and ignore what it would ignore.",
        PHONE,
    )
    auth_token: Sourced[str | None] = setting(
        None,
        "The provider's secret, with which it shows who it is: Twilio's auth token, Telnyx' stream "
        "token, Vonage's signature secret.",
        PHONE,
        kind=Secret,
        is_option=False,
    )
    push_to_talk: Sourced[bool] = setting(
        False,
        "Begin muted; you are heard while you hold the space bar. Needs a terminal.",
        SOUND,
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
