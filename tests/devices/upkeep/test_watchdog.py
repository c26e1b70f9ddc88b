import pytest

from retell_voice.devices.upkeep.watchdog import ZEROS_TIMEOUT, Watchdog, ZerosWatch

BLOCK_TIMEOUT = START_TIMEOUT = 2.0
TICK = 0.02


class Time:
    """Looks in the rhythm of a call."""

    def __init__(self, watch: Watchdog) -> None:
        self.watch, self.now = watch, 100.0

    def until_lost(self, blocks: int, at_most: float = 10.0) -> float | None:
        """Return the seconds after which the device is lost when nothing more comes."""
        begin = self.now
        while self.now < begin + at_most:
            self.now += TICK
            if self.watch.look(self.now, blocks):
                return self.now - begin
        return None


def test_a_device_that_passes_audio_is_alive() -> None:
    watchdog = Watchdog(BLOCK_TIMEOUT, START_TIMEOUT)
    assert not any(watchdog.look(second * 0.1, second) for second in range(100))


@pytest.mark.parametrize("timeout", [0.5, BLOCK_TIMEOUT])
def test_a_device_that_stops_is_noticed(timeout: float) -> None:
    time = Time(Watchdog(timeout, START_TIMEOUT))
    time.watch.look(time.now, 1)
    assert time.until_lost(1) == pytest.approx(timeout, abs=2 * TICK)


def test_the_first_block_may_take_longer() -> None:
    time = Time(Watchdog(0.5, START_TIMEOUT))
    assert time.until_lost(0) == pytest.approx(START_TIMEOUT, abs=2 * TICK)


def test_an_event_loop_that_slept_does_not_take_the_device_for_lost() -> None:
    watchdog = Watchdog(0.5, START_TIMEOUT)
    watchdog.look(0.0, 1)
    assert not watchdog.look(60.0, 1)  # it may only not have been its turn yet
    assert not watchdog.look(60.02, 2)


def test_zeros_are_told_once_and_again_after_sound() -> None:
    watch = ZerosWatch()
    told = [  # in a minute; a sound after 20 s
        tick * TICK
        for tick in range(3000)
        if watch.look(tick * TICK, int(tick >= 1000), listening=True)
    ]
    assert told == [
        pytest.approx(ZEROS_TIMEOUT, abs=2 * TICK),
        pytest.approx(20 + ZEROS_TIMEOUT, abs=2 * TICK),
    ]


def test_zeros_do_not_count_while_nobody_listens() -> None:
    watch = ZerosWatch()
    told = [
        tick * TICK
        for tick in range(1000)
        if watch.look(tick * TICK, 0, listening=not 200 < tick < 600)
    ]
    assert told == [pytest.approx(12 + ZEROS_TIMEOUT, abs=2 * TICK)]


def test_a_microphone_with_sound_is_not_told() -> None:
    watch = ZerosWatch()
    assert not any(watch.look(tick * 1.0, tick // 4, listening=True) for tick in range(100))
