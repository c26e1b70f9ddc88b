"""What a kiosk counts, from its start on; and, if asked to, shows to Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.ports import Look
from retell_voice.kiosk.states import State

_MOST_SOURCES = 100


@dataclass
class Tally:
    """Counters, and the figures of the last call."""

    calls: Counter[str] = field(default_factory=Counter)
    """Calls by their result."""
    triggers: Counter[str] = field(default_factory=Counter)
    """Wishes for a call by who had them."""
    false_wakes: int = 0
    """Calls that a voice began and in which nobody spoke."""
    talked: float = 0.0
    """Seconds of live calls."""
    dialled: float = 0.0
    """Seconds from wishes to live calls."""
    live: int = 0
    """Calls that went live."""
    underruns: int = 0
    device_losses: int = 0

    def wish(self, source: str) -> None:
        """Count a wish for a call; sources beyond a hundred, whose names anyone may make up at the
        control socket, together."""
        is_known = source in self.triggers or len(self.triggers) < _MOST_SOURCES
        self.triggers[source if is_known else "others"] += 1

    def add(self, account: Account) -> None:
        """Count a call."""
        self.calls[account.result] += 1
        self.false_wakes += account.was_false_wake
        self.talked += account.lasted
        self.underruns += account.underruns
        self.device_losses += account.device_losses
        if account.dialled is not None:
            self.live += 1
            self.dialled += account.dialled


class Metrics:
    """Serves a tally to Prometheus, through its own client.

    Args:
        tally: read whenever someone asks.
        look: returns how the kiosk looks; on any thread.
        address: host and port.

    Raises:
        ConfigError: the client is not installed, or it cannot listen there.
    """

    def __init__(self, tally: Tally, look: Callable[[], Look], address: tuple[str, int]) -> None:
        try:
            import prometheus_client  # noqa: PLC0415 - an extra
            from prometheus_client import core  # noqa: PLC0415 - as above
        except ImportError:
            raise ConfigError(
                "metrics need a package that is not installed",
                how_to_install("metrics"),
            ) from None
        self._core = core
        self._tally, self._look = tally, look
        registry = prometheus_client.CollectorRegistry()
        registry.register(self)
        prometheus_client.ProcessCollector(registry=registry)
        host, port = address
        try:
            self._server, self._thread = prometheus_client.start_http_server(
                port, host, registry=registry
            )
        except OSError as error:
            why = error.strerror or error
            raise ConfigError(f"metrics cannot be served at {host}:{port}: {why}") from None

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self._server.server_port)

    def close(self) -> None:
        """Serve no more. Blocks for half a second at most."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(1.0)

    def collect(self) -> Iterator[Any]:
        """Yield the figures of now. Runs on: a thread of the client's."""
        counter, gauge = self._core.CounterMetricFamily, self._core.GaugeMetricFamily
        tally, look = self._tally, self._look()
        for name, text, counts, label in (
            ("calls", "Calls by how they ended.", tally.calls, "result"),
            ("wishes", "Wishes for a call.", tally.triggers, "source"),
        ):
            family = counter(f"retell_voice_kiosk_{name}", text, labels=[label])
            for key, value in tuple(counts.items()):
                family.add_metric([key], value)
            yield family
        figures: tuple[tuple[str, str, float], ...] = (
            ("false_wakes", "Calls that a voice began and nobody spoke in.", tally.false_wakes),
            ("talk_seconds", "Seconds of live calls.", tally.talked),
            ("dial_seconds", "Seconds from wishes to live calls.", tally.dialled),
            ("live_calls", "Calls that went live.", tally.live),
            ("underruns", "Times the jitter buffer ran empty.", tally.underruns),
            ("device_losses", "Times a device was lost in a call.", tally.device_losses),
        )
        for name, text, figure in figures:
            yield counter(f"retell_voice_kiosk_{name}", text, value=figure)
        states = gauge("retell_voice_kiosk_state", "1 for where it stands.", labels=["state"])
        for state in State:
            states.add_metric([state.value], state is look.state)
        yield states
        yield gauge("retell_voice_kiosk_muted", "Whether it is muted.", value=look.muted)
        yield gauge("retell_voice_kiosk_volume", "Percent.", value=look.volume)
