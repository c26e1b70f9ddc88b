"""Settings of ``retell-voice kiosk``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from retell_voice.settings.schema import Settings, Sourced, setting
from retell_voice.settings.tables.call import CallSettings

CALLS = "The kiosk's calls"


@dataclass(frozen=True, kw_only=True)
class KioskCallSettings(Settings):
    """How a kiosk comes to its calls, and when they end; section ``[kiosk]`` of the file."""

    section: ClassVar[str] = "kiosk"

    max_minutes: Sourced[float] = setting(
        30.0,
        "A call is hung up after so long.",
        CALLS,
        minimum=0.1,
        maximum=1440,
        unit="min",
        metavar="MINUTES",
    )
    silence_seconds: Sourced[float] = setting(
        60.0,
        "A call is hung up when neither side has said anything for so long.",
        CALLS,
        minimum=1,
        maximum=3600,
        unit="s",
        metavar="SECONDS",
    )
    cooldown: Sourced[float] = setting(
        1.0,
        "For so long after a call no other one begins.",
        CALLS,
        minimum=0,
        maximum=600,
        unit="s",
        metavar="SECONDS",
    )


@dataclass(frozen=True, kw_only=True)
class KioskSettings(KioskCallSettings, CallSettings):
    """Settings of ``retell-voice kiosk``: those of calls, and its own."""
