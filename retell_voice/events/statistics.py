"""The figures of a call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from retell_voice.events.base import Event


@dataclass(frozen=True, slots=True)
class PacketFigures:
    """What became of the agent's packets in a web call; durations in seconds.

    Audio played that no packet contained is in ``concealed`` of the ``Statistics``, too.
    """

    received: int = 0
    """Packets that came, whatever became of them."""
    lost: int = 0
    """Packets that were missing when their turn came, those that came late among them."""
    late: int = 0
    """Packets that came when their turn had passed."""
    duplicates: int = 0
    """Packets that came twice."""
    undecodable: int = 0
    """Packets that the decoder rejected."""
    recovered: float = 0.0
    """Audio of lost packets, recovered from the next one's forward error correction."""
    accelerated: float = 0.0
    """Audio left out, to reduce the delay."""
    expanded: float = 0.0
    """Audio repeated, to increase the delay."""
    delay: float = 0.0
    """How long the usual packet waits to be played, now; 0 while nothing plays."""


@dataclass(frozen=True, slots=True)
class Statistics(Event):
    """Figures of the call so far; a snapshot, also sent as an event every second."""

    frames_sent: int = 0
    bytes_sent: int = 0
    """Your audio sent, bytes as encoded on the wire."""
    frames_dropped: int = 0
    """Microphone frames dropped because they had waited for a second: for the network, or for a
    blocked event loop."""
    bytes_received: int = 0
    """Agent audio received, bytes as encoded on the wire."""
    clears: int = 0
    unknown_messages: int = 0
    malformed_messages: int = 0
    events_dropped: int = 0
    """Events dropped because nobody was reading them."""
    capture_xruns: int = 0
    """Gaps in what the input device captured: reported by it, seen in its timestamps, or because a
    thread took blocks too late."""
    playback_xruns: int = 0
    """Gaps in what the output device played: reported by it, or seen in its timestamps."""
    packets: PacketFigures | None = None
    """The agent's packets; None where its audio does not come in packets."""
    underruns: int = 0
    """Times the jitter buffer ran empty within an utterance."""
    concealed: float = 0.0
    """Audio synthesised to conceal those underruns, and lost packets."""
    playout_depth: float = 0.0
    """Agent audio queued and not yet played."""
    playout_target: float = 0.0
    """Depth the jitter buffer waits for before it starts an utterance."""
    heard: float = 0.0
    """Agent audio played."""
    discarded: float = 0.0
    """Agent audio thrown away by ``clear``, or in packets that were of no use."""
    overflowed: float = 0.0
    """Agent audio dropped because the playout was full."""
    device_losses: int = 0
    """Times that a device was lost, whether it came back or not."""
    capture_latency: float | None = None
    """Input latency that the device reports."""
    playback_latency: float | None = None
    """Output latency that the device reports."""
    capture_drift: float | None = None
    """How much faster the input device's clock runs than this machine's, parts per million;
    None in the first minute, and good to about 10 000 divided by the seconds since."""
    playback_drift: float | None = None
    """The same for the output device."""
    clear_to_silence_p50: float | None = None
    """Time from the arrival of a ``clear`` to the last faint sample at the speaker, median of
    the last 1000; rounded up to a whole block, about 10 ms."""
    clear_to_silence_p95: float | None = None
    """The same, 95th percentile."""
    responses: int = 0
    """Times that the agent answered, see ``Response``."""
    response_last: float | None = None
    """Delay of its latest answer."""
    response_p50: float | None = None
    """Median of the last 1000."""
    response_p95: float | None = None
    """Their 95th percentile."""
    response_max: float | None = None
    """The slowest of all."""
    barge_ins: int = 0
    """Times that you interrupted the agent, see ``BargeIn``."""
    barge_in_p50: float | None = None
    """Time from the start of your speech to the agent's silence, median of the last 1000."""
    barge_in_p95: float | None = None
    """The same, 95th percentile."""
    echo: str = "off"
    """The echo control in use: ``off``, ``webrtc``, ``half-duplex``, ``system``, or the name of
    your own."""
    echo_state: Literal["off", "converging", "converged"] = "off"
    """Whether echo control has converged."""
    echo_erle: float | None = None
    """Echo return loss enhancement, dB: how much echo control reduces the echo; None before the
    agent has spoken for a while."""
    echo_cost: float | None = None
    """CPU seconds that echo control takes per second of audio, mean of the last ten seconds."""
    round_trip: float | None = None
    """Round trip of the last heartbeat; None until the first is answered."""
