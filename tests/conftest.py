"""What holds for all tests."""

from __future__ import annotations

import gc
import os
import signal
import sys
import threading
import zlib
from collections import defaultdict
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
THOROUGH = 10
PATIENT = (
    "audio",
    "corpus",
    "devices/streams/test_far_reference.py",
    "devices/streams/test_lost_near_end.py",
    "echo",
    "emulator/test_dialogue.py",
    "emulator/test_dialogue_beside_speech.py",
    "emulator/test_dialogue_in_any_order.py",
    "emulator/test_dialogue_interrupting.py",
    "emulator/test_engines_real.py",
    "emulator/test_filters.py",
    "emulator/test_neural.py",
    "emulator/test_scenario_parser.py",
    "emulator/test_sentences.py",
    "kiosk/test_hearing.py",
    "kiosk/test_kiosk_months.py",
    "kiosk/test_kiosk_states.py",
    "protocol",
    "report",
    "rest/test_sdk_loading.py",
    "settings",
    "test_corpus.py",
    "test_imports.py",
    "test_shown.py",
)
"""Files and folders of tests that depend on no clock, connect to nothing and compute a lot: they
pass however seldom they get a processor."""
BESIDE = (
    "sound/test_kiosk_on_card.py",
    "sound/test_losing_devices.py",
    "sound/test_pipewire_route.py",
    "sound/test_switching.py",
)
"""Files of sound tests that may run, on a card of their own, while others measure sound: they
measure none, or repeat what the machine let wait."""
LONG = (
    "emulator/test_engines_real.py",
    "emulator/test_neural.py",
    "audio/test_playout_fading.py",
    "audio/packets/test_packet_playout.py",
    "audio/test_playout_in_any_order.py",
    "cli/test_ending.py",
    "cli/test_talk.py",
    "cli/test_swarm.py",
    "cli/test_faults.py",
    "cli/test_terminal.py",
    "cli/test_talk_web.py",
    "emulator/test_llm_spoken.py",
    "engine/test_scenarios.py",
    "engine/test_scenario_faults.py",
    "engine/test_scenario_audio.py",
    "engine/test_web_call.py",
    "peers/test_chromium.py",
    "scripts/test_bench_emulator.py",
)
"""The files that take longest, the longest first: in parallel, they begin before the others."""

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("same", settings.get_profile("random"), derandomize=True, database=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("retell-voice")
    # Each may be given more than once: a test runs if all of them let it.
    some: dict[str, Any] = {"action": "append", "choices": ("only", "none"), "default": []}
    group.addoption("--sound", **some, help="only the sound tests, or none of them")
    group.addoption(
        "--beside", **some, help="only the sound tests that may run beside others, or none of them"
    )
    group.addoption(
        "--patient", **some, help="only the tests that pass however slow the machine is, or none"
    )
    group.addoption(
        "--thorough", action="store_true", help=f"{THOROUGH} times the examples for each property"
    )
    group.addoption("--durations-to", type=Path, help="a file for how long each test took")


def pytest_configure(config: pytest.Config) -> None:
    usual: dict[str, Any] = {
        "SIGINT": signal.default_int_handler,
        "SIGQUIT": signal.SIG_DFL,
        "SIGHUP": signal.SIG_DFL,
    }
    for number in (getattr(signal, name) for name in usual if hasattr(signal, name)):
        if signal.getsignal(number) is signal.SIG_IGN:
            # As in a job in the background of a shell, and what we start would inherit it.
            signal.signal(number, usual[number.name])
    is_thorough = config.getoption("thorough")
    settings.load_profile(
        "same" if os.environ.get("CI") == "true" and not is_thorough else "random"
    )
    missing = [each for each in PATIENT + BESIDE + LONG if not (TESTS / each).exists()]
    assert not missing, f"tests/conftest.py names what is not there: {missing}"
    path = config.getoption("durations_to")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(path))


class Durations:
    """Writes a line a test: seconds, the test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid] += report.duration

    def pytest_sessionfinish(self) -> None:
        lines = [f"{seconds:.3f} {test}\n" for test, seconds in self._seconds.items()]
        self._path.write_text("".join(lines), "utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing that is deselected anyhow; None: as usual."""
    if TESTS not in collection_path.parents or collection_path.is_dir():
        return None
    is_sound = collection_path.parent == TESTS / "sound"
    return None if _is_wanted(config, collection_path, is_sound=is_sound) else True


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted: list[pytest.Item] = []
    left_out: list[pytest.Item] = []
    for item in items:
        is_sound = item.get_closest_marker("sound") is not None
        (wanted if _is_wanted(config, item.path, is_sound=is_sound) else left_out).append(item)
    if left_out:
        config.hook.pytest_deselected(items=left_out)
        items[:] = wanted
    if hasattr(config, "workerinput"):
        items.sort(key=_when)
    if config.getoption("thorough"):
        _ask_for_more(items)


def _is_wanted(config: pytest.Config, path: Path, *, is_sound: bool) -> bool:
    """Whether the options leave a test in such a file."""
    kinds = {
        "sound": is_sound,
        "patient": _is_in(path, PATIENT),
        "beside": _is_in(path, BESIDE),
    }
    return all(
        wanted == ("only" if applies else "none")
        for option, applies in kinds.items()
        for wanted in config.getoption(option)
    )


def _when(item: pytest.Item) -> tuple[int, int]:
    """Return when a test's turn is if files are run in parallel: the long files first, then the
    others shuffled, as neighbours are alike: some wait, some compute."""
    file = Path(os.path.relpath(item.path, TESTS)).as_posix()
    return LONG.index(file) if file in LONG else len(LONG), zlib.crc32(file.encode())


def pytest_collection_finish() -> None:
    gc.freeze()  # tests and modules stay to the end: no collection needs to visit them


@cache
def _is_in(path: Path, places: tuple[str, ...]) -> bool:
    return any(TESTS / each in (path, *path.parents) for each in places)


def _ask_for_more(items: list[pytest.Item]) -> None:
    """Let Hypothesis try more examples, also where a test says how many."""
    done: set[int] = set()
    for item in items:
        test = getattr(item, "obj", None)
        function, machine = getattr(test, "__func__", test), getattr(item, "cls", None)
        for owner, name in ((function, "_hypothesis_internal_use_settings"), (machine, "settings")):
            own = getattr(owner, name, None)
            if isinstance(own, settings) and id(owner) not in done:
                done.add(id(owner))
                setattr(owner, name, settings(own, max_examples=THOROUGH * own.max_examples))


@pytest.fixture(autouse=True)
def nothing_left_in_portaudio() -> Iterator[None]:
    """Leave no thread in PortAudio: a command that a later test runs here would end the process."""
    yield
    if library := sys.modules.get("retell_voice.devices.portaudio.library"):
        for thread in threading.enumerate():
            if thread.name in library._AT_WORK:
                thread.join(15)
        vars(library)["_left_open"] = False
