"""The calls of an emulator: registered, ongoing, ended. No I/O; time is an argument.

::

    registered ──joined──▶ ongoing ──▶ ended | error
        └──────not joined in time──────▶ error
"""

from __future__ import annotations

import asyncio
import heapq
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


_BARE = 3000  # bytes of a call about which there is nothing
_SPARE = 50  # entries of the heap that are left until their time comes

MAX_BYTES = 64 << 20
"""What all calls together may hold, bytes: metadata, transcripts and the like. Recordings that
``Emulator(record=True)`` asks for are not counted."""


class Calls:
    """All calls, by call_id; beyond any limit the oldest that are over are forgotten.

    Args:
        expiry: seconds within which a registered call must be joined, unless it says otherwise.
        limit: calls kept.
        max_open: calls that may be registered or ongoing at a time; None: ``limit``.
        max_bytes: what they may hold together.
    """

    def __init__(
        self,
        *,
        expiry: float = 300.0,
        limit: int = 10_000,
        max_open: int | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.expiry = expiry
        self.max_open = min(limit, max_open) if max_open is not None else limit
        self._limit = limit
        self._max_bytes = max_bytes
        self._calls: dict[str, RegisteredCall] = {}
        self._open: set[RegisteredCall] = set()  # and some that are over
        self._sizes: dict[RegisteredCall, int] = {}
        self._bytes = 0
        self._waiting: set[RegisteredCall] = set()  # all that can be joined, and others
        self._due: list[tuple[float, int, RegisteredCall]] = []  # a heap of them, and others
        self._registered = 0

    def __iter__(self) -> Iterator[RegisteredCall]:
        return iter(self._calls.values())

    def add(self, call: RegisteredCall, now: float) -> bool:
        """Add a new call; False if too many are registered or ongoing, or say too much."""
        if len(self._open) >= self.max_open:
            self._open = {each for each in self._open if not each.over}
            if len(self._open) >= self.max_open:
                return False
        if not self._make_room(size(call), len(self._calls) >= self._limit):
            return False
        self._registered += 1
        call.number, call.registered_at = self._registered, now
        self._calls[call.call_id] = call
        self._open.add(call)
        self._waiting.add(call)
        if len(self._due) > 2 * len(self._calls) + _SPARE:  # calls forgotten since, mostly
            self._due = [each for each in self._due if each[2] in self._waiting]
            heapq.heapify(self._due)
        heapq.heappush(self._due, (now + self.expiry_of(call), call.number, call))
        self.weigh(call)
        return True

    def get(self, call_id: str) -> RegisteredCall | None:
        """Return a call by its call_id, or None."""
        return self._calls.get(call_id)

    def remove(self, call: RegisteredCall) -> None:
        """Forget a call, so that its call_id can be used again."""
        self._calls.pop(call.call_id, None)
        self._open.discard(call)
        self._waiting.discard(call)
        self._bytes -= self._sizes.pop(call, 0)

    def weigh(self, call: RegisteredCall) -> None:
        """Take note that a call holds more, or less; others that are over may have to go."""
        if call.call_id in self._calls:
            now = size(call)
            self._bytes += now - self._sizes.get(call, 0)
            self._sizes[call] = now
            self._make_room(0)

    def _make_room(self, wanted: int, one_more: bool = False) -> bool:
        """Forget calls that are over until there is room; False if that is not enough."""
        while one_more or self._bytes + wanted > self._max_bytes:
            oldest = next((each for each in self if each.over), None)
            if oldest is None:
                return False
            self.remove(oldest)
            one_more = False
        return True

    def expect(self, call: RegisteredCall) -> None:
        """Let a call wait for good: its caller is on the way."""
        self._waiting.discard(call)

    def expire(self, now: float) -> list[RegisteredCall]:
        """End the calls that have not been joined in time, and return them."""
        expired = []
        while (due := self.next_expiry()) is not None and due <= now:
            *_, call = heapq.heappop(self._due)
            call.end(now, USER_NOT_JOINED if call.protocol == "gateway" else NEVER_JOINED)
            expired.append(call)
        return expired

    def next_expiry(self) -> float | None:
        """Return when the next call expires; None if none is waiting to be joined."""
        while self._due:
            due, _, call = self._due[0]
            if call in self._waiting and call.status is CallStatus.REGISTERED:
                return due
            heapq.heappop(self._due)
        return None

    def expiry_of(self, call: RegisteredCall) -> float:
        """Return within how many seconds a call must be joined."""
        return self.expiry if call.expiry is None else call.expiry


def size(call: RegisteredCall) -> int:
    """Return roughly how many bytes a call holds in memory."""
    said = call.transcript_with_tool_calls or call.transcript
    about = call.metadata, call.dynamic_variables, call.dynamic_overrides, call.custom_attributes
    measured = sum(map(len, call.latencies.values()))
    # What was said is there as such, and as its watchers are told, in JSON.
    return _BARE + _size_of(about) + 32 * measured + 4 * sum(len(repr(each)) for each in said)


def _size_of(value: Any) -> int:
    """Return about how many bytes a JSON value takes, however deep it is."""
    total, waiting = 0, [value]
    while waiting:
        match waiting.pop():
            case str() as text:
                total += 60 + len(text)
            case Mapping() as body:
                total += 64 + 40 * len(body)
                waiting += body.keys()
                waiting += body.values()
            case list() | tuple() as items:
                total += 64 + 8 * len(items)
                waiting += items
            case _:
                total += 32
    return total
