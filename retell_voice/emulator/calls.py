"""The calls of an emulator: registered, ongoing, ended. No I/O; time is an argument.

::

    registered ──joined──▶ ongoing ──▶ ended | error
        └──────not joined in time──────▶ error
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal, TypedDict, get_args

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator.live_transcript import LiveTranscript
from retell_voice.events import Utterance
from retell_voice.protocol.llm import Said
from retell_voice.secret import Secret, mask

Storage = Literal["everything", "everything_except_pii", "basic_attributes_only"]
STORAGE: tuple[Storage, ...] = get_args(Storage)
"""Retell's ``data_storage_setting``, from the laxest to the strictest."""

Latency = Literal["asr", "e2e", "llm", "llm_websocket_network_rtt", "tts"]

NEVER_JOINED = "registered_call_timeout"
"""``disconnection_reason`` of a call that was registered and not joined in time."""

USER_NOT_JOINED = "error_user_not_joined"
"""The same of a web call: its access token expires after 30 s."""

DEFAULT_AUDIO = AudioFormat()
"""Format of a call if none is given."""


class CallStatus(StrEnum):
    """Retell's ``call_status``."""

    REGISTERED = "registered"
    ONGOING = "ongoing"
    ENDED = "ended"
    ERROR = "error"


class RegisterFields(TypedDict, total=False):
    """What a request for a call may say of it, beside agent and audio."""

    agent_version: int | str | None
    end_call_after_silence_ms: int | None
    from_number: str | None
    to_number: str | None
    direction: Literal["inbound", "outbound"] | None
    metadata: Mapping[str, Any] | None
    dynamic_variables: Mapping[str, str] | None


@dataclass(kw_only=True, eq=False)
class RegisteredCall:
    """One call, as the server keeps it.

    Its ``repr`` leaves out the call_id: anyone who has it can join the call.
    """

    call_id: str = field(default_factory=lambda: Secret(secrets.token_hex(16)))
    agent_id: str = "parrot"
    agent_version: int | str | None = None
    agent_name: str = ""
    protocol: str = "web"
    """What is spoken with the caller: a dialect of the Audio WebSocket (Retell's
    ``audio_websocket_protocol``), or ``gateway``, that of a web call."""
    audio: AudioFormat = DEFAULT_AUDIO
    end_call_after_silence_ms: int | None = None
    from_number: str | None = None
    to_number: str | None = None
    direction: Literal["inbound", "outbound"] | None = None
    metadata: Mapping[str, Any] | None = None
    dynamic_variables: Mapping[str, str] | None = None
    dynamic_overrides: Mapping[str, str] | None = None
    """Set while it is going on, by update-live-call."""
    drop_call_if_machine_detected: bool = False

    access_token: str | None = field(default=None, repr=False)
    """What a web call is joined with; a secret."""
    expiry: float | None = None
    """Seconds within which it must be joined; None: as long as ``Calls`` says."""

    registered_at: float = 0.0
    """Unix time of the registration, in seconds; likewise the next two."""
    started_at: float | None = None
    ended_at: float | None = None
    status: CallStatus = CallStatus.REGISTERED
    disconnection_reason: str | None = None
    """Why the call ended: ``user_hangup``, ``agent_hangup``, …"""
    close_code: int | None = None
    """WebSocket close code and reason at the end of the call; a web call has no code."""
    close_reason: str = ""
    transcript: tuple[Utterance, ...] = ()
    transcript_with_tool_calls: tuple[Said, ...] | None = None
    """The same with tool calls, if the agent can have any."""
    recording_url: str | None = None
    """This and the next two are made up once the call is over, see ``AfterCall``."""
    public_log_url: str | None = None
    call_analysis: Mapping[str, Any] | None = None
    live: LiveTranscript = field(default_factory=LiveTranscript, repr=False)
    """The same for those who watch the call."""
    watchers: set[asyncio.Event] = field(default_factory=set, init=False, repr=False)
    """Set when ``live`` changes or the call ends; one for each who watches."""
    storage: Storage = "everything"
    custom_attributes: Mapping[str, str | float | bool] | None = None
    number: int = 0
    """Number in the order of registration."""
    latencies: dict[Latency, list[float]] = field(default_factory=dict, init=False)
    """Milliseconds, see ``measure``."""
    _chunks: list[Samples] = field(default_factory=list, init=False, repr=False)
    _over: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def __post_init__(self) -> None:
        self.call_id = Secret(self.call_id)

    @property
    def name(self) -> str:
        """The call_id, masked."""
        return mask(self.call_id)

    @property
    def format(self) -> str:
        """Encoding and rate for people."""
        return (
            "WebRTC"
            if self.protocol == "gateway"
            else f"{self.audio.encoding} {self.audio.rate} Hz"
        )

    @property
    def over(self) -> bool:
        """Whether the call has ended or expired, and cannot be joined any more."""
        return self.status in (CallStatus.ENDED, CallStatus.ERROR)

    @property
    def received(self) -> Samples:
        """All microphone audio received, shape (n,); needs ``Emulator(record=True)``."""
        return np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)

    def record(self, samples: Samples) -> None:
        """Append microphone audio to ``received``."""
        self._chunks.append(samples)

    def measure(self, kind: Latency, milliseconds: float) -> None:
        """Record a latency; get-call returns their distribution once the call is over.

        Args:
            kind: ``e2e``: from the user's last sound to the agent's first; ``llm``: from a
                request to the first words; ``llm_websocket_network_rtt``; ``tts``: synthesis of a
                sentence; ``asr``: recognition of an utterance.
        """
        self.latencies.setdefault(kind, []).append(milliseconds)

    def tell_watchers(self) -> None:
        """Tell those who watch the call that there is news."""
        for watcher in self.watchers:
            watcher.set()

    def join(self, now: float) -> None:
        """Note that the caller is connected."""
        self.status = CallStatus.ONGOING
        self.started_at = now

    def end(self, now: float, why: str) -> None:
        """Note that the call is over; the first reason counts."""
        if self.over:
            return
        failed = why.startswith("error") or why == NEVER_JOINED
        self.status = CallStatus.ERROR if failed else CallStatus.ENDED
        self.ended_at = now
        self.disconnection_reason = why
        self._over.set()
        self.tell_watchers()

    async def wait(self) -> None:
        """Wait until the call is over, its transcript and recording complete."""
        await self._over.wait()


class Calls:
    """All calls, by call_id; beyond ``limit`` the oldest that are over are forgotten.

    Args:
        expiry: seconds within which a registered call must be joined, unless it says otherwise.
        limit: calls kept.
        max_open: calls that may be registered or ongoing at a time; None: ``limit``.
    """

    def __init__(
        self, *, expiry: float = 300.0, limit: int = 10_000, max_open: int | None = None
    ) -> None:
        self.expiry = expiry
        self.max_open = min(limit, max_open) if max_open is not None else limit
        self._limit = limit
        self._calls: dict[str, RegisteredCall] = {}
        self._waiting: set[RegisteredCall] = set()  # all that can be joined, and others
        self._registered = 0

    def __iter__(self) -> Iterator[RegisteredCall]:
        return iter(self._calls.values())

    def add(self, call: RegisteredCall, now: float) -> bool:
        """Add a new call; False if too many are registered or ongoing."""
        if sum(not each.over for each in self) >= self.max_open:
            return False
        if len(self._calls) >= self._limit:
            self.remove(next(each for each in self if each.over))
        self._registered += 1
        call.number, call.registered_at = self._registered, now
        self._calls[call.call_id] = call
        self._waiting.add(call)
        return True

    def get(self, call_id: str) -> RegisteredCall | None:
        """Return a call by its call_id, or None."""
        return self._calls.get(call_id)

    def remove(self, call: RegisteredCall) -> None:
        """Forget a call, so that its call_id can be used again."""
        self._calls.pop(call.call_id, None)

    def expect(self, call: RegisteredCall) -> None:
        """Let a call wait for good: its caller is on the way."""
        self._waiting.discard(call)

    def expire(self, now: float) -> list[RegisteredCall]:
        """End the calls that have not been joined in time, and return them."""
        expired = [call for call in self._expecting() if self._due(call) <= now]
        expired.sort(key=lambda call: (self._due(call), call.number))
        for call in expired:
            call.end(now, USER_NOT_JOINED if call.protocol == "gateway" else NEVER_JOINED)
        return expired

    def next_expiry(self) -> float | None:
        """Return when the next call expires; None if none is waiting to be joined."""
        return min(map(self._due, self._expecting()), default=None)

    def _expecting(self) -> set[RegisteredCall]:
        self._waiting = {each for each in self._waiting if each.status is CallStatus.REGISTERED}
        return self._waiting

    def expiry_of(self, call: RegisteredCall) -> float:
        """Return within how many seconds a call must be joined."""
        return self.expiry if call.expiry is None else call.expiry

    def _due(self, call: RegisteredCall) -> float:
        return call.registered_at + self.expiry_of(call)
