import os
from collections.abc import Iterator

import pytest
from support.card import VirtualCard, missing_programs
from support.waits import once_more


@pytest.fixture(scope="session")
def card() -> Iterator[VirtualCard]:
    """A sound card for all sound tests; where all must run, a machine without is a failure."""
    if (missing := missing_programs()) and os.environ.get("CI") != "true":
        pytest.skip(f"no sound card: {', '.join(missing)} missing; see scripts/test")
    with VirtualCard() as running:
        running.run_ahead()  # as a desktop lets its sound server; speakers and listeners, too
        yield running


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if once_more:
        terminalreporter.section("repeated, as the machine let the sound wait")
        terminalreporter.write_line("\n".join(once_more))


@pytest.fixture
def home(tmp_path, monkeypatch) -> dict[str, str]:
    """Variables that keep a program from the settings of whoever runs the tests."""
    for name in list(os.environ):
        if name.startswith("RETELL_VOICE_"):
            monkeypatch.delenv(name)
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}
