"""Times on the command line."""

from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.when import read_time, show_time

NOW = 1_790_000_000.0


@pytest.mark.parametrize(
    ("text", "ago"),
    [("30s", 30), ("90m", 5400), ("2h", 7200), ("1.5h", 5400), ("3d", 259_200), ("1w", 604_800)],
)
def test_how_long_ago(text: str, ago: float) -> None:
    assert read_time(text, NOW) == NOW - ago


def test_a_date_is_local_unless_it_says_so() -> None:
    assert read_time("1970-01-02T00:00:00Z", NOW) == 86_400
    assert read_time("1970-01-02T02:00+02:00", NOW) == 86_400
    assert read_time("2026-01-31", NOW) == datetime(2026, 1, 31).timestamp()


@pytest.mark.parametrize("text", ["", "h", "2", "2 h", "-2h", "2y", "soon", "2026-13-01", "12:00"])
def test_what_is_no_time(text: str) -> None:
    with pytest.raises(ValueError, match="is neither like 2h nor like 2026-01-31T12:00"):
        read_time(text, NOW)


@given(st.text())
def test_no_text_breaks_it(text: str) -> None:
    try:
        read_time(text, NOW)
    except ValueError as error:
        assert len(str(error)) < 300  # noqa: PT017 - most texts are no time, some are


@given(st.none() | st.floats())
def test_whatever_a_server_sends_is_shown_or_not(at: float | None) -> None:
    assert len(show_time(at)) in (0, 19)


@given(st.datetimes(datetime(1980, 1, 1), datetime(2100, 1, 1)))
def test_what_is_shown_can_be_given(moment: datetime) -> None:
    shown = show_time(moment.timestamp())
    assert read_time(shown, NOW) == moment.replace(microsecond=0).timestamp()
