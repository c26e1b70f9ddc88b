"""The port of a dialect: what both sides say on the WebSocket of a call.

::

    the caller                                             the server
    opening   once the socket is open ──────────────────▶  is_ready
    audio     a frame of the microphone ────────────────▶  MicrophoneAudio
    AgentAudio, Clear ◀──────────────────────────────────  audio, clear
    AgentAudio(cue=…) ◀─────────  tell me when this is heard  mark
    heard     its sample has been heard ────────────────▶  Marked
    digit     a phone key ────────────────────────────▶  Digit
    ping ────────────────────────────────────────────────▶  Ping; pong ─▶ Pong
    closing   before you hang up ───────────────────────▶

A dialect is bytes to events and back: no I/O, no clock, no threads. It lasts for one connection.
Messages are whole, text or binary. ``receive`` never raises, however broken the message is; what
a dialect wants to send back by itself comes as a ``Reply`` among the events.

A *cue* is anything that identifies audio to its dialect. It rides with ``AgentAudio`` through
the jitter buffer and is handed to ``heard`` when its first sample is heard; one that came without
audio, when all that came before it has been. After a ``Clear`` the cues before it never come
back: what their provider wants to be told of them, the dialect replies to the message that
cleared. A cue may still be reported heard after that (it was, a moment before): ``heard`` answers
None to those it no longer knows. A dialect bounds the cues that are on their way and says so with
a ``MalformedMessage`` where there are more.

``protocol.web`` is one, ``protocol.twilio`` another; a new one also takes a line in
``protocol.dialects`` and one in ``transport.phone``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from retell_voice.events import Event, Role, Utterance

DIGITS = "0123456789*#"
"""Keys of a telephone."""

Message = str | bytes
"""One WebSocket message, text or binary."""


class ClientDialect(Protocol):
    """The caller's side; for a phone provider's dialect that is the provider."""

    def opening(self) -> Sequence[Message]:
        """Return what is said first, in order."""

    def audio(self, frame: bytes, at: float = 0.0) -> Message:
        """Encode one frame of microphone audio; ``at``: call time, seconds."""

    def receive(self, message: Message, at: float = 0.0) -> list[Event]:
        """Decode one message of the server; ``at`` stamps the events."""

    def heard(self, cue: object) -> Message | None:
        """Return what is said when a cue has been heard."""

    def digit(self, digit: str, at: float = 0.0) -> Message | None:
        """Encode a phone key, one of ``DIGITS``; None: they are not carried."""

    def ping(self) -> Message | None:
        """Return a heartbeat; None: WebSocket's own is all there is."""

    def closing(self) -> Sequence[Message]:
        """Return what is said before you hang up, in order."""

    def left(self, at: float = 0.0) -> list[Event]:
        """Return what there is to tell once the server has closed without an error."""


class ServerDialect(Protocol):
    """The server's side."""

    @property
    def frame_ms(self) -> int | None:
        """Length that every message of audio must have, ms; None: any."""

    @property
    def shortest_ms(self) -> int:
        """Length that a message of audio must have at least, ms."""

    @property
    def is_ready(self) -> bool:
        """Whether the caller has said all that it must before audio can be sent."""

    def receive(self, message: Message, at: float = 0.0) -> list[Event]:
        """Decode one message of the caller; ``at`` stamps the events."""

    def audio(self, data: bytes, text: str = "") -> Message:
        """Encode agent audio and, where the dialect carries that, the text it says."""

    def clear(self) -> Message:
        """Encode: drop what has not been heard."""

    def mark(self, name: str) -> Message | None:
        """Encode: tell me when all audio before this has been heard; None: it cannot be asked."""

    def pong(self) -> Message | None:
        """Encode the answer to a heartbeat; None: there is none."""

    def update(self, transcript: tuple[Utterance, ...], turn: Role | None = None) -> Message | None:
        """Encode the transcript and, where it changes, whose turn it is; None: not carried."""

    def metadata(self, metadata: Any) -> Message | None:
        """Encode metadata for the caller's program, any JSON value; None: not carried."""
