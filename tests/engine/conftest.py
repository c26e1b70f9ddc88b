"""What several files of tests of calls ask for."""

import pytest

from retell_voice.engine.timing import Timing


@pytest.fixture
def heartbeats(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client that notices silence within 0.3 s, not 15."""
    # By its name: whoever runs no test of this folder imports no emulator for it.
    timing = Timing(heartbeat=0.02, silence_limit=0.3)
    monkeypatch.setattr("support.scenarios.Conversation.timing", timing)
