"""PortAudio as it is, but for its list of devices."""

import pytest
import sounddevice

from retell_voice.devices.portaudio import library


@pytest.fixture
def refreshed(monkeypatch):
    """Count what would be done to PortAudio; fail if a test leaves it in use."""
    done = []
    monkeypatch.setattr(sounddevice, "_terminate", lambda: done.append("terminate"))
    monkeypatch.setattr(sounddevice, "_initialize", lambda: done.append("initialize"))
    yield done
    assert library._users == 0
