"""A swarm, or one worker's part of it: what can be handed to another process, and run there."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from retell_voice.audio.format import AudioFormat, Encoding, Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.swarm.caller import Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.swarm import Moment, Plan, Swarm
from retell_voice.swarm.voice import voice_of
from retell_voice.transport.phone import phone_route
from retell_voice.transport.ports import Route
from retell_voice.transport.route import web_route

DEFAULT_FRAME_MS = 20


@dataclass(frozen=True, slots=True)
class Part:
    """Whom to call, how often, and what to say.

    Attributes:
        url: of the server; for ``web`` its prefix. For others ``{}`` in it is another text in each
            call.
        dialect: ``web``, or a key of ``transport.phone.PROVIDERS``.
        plan: how many calls, and when.
        samples, rate: what callers say: shape (n,), mono int16, samples a second.
        encoding, call_rate: of calls of ``web``.
        codec, from_number, to_number, parameters, strict, auth_token: as ``phone_route`` has them.
    """

    url: str = field(repr=False)
    dialect: str
    plan: Plan
    samples: Samples = field(repr=False)
    rate: int
    encoding: str = "s16le"
    call_rate: int = 24_000
    codec: str | None = None
    from_number: str | None = None
    to_number: str | None = None
    parameters: Mapping[str, str] = field(default_factory=dict)
    strict: bool = True
    auth_token: str | None = field(default=None, repr=False)

    def route(self, call_id: str = "") -> Route:
        """Return the route of a call.

        Args:
            call_id: of a registered call of ``web``; empty: one is made up, for servers that let
                any in.

        Raises:
            ConfigError: it cannot be dialled like that.
        """
        if self.dialect == "web":
            return web_route(
                call_id or secrets.token_hex(16),
                url=self.url,
                audio=AudioFormat(Encoding(self.encoding), self.call_rate),
                updates=False,
            )
        return phone_route(
            self.dialect,
            self.url.replace("{}", secrets.token_hex(8)),
            from_number=self.from_number,
            to_number=self.to_number,
            parameters=self.parameters,
            codec=self.codec,
            strict=self.strict,
            auth_token=self.auth_token,
        )

    def check(self) -> None:
        """See that it can be called like that, before anybody is asked.

        Raises:
            ConfigError: it cannot.
        """
        self.route("call")

    def swarm(
        self,
        tell: Callable[[Moment], None] = lambda _: None,
        register: Callable[[], Awaitable[str]] | None = None,
    ) -> Swarm:
        """Return the swarm, to be run.

        Args:
            tell: is told how it goes.
            register: registers a call of ``web`` and returns its call_id; None: there is no need.

        Raises:
            ConfigError: it cannot be dialled like that, or nobody speaks in the recording.
        """
        route = self.route("call")
        spoken = resample_whole(self.samples, self.rate, route.near_end.rate)
        voice = voice_of(spoken, route.near_end, route.frame_ms or DEFAULT_FRAME_MS)

        async def dial() -> Route:
            return self.route("" if register is None else await register())

        return Swarm(self.plan, dial, voice, tell, registers=register is not None)

    def split(self, workers: int) -> list[Part]:
        """Return the parts of so many workers, which dial in turn and together make this one."""
        calls = [
            self.plan.calls // workers + (n < self.plan.calls % workers) for n in range(workers)
        ]
        return [replace(self, plan=replace(self.plan, calls=each)) for each in calls if each]


class AnyPart(Protocol):
    """What an engine hands to its workers: a ``Part``, or one whose calls are registered first."""

    def check(self) -> None:
        """See that it can be called like that; raises ``ConfigError``."""

    def swarm(self, tell: Callable[[Moment], None] = ..., /) -> Swarm:
        """Return the swarm, to be run."""

    def split(self, workers: int) -> Sequence[AnyPart]:
        """Return the parts of so many workers."""


def run_part(part: AnyPart) -> dict[str, Any]:
    """Run a part to its end in an event loop of its own; return ``Figures.shown``.

    For an engine that runs functions in other processes.
    """
    return asyncio.run(part.swarm().run()).shown()


def added(shown: list[dict[str, Any]]) -> Figures:
    """Return the figures of all parts together."""
    figures = Figures()
    for each in shown:
        figures.merge(Figures.read(each))
    return figures


__all__ = ["AnyPart", "Manners", "Part", "added", "run_part"]
