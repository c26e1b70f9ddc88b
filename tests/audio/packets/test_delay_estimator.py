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


@pytest.mark.parametrize("jitter", [40, 100, 300])
def test_jitter_is_covered_within_four_seconds(jitter: int) -> None:
    dice = random.Random(1)
    network = Network()
    network.late([0] * 100)
    network.late([dice.uniform(0, jitter) for _ in range(200)])
    # The usual packet is half as late as the last; that was not known at first.
    assert jitter / 2 < network.delays.target <= jitter


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


def test_stalls_that_are_not_covered_leave_the_target_to_what_is() -> None:
    network = Network()
    mostly_calm = ([0] * 25 * 24 + [30] + [0] * 24) * 3
    assert network.late(mostly_calm) == 15
    assert network.late(stall(200) * 2) == 15


def test_a_calm_minute_and_a_half_is_enough_to_forget() -> None:
    dice = random.Random(1)
    network = Network()
    network.late([dice.uniform(0, 80) for _ in range(1500)])
    assert 40 < network.delays.target < 60
    assert network.late([0] * 90 * 50) == 15


@pytest.mark.parametrize("ppm", [200, -200])
def test_a_clock_that_drifts_is_no_jitter(ppm: float) -> None:
    network = Network(ppm=ppm)
    assert network.late([0] * 15000) == 15
    now = round(network.sent * (1 + ppm / 1e6) + 50)
    assert abs(network.delays.delay(now, network.sent)) <= 1


def test_the_delay_is_that_of_the_usual_packet_lately() -> None:
    network = Network()
    assert network.delays.delay(100, 0) == 0
    network.late([10, 0, 30])  # of few, the fastest
    assert network.delays.delay(50 + 100, 60) == 40
    network.late([12] * 101)  # the route is longer now
    assert network.delays.delay(50 + network.sent, network.sent) == -12


def test_a_packet_that_makes_it_into_an_earlier_block_changes_nothing() -> None:
    network = Network()
    seen = set()
    for _ in range(50):
        network.late([10] * 39 + [0])
        seen.add(network.delays.delay(1000 + network.sent, network.sent))
    assert seen == {1000 - 50 - 10}
    assert network.delays.target == 15


def test_a_device_that_stood_still_is_known_at_once() -> None:
    network = Network()
    network.late([300] * 200)
    network.late([0])  # 300 samples fewer were pulled meanwhile
    assert network.delays.delay(50 + network.sent, network.sent) == 0


@pytest.mark.parametrize("jump", [-(10**7), -1001, 1001, 10**7])
def test_timestamps_that_jump_are_no_delay(jump: int) -> None:
    network = Network()
    network.late([0] * 200)
    network.sent += jump
    network.late([-jump] * 200)
    assert network.delays.target == 15


def test_redundancy_is_waited_for_while_packets_are_lost() -> None:
    network = Network()
    network.late([0] * 100)
    network.delays.lost(2000, FRAME)
    assert network.late([0] * 300) == 15, "one alone is not worth the delay"
    network.delays.lost(8000, FRAME)
    network.delays.lost(9000, FRAME)
    assert network.delays.target == 15 + FRAME
    assert network.late([0] * 500) == 15 + FRAME
    assert network.late([0] * 60) == 15, "none for ten seconds"
