"""What a part of a kiosk implements: a button, a wake word, a lamp, a broker of messages.

::

    Trigger ──what happened──▶ [the kiosk: states] ──Look──▶ Indicator

A *part* is an async context manager: entering it opens what it needs. It is a ``Trigger`` if it
can be iterated, an ``Indicator`` if it has ``show``, and may be both::

    class Button:
        name = "button GPIO17"

        async def __aenter__(self): ...          # request the line
        async def __aexit__(self, *_): ...       # release it

        async def __aiter__(self):               # an async generator does
            async for edge in ...:
                yield Pressed(self.name)

What a part cannot have, now or later, it says by raising ``PartFailed`` (an ``OSError`` does as
well) from entering, iterating or showing. It is then closed, the reason logged once, and opened
again after a while, longer each time, for as long as the program runs: a part has no tries of its
own. It is never the end of the program. An iteration that ends without an error is over for good.

All of it runs on the event loop: what blocks goes to a thread (``threads.detached``).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Protocol, runtime_checkable

from retell_voice.devices.listener import Listener
from retell_voice.errors import RetellVoiceError
from retell_voice.kiosk.states import State


class PartFailed(RetellVoiceError):
    """A button, lamp or broker cannot be used now; ``str`` is one line for people."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class TriggerEvent:
    """Something that a trigger tells.

    Attributes:
        source: which one, for people: ``button GPIO17``, ``wake word okay_nabu``.
    """

    source: str


@dataclass(frozen=True, slots=True)
class Pressed(TriggerEvent):
    """A short press: calls, or hangs up the call that is up."""


@dataclass(frozen=True, slots=True)
class LongPressed(TriggerEvent):
    """A press held for long: mutes, or unmutes."""


@dataclass(frozen=True, slots=True)
class WantsCall(TriggerEvent):
    """A call is wanted; never hangs one up. The wake word's, voice activity's, always-on's.

    Attributes:
        score: how sure of that it is, 0–1; None where that means nothing.
        by_voice: whether someone has spoken: it is counted if nobody speaks in the call, too.
    """

    score: float | None = None
    by_voice: bool = False


@dataclass(frozen=True, slots=True)
class WantsHangUp(TriggerEvent):
    """The call that is up is to end."""


@dataclass(frozen=True, slots=True)
class WantsMute(TriggerEvent):
    """The microphone is to be muted or unmuted.

    Attributes:
        muted: None: the other of the two.
    """

    muted: bool | None = None


@dataclass(frozen=True, slots=True)
class WantsVolume(TriggerEvent):
    """Everything is to be as loud as this.

    Attributes:
        percent: 0–200; or steps of percent relative to what it is now, if ``relative``.
    """

    percent: int
    relative: bool = False


@dataclass(frozen=True, slots=True)
class Look:
    """All that a kiosk shows of itself, at one moment.

    Attributes:
        state: where it stands.
        muted: whether the microphone is.
        speaking: whether the agent is being heard.
        volume: percent.
        why: what is wrong in OFFLINE and FAULTED, and what device is away: one line; else empty.
        calls: calls begun since the program started.
    """

    state: State = State.STARTING
    muted: bool = False
    speaking: bool = False
    volume: int = 100
    why: str = ""
    calls: int = 0


class Surroundings(Protocol):
    """What a part may know of its kiosk."""

    @property
    def look(self) -> Look:
        """How it looks now."""

    @property
    def is_sounding(self) -> bool:
        """Whether a sound of its own is being played."""

    async def changed(self, seen: Look) -> Look:
        """Return how it looks once that is not ``seen`` any more; at once if it is so already."""

    def listen(self, side: Literal["near_end", "far_end"] = "near_end") -> Listener:
        """Return a listener to the microphone, after echo control, or to what is played.

        Its iteration ends when the devices are closed, to be opened again: then ask for another
        one. While muted it hears silence.

        Raises:
            PartFailed: the devices are not open now.
        """


class Part(Protocol):
    """What triggers and indicators have in common."""

    @property
    def name(self) -> str:
        """What people call it."""

    async def __aenter__(self) -> Any:
        """Open it; must not take for ever: it is given up after ten seconds.

        Raises:
            PartFailed, OSError: not now.
        """

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it, whatever state it is in. It may be entered again."""


@runtime_checkable
class Trigger(Part, Protocol):
    """Tells what happens; iterated by one task, from its entering on."""

    def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        """Return what happens, as it does.

        Raises (when iterated):
            PartFailed, OSError: it is gone.
        """


@runtime_checkable
class Indicator(Part, Protocol):
    """Shows how the kiosk looks."""

    async def show(self, look: Look) -> None:
        """Show this from now on. Called once after entering, and whenever it has changed; what
        changes while it is at work is passed over but for the last.

        Raises:
            PartFailed, OSError: it is gone.
        """
