import gc
import sys
from collections.abc import Iterator

import pytest

from retell_voice.program.realtime import SWITCH_INTERVAL, freeze_memory, set_switch_interval


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    interval = sys.getswitchinterval()
    yield
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
