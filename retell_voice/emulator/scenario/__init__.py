"""Scenarios: a TOML file that says what the server does in a call and when, faults included.

::

    TOML ─▶ table ─▶ step_parsers, parser ─▶ steps ─▶ agent ─▶ Session     pure up to the steps
                                                        ├─ sounds, delivery  what it says, and when
                                                        └─ faults            what goes wrong
"""

from retell_voice.emulator.scenario.agent import scenario_agent
from retell_voice.emulator.scenario.parser import STEP_KINDS, load_scenario, parse_scenario
from retell_voice.emulator.scenario.steps import Scenario

__all__ = ["STEP_KINDS", "Scenario", "load_scenario", "parse_scenario", "scenario_agent"]
