"""Fields of a new call: about its caller, for its agent, and stored with it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any, Literal, cast

from retell_voice.errors import ConfigError, show
from retell_voice.settings.tables.call import RegistrationSettings

METADATA, VARIABLES = "--metadata", "--dynamic-variable"
_SETTINGS = ("agent_version", "direction", "from_number", "to_number", "end_call_after_silence_ms")


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFields:
    """Fields of a new call; None where not given.

    Attributes:
        metadata: stored with the call.
        dynamic_variables: substituted in the agent's prompt.
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
    """Return the fields of a new call.

    Args:
        settings: agent version, direction and numbers.
        metadata, variables: ``NAME=VALUE`` each.

    Raises:
        ConfigError: one of these is malformed.
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
    """Raise ``ConfigError`` if the command line gives fields for a call that already exists."""
    named = [(METADATA, metadata), (VARIABLES, variables)]
    told = [flag for flag, given in named if given]
    told += [each.source for name in _SETTINGS if (each := getattr(settings, name)).is_flag]
    if told:
        raise ConfigError(
            f"{' and '.join(told)}: only for a new call",
            "--agent and --local create one",
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
