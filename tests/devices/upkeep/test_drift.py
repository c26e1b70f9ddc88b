import pytest

from retell_voice.devices.upkeep.drift import ClockDrift


@pytest.mark.parametrize("ppm", [-80, 0, 35])
def test_a_clock_that_runs_off_is_measured(ppm: int) -> None:
    drift = ClockDrift(48000)
    for tick in range(6000):
        seconds = 0.1 * tick
        # The device starts with a burst and delivers in blocks of 10 ms.
        samples = int((0.2 + seconds * (1 + ppm / 1e6)) * 100) * 480
        drift.look(seconds, samples)
        if seconds < 60:
            assert drift.ppm is None
    assert drift.ppm == pytest.approx(ppm, abs=10000 / 598)


def test_a_device_that_never_starts_has_no_drift() -> None:
    drift = ClockDrift(48000)
    for seconds in range(100):
        drift.look(seconds, 0)
    assert drift.ppm is None
