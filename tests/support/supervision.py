"""Other timings for the supervisors of calls under test."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from retell_voice.devices.upkeep import pair
from retell_voice.devices.upkeep.supervisor import Supervisor
from retell_voice.devices.upkeep.tasks import DEFAULT_TIMING


def time_supervisors(monkeypatch: pytest.MonkeyPatch, **seconds: float) -> None:
    """Let the devices of calls from here on have these timings; see ``Timing``."""
    made: Any = vars(pair)["Supervisor"]
    timing = made.keywords["timing"] if isinstance(made, partial) else DEFAULT_TIMING
    supervisor = partial(Supervisor, timing=replace(timing, **seconds))
    monkeypatch.setattr(pair, "Supervisor", supervisor)
