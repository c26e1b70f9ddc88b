"""Settings of a call, whether it is registered, talked or both."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlsplit

from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, setting

CALL, SOUND, SHOWN = "The call", "Sound", "What you see"


def _has_host(text: str) -> None:
    try:
        host = urlsplit(text).hostname
    except ValueError:
        host = None
    if not host:
        raise ValueError("the URL of a REST API")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallSettings(Settings):
    """What ``retell-voice register`` and ``talk`` share; top level of the file."""

    agent: Sourced[str | None] = setting(
        None,
        "Agent to register a call with, at --api-url; it takes an API key and the extra "
        "'register'.",
        CALL,
        kind=str,
        metavar="AGENT_ID",
    )
    api_url: Sourced[str] = setting(
        "https://api.retellai.com",
        "REST API at which calls are registered and, after they have ended, looked up.",
        CALL,
        prefixes=("http://", "https://"),
        metavar="URL",
        read=_has_host,
    )
    api_key: Sourced[str | None] = setting(
        None,
        "Retell's API key, a secret: that of RETELL_API_KEY, else of the config file, else of the "
        "system keyring ('keyring set retell-voice api-key', with the extra 'keyring').",
        CALL,
        kind=Secret,
        variable="RETELL_API_KEY",
        is_option=False,
    )
    encoding: Sourced[str] = setting(
        "s16le",
        "Encoding with which the call is or was registered.",
        SOUND,
        choices=("s16le", "mulaw"),
        metavar="NAME",
    )
    rate: Sourced[int] = setting(
        24000,
        "Sample rate with which the call is or was registered.",
        SOUND,
        minimum=8000,
        maximum=48000,
        unit="Hz",
        metavar="HZ",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class RegisterSettings(CallSettings):
    """Settings of ``retell-voice register``."""

    json: Sourced[bool] = setting(
        False, "Print the call and all that the server answered, as one JSON object.", SHOWN
    )
