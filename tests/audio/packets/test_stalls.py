"""What a stall of the network leaves behind, over all kinds of sound and at any moment of them."""

import numpy as np
import pytest
from support.packet_stalls import JITTERS, RATE, SOUNDS, moments, stalled, time_back


@pytest.mark.parametrize("jitter", JITTERS)
@pytest.mark.parametrize("name", SOUNDS)
def test_the_delay_is_the_usual_one_again_within_three_seconds(name: str, jitter: float) -> None:
    back = [time_back(name, moment, jitter) for moment in moments(12)]
    assert max(back) <= 3
    assert np.median(back) <= 1.5


@pytest.mark.parametrize("name", SOUNDS)
def test_giving_the_delay_back_conceals_nothing(name: str) -> None:
    for moment in moments(3):
        call = stalled(name, moment, 3.0, 7.0)
        concealed = []
        for seconds in (3.5, 3.5, 1.0, 2.0):
            call.run(seconds)
            concealed.append(call.playout.concealed)
        stall = round(0.12 * RATE)
        assert concealed == [stall, stall, 2 * stall, 2 * stall], "only what the stalls cost"
