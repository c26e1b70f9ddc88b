"""Keeping count of a call."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Literal

from retell_voice.devices.lease import Lease
from retell_voice.echo.ports import BLOCK_SECONDS
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    AudioDropped,
    BargeIn,
    DeviceChanged,
    Event,
    MalformedMessage,
    Response,
    Statistics,
    UnknownMessage,
)
from retell_voice.transport.ports import Connection

_KEPT = 1000


class Counters:
    """What a call itself counts; its devices and its connection know the rest."""

    def __init__(self) -> None:
        self.messages = 0
        """Messages received, of any kind."""
        self._sent = self._frames_dropped = 0
        self._bytes_received = self._clears = 0
        self._unknown = self._malformed = self._device_losses = 0
        self._overflowed = 0.0
        self._untold: dict[Literal["near_end", "far_end"], float] = {"near_end": 0, "far_end": 0}
        self._cleared_at: float | None = None
        self.agent_speaking = False
        """Whether the agent is being heard."""
        self._clear_times: deque[float] = deque(maxlen=_KEPT)
        self._responses, self._slowest = 0, 0.0
        self._response_times: deque[float] = deque(maxlen=_KEPT)
        self._barge_ins = 0
        self._barge_in_times: deque[float] = deque(maxlen=_KEPT)

    def sent(self) -> None:
        """Count a frame that the network took."""
        self._sent += 1

    def frame_dropped(self, seconds: float) -> None:
        """Count a frame that the network did not take."""
        self._frames_dropped += 1
        self._untold["near_end"] += seconds

    def received(self, data: bytes, lost: float) -> None:
        """Count agent audio, and the seconds of it for which there was no room."""
        self._bytes_received += len(data)
        self._overflowed += lost
        self._untold["far_end"] += lost

    def cleared(self, at: float) -> None:
        """Count a ``clear`` that came at this time."""
        self._clears += 1
        if self._cleared_at is None:  # of several in a row, the first counts
            self._cleared_at = at

    def told(self, event: Event) -> None:
        """Count what an event reports."""
        match event:
            case UnknownMessage():
                self._unknown += 1
            case MalformedMessage():
                self._malformed += 1
            case DeviceChanged(state="lost"):
                self._device_losses += 1
            case Response(delay=delay):
                self._responses += 1
                self._response_times.append(delay)
                self._slowest = max(self._slowest, delay)
            case BargeIn(delay=delay):
                self._barge_ins += 1
                self._barge_in_times.append(delay)
            case AgentStarted():
                self.agent_speaking = True
                self._cleared_at = None
            case AgentStopped(interrupted=interrupted, silent_since=silent_since):
                self.agent_speaking = False
                if interrupted and self._cleared_at is not None:
                    self._clear_times.append(silent_since - self._cleared_at)
                self._cleared_at = None

    def drops(self, now: float) -> list[AudioDropped]:
        """Return events for the audio lost since the last call."""
        lost = [
            AudioDropped(at=now, side=side, duration=seconds)
            for side, seconds in self._untold.items()
            if seconds
        ]
        self._untold = dict.fromkeys(self._untold, 0.0)
        return lost

    def snapshot(
        self, now: float, devices: Lease, connection: Connection | None, events_dropped: int
    ) -> Statistics:
        """Return all figures at this time."""
        io, far_end, playout = devices.io, devices.far_end, devices.far_end.playout
        echo = io.echo.measures()
        return Statistics(
            at=now,
            frames_sent=self._sent,
            bytes_sent=0 if connection is None else connection.bytes_sent,
            frames_dropped=self._frames_dropped,
            bytes_received=self._bytes_received,
            clears=self._clears,
            unknown_messages=self._unknown,
            malformed_messages=self._malformed,
            events_dropped=events_dropped,
            capture_xruns=devices.capture_xruns,
            playback_xruns=devices.playback_xruns,
            packets=None if devices.packets is None else devices.packets.figures(),
            underruns=playout.underruns,
            concealed=playout.concealed / far_end.rate,
            playout_depth=far_end.depth,
            playout_target=playout.target / far_end.rate,
            heard=playout.heard / far_end.rate,
            discarded=far_end.discarded / far_end.rate,
            overflowed=self._overflowed,
            device_losses=self._device_losses,
            capture_latency=io.microphone.latency,
            playback_latency=io.speaker.latency,
            capture_drift=io.capture_drift.ppm,
            playback_drift=io.playback_drift.ppm,
            clear_to_silence_p50=_percentile(self._clear_times, 50),
            clear_to_silence_p95=_percentile(self._clear_times, 95),
            responses=self._responses,
            response_last=self._response_times[-1] if self._responses else None,
            response_p50=_percentile(self._response_times, 50),
            response_p95=_percentile(self._response_times, 95),
            response_max=self._slowest if self._responses else None,
            barge_ins=self._barge_ins,
            barge_in_p50=_percentile(self._barge_in_times, 50),
            barge_in_p95=_percentile(self._barge_in_times, 95),
            echo=io.echo.name,
            echo_state=echo.state.value,
            echo_erle=echo.erle,
            echo_cost=None if echo.cost is None else echo.cost / BLOCK_SECONDS,
            round_trip=None if connection is None else connection.round_trip,
        )


def _percentile(figures: Collection[float], percent: int) -> float | None:
    return sorted(figures)[(len(figures) - 1) * percent // 100] if figures else None
