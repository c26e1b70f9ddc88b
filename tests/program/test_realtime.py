import gc
import sys
from collections.abc import Iterator

import pytest

from retell_voice.program.failure import reported
from retell_voice.program.realtime import (
    SWITCH_INTERVAL,
    collect_as_usual,
    freeze_memory,
    put_off_collecting,
    set_switch_interval,
)


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    interval, thresholds = sys.getswitchinterval(), gc.get_threshold()
    yield
    gc.set_threshold(*thresholds)
    sys.setswitchinterval(interval)
    gc.unfreeze()


def test_busy_threads_give_way_soon() -> None:
    set_switch_interval()
    assert sys.getswitchinterval() == pytest.approx(SWITCH_INTERVAL)


def test_what_is_loaded_is_not_looked_through_again() -> None:
    before = gc.get_freeze_count()
    freeze_memory()
    assert gc.get_freeze_count() > before
    assert len(gc.get_objects()) < gc.get_freeze_count()


def test_modules_load_without_a_look_for_garbage_and_a_call_is_held_with_the_usual_ones() -> None:
    usual = gc.get_threshold()
    put_off_collecting()
    before = gc.get_stats()[0]["collections"]
    assert len([[] for _ in range(50_000)]) == 50_000
    assert gc.get_stats()[0]["collections"] <= before + 1  # counted from the last one on
    freeze_memory()
    assert gc.get_threshold() == usual


def test_a_command_that_holds_no_call_has_the_usual_threshold() -> None:
    usual = gc.get_threshold()
    put_off_collecting()
    with reported():
        assert gc.get_threshold() == usual
    before = gc.get_freeze_count()
    collect_as_usual()
    assert gc.get_freeze_count() <= before, "nothing was put off"
