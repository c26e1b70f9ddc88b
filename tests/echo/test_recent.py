"""The latest rows, newest first."""

import numpy as np
import pytest

from retell_voice.echo.recent import Recent


@pytest.mark.parametrize("shape", [(5,), (5, 3)])
def test_it_has_the_latest_rows_newest_first_however_many_there_were(
    shape: tuple[int, ...],
) -> None:
    recent, expected = Recent(*shape), np.zeros(shape)
    for number in range(1, 200):
        row = np.full(shape[1:], float(number))
        recent.push(row)
        expected[1:] = expected[:-1].copy()
        expected[0] = row
        assert np.array_equal(recent.rows, expected)


def test_nothing_is_left_when_it_was_cleared() -> None:
    recent = Recent(4)
    for number in range(50):
        recent.push(float(number))
    recent.clear()
    assert not recent.rows.any()
    recent.push(7.0)
    assert recent.rows.tolist() == [7.0, 0.0, 0.0, 0.0]
