"""The names of ``retell_voice.emulator``: all are there, what costs time when it is used."""

import subprocess
import sys

import pytest

from retell_voice import emulator


def test_every_name_is_there() -> None:
    assert len(set(emulator.__all__)) == len(emulator.__all__)
    for name in emulator.__all__:
        assert getattr(emulator, name) is not None
    assert set(emulator.__all__) <= set(dir(emulator))


def test_every_kind_of_server_event_is_exported() -> None:
    def kinds(kind: type[emulator.ServerEvent]) -> set[type[emulator.ServerEvent]]:
        return {kind}.union(*(kinds(each) for each in kind.__subclasses__()))

    ours = {each for each in kinds(emulator.ServerEvent) if each.__module__.startswith("retell_")}
    assert {each.__name__ for each in ours} <= set(emulator.__all__)
    assert emulator.LlmRetrying in ours


def test_what_costs_time_is_loaded_when_it_is_used() -> None:
    script = (
        "import sys; import retell_voice.emulator as emulator\n"
        "rooms = ['dialogue', 'scenario', 'speech.engines', 'llm.link']\n"
        "there = lambda room: f'retell_voice.emulator.{room}' in sys.modules\n"
        "loaded = lambda: list(filter(there, rooms))\n"
        "assert loaded() == [], loaded()\n"
        "emulator.llm_agent, emulator.scenario_agent, emulator.open_engines\n"
        "assert loaded() == rooms, loaded()\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, timeout=60)


def test_what_is_not_there_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'oracle'"):
        emulator.oracle  # noqa: B018
