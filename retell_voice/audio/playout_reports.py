"""What a jitter buffer reports: that of audio ahead of time and that of packets alike."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Started:
    """The first sample of an utterance is at this position."""

    position: int


@dataclass(frozen=True, slots=True)
class Stopped:
    """The first silent sample after an utterance is at this position."""

    position: int
    interrupted: bool = False
    discarded: int = 0
    """Samples that the interruption discarded."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """The audio of this text starts at this position."""

    position: int
    text: str
    samples: int


@dataclass(frozen=True, slots=True)
class Cued:
    """The first sample that came with this cue is at this position.

    For a cue without audio: everything queued before it has been played by then.
    """

    position: int
    cue: object


Report = Started | Stopped | Spoken | Cued
"""What happened in a pull; positions count all samples pulled so far, silence included."""
