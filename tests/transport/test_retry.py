from itertools import islice

import pytest

from retell_voice.errors import ConnectError, DeviceError, Rejected
from retell_voice.transport.retry import full_jitter, is_worth_retrying


def test_the_bound_doubles_up_to_a_limit() -> None:
    assert list(islice(full_jitter(lambda: 1.0), 6)) == [0.25, 0.5, 1.0, 2.0, 4.0, 4.0]
    assert list(islice(full_jitter(lambda: 0.0), 3)) == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("error", "worth"),
    [
        (ConnectError("refused", temporary=True), True),
        (ConnectError("no such host"), False),
        (Rejected("", status=503), True),
        (Rejected("", status=429), True),
        (Rejected("", status=404), False),
        (Rejected("", code=1008), False),
        (DeviceError(""), False),
    ],
)
def test_what_is_worth_another_try(error, worth: bool) -> None:
    assert is_worth_retrying(error) is worth
