"""The sound server's own echo cancellation, found by the names it gives."""

import pytest

from retell_voice.echo.system import HINT, HOW_TO, EchoCancelled, SoundDevice, cancels_echo, find

PIPEWIRE = SoundDevice("echo-cancel-source", "Echo-Cancel Source")
SINK = SoundDevice("echo-cancel-sink", "Echo-Cancel Sink")
PLAIN = SoundDevice("alsa_input.pci-0000_00_1f.3.analog-stereo", "Built-in Audio Analog Stereo")


@pytest.mark.parametrize(
    "device",
    [
        PIPEWIRE,
        SINK,
        SoundDevice("aec_mic"),
        SoundDevice("mic.echo-cancel", "Built-in Audio (echo cancelled with Built-in Audio)"),
        SoundDevice("mine", "Echo-Cancelled Microphone"),
        SoundDevice("noechosource"),
    ],
    ids=lambda device: device.name,
)
def test_its_devices_are_known_by_name(device: SoundDevice) -> None:
    assert cancels_echo(device)


@pytest.mark.parametrize(
    "device",
    [
        PLAIN,
        SoundDevice("echo-cancel-sink.monitor", "Monitor of Echo-Cancel Sink"),
        SoundDevice("Monitor of Echo-Cancel Sink"),
        SoundDevice("Amazon Echo Dot"),
        SoundDevice("Haecker USB Mic"),
    ],
    ids=lambda device: device.name,
)
def test_others_are_not(device: SoundDevice) -> None:
    assert not cancels_echo(device)


def test_the_pair_is_found() -> None:
    monitor = SoundDevice("echo-cancel-sink.monitor", "Monitor of Echo-Cancel Sink")
    assert find([PLAIN, monitor, PIPEWIRE], [PLAIN, SINK]) == EchoCancelled(PIPEWIRE, SINK)
    assert find([PIPEWIRE], [PLAIN]) == EchoCancelled(PIPEWIRE, None)
    assert find([PLAIN, monitor], [SINK]) is None


def test_what_its_words_make_is_what_is_looked_for() -> None:
    assert HINT in HOW_TO
    for name in ("echo-cancel-source", "echo-cancel-sink"):
        assert f"node.name = {name}" in HOW_TO
        assert cancels_echo(SoundDevice(name))
