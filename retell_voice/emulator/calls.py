"""The calls an emulator knows: registered, ongoing, ended. No I/O; time is an argument.

::

    registered ──joined──▶ ongoing ──▶ ended | error
        └──────not joined in time──────▶ error
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal

import numpy as np

from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.errors import mask
from retell_voice.events import Utterance

SocketProtocol = Literal["web", "twilio"]

DEFAULT_AUDIO = AudioFormat()
"""Format of a call for which none is given."""


class CallStatus(StrEnum):
    """Retell's ``call_status``."""

    REGISTERED = "registered"
    ONGOING = "ongoing"
    ENDED = "ended"
    ERROR = "error"


@dataclass(kw_only=True, eq=False)
class RegisteredCall:
    """One call as the server keeps it.

    Its ``repr`` shows the call_id masked: whoever has the call_id can join the call.
    """

    call_id: str = field(default_factory=lambda: secrets.token_hex(16), repr=False)
    agent_id: str = "parrot"
    protocol: SocketProtocol = "web"
    audio: AudioFormat = DEFAULT_AUDIO
    end_call_after_silence_ms: int | None = None
    from_number: str | None = None
    to_number: str | None = None
    direction: Literal["inbound", "outbound"] | None = None
    metadata: Mapping[str, Any] | None = None
    dynamic_variables: Mapping[str, str] | None = None
    drop_call_if_machine_detected: bool = False

    registered_at: float = 0.0
    """Unix time of the registration, seconds; likewise the next two."""
    started_at: float | None = None
    ended_at: float | None = None
    status: CallStatus = CallStatus.REGISTERED
    disconnection_reason: str | None = None
    """Retell's word for why the call ended: ``user_hangup``, ``agent_hangup``, …"""
    close_code: int | None = None
    """WebSocket close code and reason with which the call ended."""
    close_reason: str = ""
    transcript: tuple[Utterance, ...] = ()
    _chunks: list[Samples] = field(default_factory=list, init=False, repr=False)
    _over: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    @property
    def name(self) -> str:
        """The call_id in a form that may be shown."""
        return mask(self.call_id)

    @property
    def over(self) -> bool:
        """Whether the call can no longer be joined because it has ended or expired."""
        return self.status in (CallStatus.ENDED, CallStatus.ERROR)

    @property
    def received(self) -> Samples:
        """All microphone audio that arrived, shape (n,); needs ``Emulator(record=True)``."""
        return np.concatenate(self._chunks) if self._chunks else np.zeros(0, np.int16)

    def record(self, samples: Samples) -> None:
        """Append microphone audio to ``received``."""
        self._chunks.append(samples)

    def join(self, now: float) -> None:
        """Note that the caller's WebSocket is open."""
        self.status = CallStatus.ONGOING
        self.started_at = now

    def end(self, now: float, why: str) -> None:
        """Note that the call is over; the first reason stands."""
        if self.over:
            return
        failed = why.startswith("error") or why == "registered_call_timeout"
        self.status = CallStatus.ERROR if failed else CallStatus.ENDED
        self.ended_at = now
        self.disconnection_reason = why
        self._over.set()

    async def wait(self) -> None:
        """Wait until the call is over, its transcript and recording complete."""
        await self._over.wait()

    def registration(self) -> dict[str, Any]:
        """Return the JSON body that answers ``POST /register-call``."""
        known = {
            "end_call_after_silence_ms": self.end_call_after_silence_ms,
            "from_number": self.from_number,
            "to_number": self.to_number,
            "direction": self.direction,
            "metadata": self.metadata,
            "retell_llm_dynamic_variables": self.dynamic_variables,
            "start_timestamp": _milliseconds(self.started_at),
            "end_timestamp": _milliseconds(self.ended_at),
        }
        return {
            "call_id": self.call_id,
            "agent_id": self.agent_id,
            "audio_websocket_protocol": self.protocol,
            "audio_encoding": str(self.audio.encoding),
            "sample_rate": self.audio.rate,
            "call_status": str(self.status),
            "drop_call_if_machine_detected": self.drop_call_if_machine_detected,
            "opt_out_sensitive_data_storage": False,
            **{name: value for name, value in known.items() if value is not None},
        }

    def details(self) -> dict[str, Any]:
        """Return the JSON body that answers ``GET /get-call/{call_id}``."""
        body = self.registration() | {"call_type": "web_call"}
        if self.transcript or self.over:
            lines = (f"{said.role.capitalize()}: {said.content}\n" for said in self.transcript)
            body["transcript"] = "".join(lines)
            body["transcript_object"] = [
                {
                    "role": said.role,
                    "content": said.content,
                    "words": [
                        {"word": word.word, "start": word.start, "end": word.end}
                        for word in said.words
                    ],
                }
                for said in self.transcript
            ]
        if self.disconnection_reason is not None:
            body["disconnection_reason"] = self.disconnection_reason
        return body


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


class Calls:
    """All calls, by call_id; the oldest that are over are forgotten beyond ``limit``.

    Args:
        expiry: seconds within which a registered call must be joined.
        limit: calls kept.
    """

    def __init__(self, *, expiry: float = 300.0, limit: int = 10_000) -> None:
        self._expiry = expiry
        self._limit = limit
        self._calls: dict[str, RegisteredCall] = {}

    def add(self, call: RegisteredCall, now: float) -> bool:
        """Keep a new call; False when there are too many that are not over."""
        call.registered_at = now
        if len(self._calls) >= self._limit and not self._forget(now):
            return False
        self._calls[call.call_id] = call
        return True

    def find(self, call_id: str, now: float) -> RegisteredCall | None:
        """Return the call, expired if it was not joined in time, or None."""
        call = self._calls.get(call_id)
        if call is not None:
            self._expire(call, now)
        return call

    def remove(self, call: RegisteredCall) -> None:
        """Forget a call, so that its call_id can be used again."""
        self._calls.pop(call.call_id, None)

    def _expire(self, call: RegisteredCall, now: float) -> None:
        waiting = call.status is CallStatus.REGISTERED
        if waiting and now - call.registered_at > self._expiry:
            call.end(now, "registered_call_timeout")

    def _forget(self, now: float) -> bool:
        for call in self._calls.values():  # in the order of registration
            self._expire(call, now)
            if call.over:
                self.remove(call)
                return True
        return False
