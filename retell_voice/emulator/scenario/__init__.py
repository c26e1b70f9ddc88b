"""Scenarios: what the server does in a call, and when, as a TOML file; faults included.

::

    TOML ─▶ table ─▶ kinds, reading ─▶ steps ─▶ agent ─▶ Session        pure up to the steps
                                                  ├─ studio, delivery   what it says, and when
                                                  └─ faults             what goes wrong
"""

from retell_voice.emulator.scenario.agent import scenario_agent
from retell_voice.emulator.scenario.reading import KINDS, load_scenario, parse_scenario
from retell_voice.emulator.scenario.steps import Scenario

__all__ = ["KINDS", "Scenario", "load_scenario", "parse_scenario", "scenario_agent"]
