"""The target delay, at 1 sample a millisecond."""

import random
from collections.abc import Iterable

import pytest

from retell_voice.audio.packets.delay_estimator import DelayEstimator

RATE = 1000
FRAME = 20


class Network:
    """Packets every 20 ms, each some samples late."""

    def __init__(self, target: tuple[float, float] = (0.015, 0.5), *, ppm: float = 0) -> None:
        self.delays = DelayEstimator(RATE, target)
        self.sent = 0
        self._stretch = 1 + ppm / 1e6

    def late(self, by: Iterable[float]) -> int:
        for delay in by:
            self.delays.arrived(round(self.sent * self._stretch + 50 + delay), self.sent)
            self.sent += FRAME
        return self.delays.target


def test_a_calm_network_needs_the_lowest_delay() -> None:
    assert Network().late([0, 1, 2, 3] * 500) == 15


@pytest.mark.parametrize(("jitter", "target"), [(30, 35), (60, 65), (150, 155)])
def test_jitter_is_covered_within_two_seconds(jitter: int, target: int) -> None:
    dice = random.Random(1)
    network = Network()
    network.late([0] * 100)
    network.late([dice.choice((0, jitter)) for _ in range(100)])
    assert network.delays.target == target


def test_the_target_stays_within_its_bounds() -> None:
    assert Network((0.04, 0.1)).late([0, 300] * 200) == 100
    assert Network((0.04, 0.1)).late([0] * 200) == 40


def stall(milliseconds: int) -> list[float]:
    return [max(0, milliseconds - FRAME * frame) for frame in range(150)]  # each 3 s


def test_one_stall_does_not_raise_the_target_but_many_do() -> None:
    network = Network()
    assert network.late(stall(0)) == 15
    assert network.late(stall(200)) == 15
    assert network.late(stall(0)) == 15
    for _ in range(5):
        network.late(stall(200))
    assert network.delays.target == 205


def test_a_calm_minute_and_a_half_is_enough_to_forget() -> None:
    dice = random.Random(1)
    network = Network()
    network.late([dice.choice((0, 80)) for _ in range(1500)])
    assert network.delays.target == 85
    assert network.late([0] * 90 * 50) == 15


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_clock_that_drifts_is_no_jitter(ppm: float) -> None:
    network = Network(ppm=ppm)
    assert network.late([0] * 15000) == 15
    now = round(network.sent * (1 + ppm / 1e6) + 50)
    assert abs(network.delays.delay(now, network.sent)) <= 1


def test_the_delay_is_that_of_the_fastest_packet_lately() -> None:
    network = Network()
    assert network.delays.delay(100, 0) == 0
    network.late([10, 0, 30])
    assert network.delays.delay(50 + 100, 60) == 40
    network.late([12] * 101)  # the route is longer now: known after two seconds
    assert network.delays.delay(50 + network.sent, network.sent) == -12


@pytest.mark.parametrize("jump", [-(10**7), -1001, 1001, 10**7])
def test_timestamps_that_jump_are_no_delay(jump: int) -> None:
    network = Network()
    network.late([0] * 200)
    network.sent += jump
    network.late([-jump] * 200)
    assert network.delays.target == 15
