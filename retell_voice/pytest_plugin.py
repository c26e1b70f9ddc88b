"""The pytest fixture ``retell_emulator``; ``docs/scenarios.md`` shows how to use it.

pytest loads this module in every environment that has this package, so it imports nothing else
until the fixture is used.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from retell_voice.emulator.fixtures import Emulators


@pytest.fixture
def retell_emulator(request: pytest.FixtureRequest) -> Iterator[Emulators]:
    """Start emulators of Retell's side: ``retell_emulator(scenario="barge-in.toml")``.

    They end with the test, and fail it if a scenario or an agent failed.
    """
    from retell_voice.emulator.fixtures import Emulators  # noqa: PLC0415 - pytest loads this for every project

    with Emulators(request.path.parent) as emulators:
        yield emulators
