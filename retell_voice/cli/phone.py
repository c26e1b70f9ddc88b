"""What ``talk`` does otherwise where it calls as a phone provider would."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from retell_voice.audio.format import AudioFormat
from retell_voice.errors import ConfigError
from retell_voice.program.call_fields import pairs
from retell_voice.program.opening import phone_route_of
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.transport.ports import Route

if TYPE_CHECKING:  # the dialects of providers are of no use to other calls
    from retell_voice.transport.phone import Provider

_NOT_FOR_PHONES = (
    "agent",
    "encoding",
    "rate",
    "frame_ms",
    "updates",
    "alignment",
    "text_heartbeat",
)


@dataclass(frozen=True)
class PhoneCall:
    """A call as a provider makes it, before it is known where to.

    Attributes:
        settings: how.
        parameters: what the server is told as the call begins.
        near_end, far_end: formats of the caller's and of the agent's voice.
    """

    settings: TalkSettings
    parameters: Mapping[str, str]
    near_end: AudioFormat
    far_end: AudioFormat

    @property
    def provider(self) -> str:
        """The provider, as people write it."""
        return self._as.name

    @property
    def without_numbers(self) -> TalkSettings:
        """The settings without the phone numbers, which such a call tells whether it is new or
        not."""
        nobody: Sourced[str | None] = Sourced(None)
        return replace(self.settings, from_number=nobody, to_number=nobody)

    @property
    def frame_ms(self) -> int:
        """Length of a frame of the caller's voice, ms."""
        return self._as.frame_ms

    @property
    def audio(self) -> str:
        """The formats, for people."""
        both = dict.fromkeys(f"{each.encoding} {each.rate} Hz" for each in self._formats)
        return " and ".join(both)

    @property
    def _as(self) -> Provider:
        from retell_voice.transport.phone import provider_of  # as above

        return provider_of(self.settings.dialect.value)

    @property
    def _formats(self) -> tuple[AudioFormat, AudioFormat]:
        return self.near_end, self.far_end

    def route(self, url: str, call_id: str) -> Route:
        """Return what is dialled; see ``phone_route_of``."""
        return phone_route_of(self.settings, self.parameters, url=url, call_id=call_id)


def phone_call(settings: TalkSettings, parameters: Sequence[str]) -> PhoneCall | None:
    """Return how a call is made as a provider makes it; None: it is Retell's own kind.

    Args:
        settings: of which provider, if any.
        parameters: ``NAME=VALUE`` each.

    Raises:
        ConfigError: what was asked for does not go together.
    """
    given = pairs("--parameter", parameters)
    dialect = settings.dialect
    if dialect.value == "web":
        for option in (settings.codec, settings.strict):
            if option.is_flag:
                raise ConfigError(f"{option.source} is for --dialect")
        if given:
            raise ConfigError("--parameter is for --dialect")
        return None
    for name in _NOT_FOR_PHONES:
        if getattr(settings, name).is_flag:
            raise ConfigError(
                f"{getattr(settings, name).source} is for the dialect web, "
                f"not for {dialect.value} ({dialect.source})"
            )
    if settings.url.source == DEFAULT and not settings.local.value:
        raise ConfigError(
            f"{dialect.source} {dialect.value}: there is no server to call: give --url",
            f"for example: --dialect {dialect.value} --url ws://localhost:8765/ws",
        )
    from retell_voice.transport.phone import formats_of  # as above

    try:
        near_end, far_end = formats_of(dialect.value, settings.codec.value)
    except ConfigError as error:
        raise ConfigError(f"{settings.codec.source}: {error}", error.hint) from None
    return PhoneCall(settings, given or {}, near_end, far_end)
