"""What a new call is told: about its caller, for its agent, and to be kept with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from retell_voice.errors import ConfigError, show
from retell_voice.settings.tables import RegistrationSettings

METADATA, VARIABLES = "--metadata", "--dynamic-variable"
_SETTINGS = ("agent_version", "direction", "from_number", "to_number", "end_call_after_silence_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFields:
    """What a new call is told; None where nothing is said.

    Attributes:
        metadata: kept with the call.
        dynamic_variables: fill in the agent's prompt.
        agent_version: a number, a tag, ``latest`` or ``latest_published``.
        direction: who called whom.
        from_number, to_number: phone numbers of the two.
        end_call_after_silence_ms: silence of the user that ends the call.
    """

    metadata: Mapping[str, str] | None = None
    dynamic_variables: Mapping[str, str] | None = None
    agent_version: int | str | None = None
    direction: Literal["inbound", "outbound"] | None = None
    from_number: str | None = None
    to_number: str | None = None
    end_call_after_silence_ms: int | None = None

    def said(self) -> dict[str, Any]:
        """Return what is not None, by name: arguments of ``register_call``."""
        named = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in named.items() if value is not None}


NOTHING = CallFields()


def call_fields(
    settings: RegistrationSettings, metadata: Sequence[str] = (), variables: Sequence[str] = ()
) -> CallFields:
    """Return what a new call is told.

    Args:
        settings: which agent's version, and about whom.
        metadata, variables: ``NAME=VALUE`` each.

    Raises:
        ConfigError: one of these is not.
    """
    return CallFields(
        metadata=pairs(METADATA, metadata),
        dynamic_variables=pairs(VARIABLES, variables),
        agent_version=settings.agent_version.value,
        direction=cast(Literal["inbound", "outbound"] | None, settings.direction.value),
        from_number=settings.from_number.value,
        to_number=settings.to_number.value,
        end_call_after_silence_ms=settings.end_call_after_silence_ms.value,
    )


def check_unused(
    settings: RegistrationSettings, metadata: Sequence[str], variables: Sequence[str]
) -> None:
    """Raise ``ConfigError`` where the command line tells something to a call that is there."""
    named = [(METADATA, metadata), (VARIABLES, variables)]
    told = [flag for flag, given in named if given]
    told += [each.source for name in _SETTINGS if (each := getattr(settings, name)).is_flag]
    if told:
        raise ConfigError(
            f"{' and '.join(told)}: that can be told to a new call only",
            "--agent and --local make one",
        )


def pairs(option: str, given: Sequence[str]) -> dict[str, str] | None:
    """Read what was given as ``NAME=VALUE``; None where nothing was.

    Raises:
        ConfigError: one of them is not.
    """
    parted = [each.partition("=") for each in given]
    for name, mark, value in parted:
        if not name or not mark:
            raise ConfigError(f"{option}: {show(name + mark + value)} is not NAME=VALUE")
    return {name: value for name, _, value in parted} or None
