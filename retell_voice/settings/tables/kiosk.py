"""Settings of ``retell-voice kiosk``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, setting
from retell_voice.settings.tables.call import AgentCallSettings
from retell_voice.settings.tables.kiosk_parts import KioskPartsSettings

CALLS, SOUNDS, REMOTE = "The kiosk's calls", "The kiosk's sounds", "Monitoring the kiosk"


class Variables(dict[str, str]):
    """Variables of an agent's prompt; as text ``NAME=VALUE, NAME=VALUE``."""

    @classmethod
    def read(cls, text: str) -> Variables:
        """Parse variables.

        Raises:
            ValueError: says what the text should be.
        """
        found = cls()
        for part in filter(None, (each.strip() for each in text.split(","))):
            name, mark, value = part.partition("=")
            if not mark or not name.strip():
                raise ValueError("NAME=VALUE, NAME=VALUE")
            found[name.strip()] = value.strip()
        return found

    def __str__(self) -> str:
        return ", ".join(f"{name}={value}" for name, value in self.items())


def _address(text: str) -> str:
    host, mark, port = text.rpartition(":")
    if not mark or not host.strip("[]") or not port.isdecimal() or int(port) > 65535:
        raise ValueError("ADDRESS:PORT")
    return text


@dataclass(frozen=True, kw_only=True)
class KioskCallSettings(Settings):
    """How a kiosk gets its calls, and when they end; section ``[kiosk]`` of the file."""

    section: ClassVar[str] = "kiosk"

    call_command: Sourced[str | None] = setting(
        None,
        "Your own command that provides a call, so that no key is kept here: it prints a call_id, "
        "or a JSON object with call_id and, if they differ from those set here, url, encoding and "
        "rate. Instead of an agent.",
        CALLS,
        kind=str,
        metavar="COMMAND",
    )
    call_url: Sourced[str | None] = setting(
        None,
        "Your own endpoint that does the same; it gets a POST for each call. The credential "
        "'retell-call-token', if there is one, is sent as a bearer token.",
        CALLS,
        kind=str,
        prefixes=("https://", "http://127.0.0.1", "http://localhost"),
        metavar="URL",
    )
    api_key_file: Sourced[str | None] = setting(
        None,
        "A private file with the API key. systemd's credential 'retell-api-key' (LoadCredential) "
        "takes precedence over it, and it over RETELL_API_KEY.",
        CALLS,
        kind=str,
        metavar="FILE",
    )
    variables: Sourced[Variables | None] = setting(
        None,
        "Variables to substitute in the agent's prompt.",
        CALLS,
        kind=str,
        metavar="NAME=VALUE,…",
        read=Variables.read,
    )
    max_minutes: Sourced[float] = setting(
        30.0,
        "Hang up after this long.",
        CALLS,
        minimum=0.01,
        maximum=1440,
        unit="min",
        metavar="MINUTES",
    )
    silence_seconds: Sourced[float] = setting(
        60.0,
        "Hang up when the agent has neither spoken nor understood anything for this long.",
        CALLS,
        minimum=1,
        maximum=3600,
        unit="s",
        metavar="SECONDS",
    )
    cooldown: Sourced[float] = setting(
        1.0,
        "Time after a call before the next one can start.",
        CALLS,
        minimum=0,
        maximum=600,
        unit="s",
        metavar="SECONDS",
    )


@dataclass(frozen=True, kw_only=True)
class KioskSoundSettings(Settings):
    """A kiosk's own sounds; section ``[kiosk]`` of the file."""

    section: ClassVar[str] = "kiosk"

    sounds: Sourced[str | None] = setting(
        None,
        "Directory with your own sounds: dialling.wav, listening.wav, idle.wav, muted.wav, "
        "unmuted.wav, error.wav, offline.wav. Built-in sounds replace missing ones.",
        SOUNDS,
        kind=str,
        metavar="DIR",
    )
    sounds_percent: Sourced[int] = setting(
        100,
        "Volume of these sounds; 0 for none.",
        SOUNDS,
        minimum=0,
        maximum=200,
        unit="%",
        metavar="PERCENT",
    )


@dataclass(frozen=True, kw_only=True)
class KioskRemoteSettings(Settings):
    """How a kiosk is monitored; section ``[kiosk]`` of the file."""

    section: ClassVar[str] = "kiosk"

    socket: Sourced[str | None] = setting(
        None,
        "Unix socket to control it, for its own user and group. By default kiosk.sock in systemd's "
        "RuntimeDirectory, else in /run/user/UID/retell-voice.",
        REMOTE,
        kind=str,
        metavar="PATH",
    )
    listen: Sourced[str | None] = setting(
        None,
        "The same over TCP, only on this machine, for whoever has the token.",
        REMOTE,
        kind=str,
        metavar="ADDRESS:PORT",
        read=_address,
    )
    listen_token: Sourced[str | None] = setting(
        None,
        "That token; the credential 'retell-control-token' takes precedence.",
        REMOTE,
        kind=Secret,
        is_option=False,
    )
    history: Sourced[str | None] = setting(
        None,
        "SQLite file for the figures of the last calls, without any words. By default "
        "calls.sqlite in systemd's StateDirectory, else none.",
        REMOTE,
        kind=str,
        metavar="FILE",
    )
    history_calls: Sourced[int] = setting(
        1000,
        "How many calls to keep.",
        REMOTE,
        minimum=1,
        maximum=1_000_000,
        metavar="N",
    )
    metrics: Sourced[str | None] = setting(
        None,
        "Serve metrics for Prometheus at this address, for example 127.0.0.1:9797 (the extra "
        "'metrics').",
        REMOTE,
        kind=str,
        metavar="ADDRESS:PORT",
        read=_address,
    )


@dataclass(frozen=True, kw_only=True)
class KioskSettings(
    KioskCallSettings,
    KioskPartsSettings,
    KioskSoundSettings,
    KioskRemoteSettings,
    AgentCallSettings,
):
    """Settings of ``retell-voice kiosk``: those of calls, and its own."""
