import numpy as np
import pytest

from retell_voice.audio.levels import dbfs, peak, power


@pytest.mark.parametrize(
    ("samples", "level"),
    [([], -100), ([0, 0], -100), ([-32768], 0), ([3277, -3], -20), ([1], -90.3)],
)
def test_peak_level(samples: list[int], level: float) -> None:
    assert dbfs(peak(np.array(samples, np.int16))) == pytest.approx(level, abs=0.05)


@pytest.mark.parametrize(
    ("samples", "square"), [([], 0), ([0, 0], 0), ([-32768] * 3, 2**30), ([3, -4], 12.5)]
)
def test_power_is_the_mean_square(samples: list[int], square: float) -> None:
    assert power(np.array(samples, np.int16)) == pytest.approx(square)
