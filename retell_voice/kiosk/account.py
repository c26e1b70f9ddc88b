"""What is kept of a call: figures, no words."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    """One call, from the wish for it to its end; durations in seconds.

    Attributes:
        began: Unix time; of a machine that does not know the time yet, whatever it takes it for.
        source: who wanted it.
        by_voice: whether that was someone's voice.
        score: how sure of that it was, 0–1, where that means something.
        spoken: whether anyone was heard to speak in it.
        result: ``over``, ``cut off`` or ``refused``, as the events of the state table.
        why: what was wrong, one line; empty if nothing was.
        ended_by: ``you``, ``server``, ``network``, ``device``; empty if it was never live.
        dialled: from the wish to a live call; None if it never was.
        lasted: from live to its end.
        heard: agent audio that was played.
        clears: times that the agent was interrupted.
        underruns: times that the jitter buffer ran empty.
        capture_xruns, playback_xruns: gaps of the devices.
        frames_dropped: microphone frames that the network did not take.
        device_losses: times that a device was lost.
        round_trip: of the last heartbeat; None if none came back.
        echo_erle: echo return loss enhancement, dB; None if not known.
    """

    began: float
    source: str
    by_voice: bool = False
    score: float | None = None
    spoken: bool = False
    result: str
    why: str = ""
    ended_by: str = ""
    dialled: float | None = None
    lasted: float = 0.0
    heard: float = 0.0
    clears: int = 0
    underruns: int = 0
    capture_xruns: int = 0
    playback_xruns: int = 0
    frames_dropped: int = 0
    device_losses: int = 0
    round_trip: float | None = None
    echo_erle: float | None = None

    @property
    def was_false_wake(self) -> bool:
        """Whether a voice called that nobody had."""
        return self.by_voice and not self.spoken and self.dialled is not None


def in_words(account: Account) -> str:
    """Return a call in one line."""
    if account.dialled is None:
        how = f"not connected: {account.why or account.result}"
    else:
        how = f"connected after {account.dialled:.2f} s, lasted {account.lasted:.1f} s"
        how += f", ended by {account.ended_by}" if account.ended_by else ""
        how += f": {account.why}" if account.why else ""
        how += ", nobody spoke" if account.was_false_wake else ""
    return f"call by {account.source}: {how}"
