"""What holds for all tests."""

from __future__ import annotations

import os
import signal
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

TESTS = Path(__file__).parent
THOROUGH = 10

# How long an example takes says more about the machine than about the code.
settings.register_profile(
    "random", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
settings.register_profile("same", settings.get_profile("random"), derandomize=True, database=None)


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("retell-voice")
    group.addoption("--sound", choices=("only", "none"), help="the sound tests only, or no others")
    group.addoption(
        "--thorough", action="store_true", help=f"{THOROUGH} times the examples for each property"
    )
    group.addoption("--durations-to", type=Path, help="a file for how long each test took")


def pytest_configure(config: pytest.Config) -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        # As in a job in the background of a shell, and what we start would inherit it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    is_thorough = config.getoption("thorough")
    settings.load_profile(
        "same" if os.environ.get("CI") == "true" and not is_thorough else "random"
    )
    path = config.getoption("durations_to")
    if path is not None and not hasattr(config, "workerinput"):
        config.pluginmanager.register(Durations(path))


class Durations:
    """Writes a line a test: seconds, the test."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[report.nodeid.partition("@")[0]] += report.duration

    def pytest_sessionfinish(self) -> None:
        lines = [f"{seconds:.3f} {test}\n" for test, seconds in self._seconds.items()]
        self._path.write_text("".join(lines), "utf-8")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Import nothing that is deselected anyhow; None: as usual."""
    wanted = config.getoption("sound")
    if wanted is None or collection_path.parent != TESTS:
        return None
    return True if (collection_path.name == "sound") != (wanted == "only") else None


@pytest.hookimpl(tryfirst=True)  # before xdist looks at the groups
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("sound")
    if wanted is not None:
        left_out = [each for each in items if _is_sound(each) != (wanted == "only")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [each for each in items if _is_sound(each) == (wanted == "only")]
    for item in items:
        if (group := _group(item)) is not None:
            item.add_marker(pytest.mark.xdist_group(group))
    if config.getoption("thorough"):
        _ask_for_more(items)


def _is_sound(item: pytest.Item) -> bool:
    return item.get_closest_marker("sound") is not None


def _group(item: pytest.Item) -> str | None:
    """Name the tests that must run in one process, one after the other; None: wherever."""
    if _is_sound(item):
        return "sound"  # they share a card
    found: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009
    shared = (each[-1] for each in found.values() if each[-1].scope != "function")
    # What is made once, such as a loaded speech engine, is made in one process only.
    return next((each.baseid for each in shared if each.baseid), None)


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
