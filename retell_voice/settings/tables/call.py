"""Settings of a call: how it is registered, and how it is held."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import urlsplit

from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, setting
from retell_voice.settings.tables.sound import SOUND, SoundSettings

CALL, NEW, SHOWN = "The call", "A new call", "Output"


def _api_url(text: str) -> str:
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise ValueError("the URL of a REST API")
    return text


def _version(text: str) -> int | str:
    if re.fullmatch(r"\d{1,9}", text, re.ASCII):
        return int(text)
    if not re.fullmatch(r"[!-~]{1,100}", text) or text.startswith("-"):
        raise ValueError("a version: a number, a tag, latest or latest_published")
    return text


@dataclass(frozen=True, kw_only=True)
class AccountSettings(Settings):
    """Shared by every program that uses Retell's REST API; top level of the file."""

    api_url: Sourced[str] = setting(
        "https://api.retellai.com",
        "REST API that registers calls and looks them up.",
        CALL,
        prefixes=("http://", "https://"),
        metavar="URL",
        read=_api_url,
    )
    api_key: Sourced[str | None] = setting(
        None,
        "Retell's API key, a secret: from RETELL_API_KEY, else the config file, else the system "
        "keyring ('keyring set retell-voice api-key', with the extra 'keyring').",
        CALL,
        kind=Secret,
        variable="RETELL_API_KEY",
        is_option=False,
    )


@dataclass(frozen=True, kw_only=True)
class LookupSettings(AccountSettings):
    """Settings of the commands about an account's agents and calls."""

    json: Sourced[bool] = setting(False, "Print JSON, as the REST API returns it.", SHOWN)


@dataclass(frozen=True, kw_only=True)
class RegistrationSettings(AccountSettings):
    """Shared by every program that registers calls; top level of the file."""

    agent: Sourced[str | None] = setting(
        None,
        "Agent to call, by its id or its name, at --api-url; needs an API key, and the extra "
        "'retell', or 'register' for the Audio WebSocket.",
        CALL,
        kind=str,
        metavar="AGENT",
    )
    agent_version: Sourced[int | str | None] = setting(
        None,
        "Version of the agent: a number, a tag, latest or latest_published. Servers from the time "
        "of the Audio WebSocket may not know versions.",
        NEW,
        kind=str,
        metavar="VERSION",
        read=_version,
    )
    direction: Sourced[str | None] = setting(
        None,
        "Direction of the call, as the agent is told.",
        NEW,
        kind=str,
        choices=("inbound", "outbound"),
        metavar="DIRECTION",
    )
    from_number: Sourced[str | None] = setting(
        None, "Phone number of the caller, as the agent is told.", NEW, kind=str, metavar="NUMBER"
    )
    to_number: Sourced[str | None] = setting(
        None, "Phone number that was called, as the agent is told.", NEW, kind=str, metavar="NUMBER"
    )
    end_call_after_silence_ms: Sourced[int | None] = setting(
        None,
        "Silence of the user after which the server ends the call; by default the agent's setting.",
        NEW,
        kind=int,
        minimum=10_000,
        maximum=3_600_000,
        unit="ms",
        metavar="MS",
    )
    encoding: Sourced[str] = setting(
        "s16le",
        "Encoding the call is or was registered with.",
        SOUND,
        choices=("s16le", "mulaw"),
        metavar="NAME",
    )
    rate: Sourced[int] = setting(
        24000,
        "Sample rate the call is or was registered with.",
        SOUND,
        minimum=8000,
        maximum=48000,
        unit="Hz",
        metavar="HZ",
    )


@dataclass(frozen=True, kw_only=True)
class RegisterSettings(RegistrationSettings):
    """Settings of ``retell-voice register``."""

    json: Sourced[bool] = setting(
        False, "Print the call and the server's whole answer as one JSON object.", SHOWN
    )


@dataclass(frozen=True, kw_only=True)
class CallSettings(SoundSettings, RegistrationSettings):
    """Shared by every program that holds calls; top level of the file."""

    url: Sourced[str] = setting(
        "wss://api.retellai.com/audio-websocket",
        "Audio WebSocket to call; /CALL_ID is appended. With --agent, the default is that of "
        "--api-url.",
        CALL,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    updates: Sourced[bool] = setting(
        True,
        "Ask the server for the transcript and whose turn it is; for a web call, that needs an "
        "API key.",
        CALL,
    )
    alignment: Sourced[bool] = setting(
        False, "Ask for the text of each piece of audio; it is shown when it is heard.", CALL
    )
    text_heartbeat: Sourced[bool] = setting(
        False,
        "Send the text 'ping' besides WebSocket pings, as Retell's browser client did. Some "
        "servers expect it; others, which accept only JSON, end the call.",
        CALL,
    )
    record: Sourced[str | None] = setting(
        None,
        "Record the call in its own directory under this one: both voices (WAV), the transcript "
        "and all events. Only you can read it.",
        SHOWN,
        kind=str,
        metavar="DIR",
    )
    record_minutes: Sourced[int] = setting(
        120,
        "Stop recording after this long; the call goes on.",
        SHOWN,
        minimum=1,
        maximum=1440,
        unit="min",
        metavar="MINUTES",
    )


@dataclass(frozen=True, kw_only=True)
class AgentCallSettings(CallSettings):
    """What every program has that calls agents, one way or the other; top level of the file."""

    transport: Sourced[str] = setting(
        "auto",
        "How a call travels: webrtc is a web call of today, websocket Retell's older Audio "
        "WebSocket, which other servers speak, too. auto: webrtc with --agent unless there is a "
        "--url, else websocket.",
        CALL,
        choices=("auto", "webrtc", "websocket"),
        metavar="NAME",
    )
    node: Sourced[str | None] = setting(
        None,
        "Of a web call: the node at which the agent's conversation flow starts.",
        NEW,
        kind=str,
        metavar="NODE_ID",
    )
    state: Sourced[str | None] = setting(
        None,
        "Of a web call: the state in which an agent with states starts.",
        NEW,
        kind=str,
        metavar="STATE",
    )


@dataclass(frozen=True, kw_only=True)
class ListenSettings(CallSettings):
    """Settings of the commands that listen to a call."""

    json: Sourced[bool] = setting(
        False, "Print one JSON object a line for each event, on standard output.", SHOWN
    )
