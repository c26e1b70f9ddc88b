"""Microphones and speakers: found again, in two streams, one that is mute passed over.

The streams themselves run on a sound server, in tests/sound, the callbacks in test_callbacks.
"""

import atexit
import threading
from types import SimpleNamespace
from typing import Any

import pytest
import sounddevice

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.portaudio import choosing, library, lookup
from retell_voice.devices.portaudio import devices as portaudio
from retell_voice.devices.portaudio.lookup import Found
from retell_voice.errors import DeviceError, DeviceNotFound


class Stream:
    """PortAudio's, of a device that is there only after a refresh."""

    latency = 0.02

    def __init__(self, **settings):
        self.settings = settings
        self.closed = False

    def start(self):
        pass

    def abort(self, ignore_errors):
        pass

    def close(self, ignore_errors):
        self.closed = True


@pytest.fixture
def plugged(refreshed, monkeypatch):
    """The names of the outputs there are, as a list to change; PortAudio sees it as it was."""
    there, seen = ["Jabra", "Built-in"], ["Jabra", "Built-in"]

    def resolve(direction, name, host_api=None):
        if name is None:
            name = seen[0] if seen else ""
        if name not in seen:
            raise DeviceNotFound(f"there is no speaker {name!r}")
        return Found(seen.index(name), name, "ALSA", 2, 48000)

    def initialize():
        refreshed.append("initialize")
        seen[:] = there

    monkeypatch.setattr(sounddevice, "_initialize", initialize)
    monkeypatch.setattr(choosing, "resolve", resolve)
    monkeypatch.setattr(choosing, "best_settings", lambda *_: (24000, 1))
    monkeypatch.setattr(choosing, "channels_at", lambda *_: 1)
    monkeypatch.setattr(sounddevice, "RawOutputStream", Stream)
    return there


class Source:
    def fill_rt(self, out, delay=0.0, xrun=False):
        pass

    def lost(self, why, final=False):
        pass


def find_speaker(name: str | None = None) -> Any:
    return portaudio.find_speaker(AudioFormat(), name)


@pytest.mark.parametrize(("name", "back"), [("Jabra", "Jabra"), (None, "Built-in")])
def test_a_device_is_found_again_where_it_is_numbered_now(plugged, refreshed, name, back):
    speaker = find_speaker(name)
    speaker.start(Source())
    assert (speaker.name, speaker._streams[0].native.settings["device"]) == ("Jabra", 0)
    plugged[:] = ["Built-in"]
    speaker.stop()
    library.refresh()
    refreshed.clear()
    if name:
        with pytest.raises(DeviceNotFound):
            speaker.start(Source())
        plugged[:] = ["Built-in", "HDMI", "Jabra"]
    speaker.start(Source())
    assert (speaker.name, speaker._streams[0].native.settings["device"]) == (back, 2 if name else 0)
    assert bool(refreshed) is bool(name)  # only where it had to be
    speaker.stop()


def test_no_refresh_at_the_first_start_nor_while_another_call_plays(plugged, refreshed):
    other = find_speaker("Built-in")
    speaker = find_speaker("Jabra")
    plugged[:] = ["Built-in"]
    library.refresh()
    refreshed.clear()
    with pytest.raises(DeviceError):
        speaker.start(Source())  # the first time: what was found a moment ago
    other.start(Source())
    speaker._opened = True
    plugged[:] = ["Built-in", "Jabra"]
    with pytest.raises(DeviceError):
        speaker.start(Source())
    assert refreshed == []
    other.stop()
    speaker.start(Source())
    assert refreshed == ["terminate", "initialize"]
    speaker.stop()


def test_stopping_while_it_is_being_opened_leaves_portaudio_alone_at_exit(plugged, monkeypatch):
    opening, go_on = threading.Event(), threading.Event()
    forgotten: list[object] = []
    monkeypatch.setattr(atexit, "unregister", forgotten.append)

    class Hangs(Stream):
        is_starting = False

        def start(self):
            self.is_starting = True
            opening.set()
            go_on.wait(5)
            self.is_starting = False

        def close(self, ignore_errors=True):
            assert not self.is_starting, "PortAudio ends the process"
            super().close(ignore_errors)
            closed.set()

    closed = threading.Event()
    monkeypatch.setattr(sounddevice, "RawOutputStream", Hangs)
    speaker = find_speaker()
    starting = threading.Thread(target=speaker.start, args=(Source(),))
    starting.start()
    assert opening.wait(5)
    speaker.stop()
    assert set(forgotten) == {sounddevice._exit_handler}
    go_on.set()
    starting.join(5)
    assert closed.wait(5)
    for thread in threading.enumerate():
        if thread.name == "retell-voice close":
            thread.join(5)


@pytest.mark.parametrize(
    ("made_with", "suggested", "used"),
    [
        ("low", 0.06, 0.06),
        ("low", "low", "low"),
        (0.05, "low", 0.05),
        (0.05, 0.03, 0.05),
        (0.05, 0.06, 0.06),
        ("high", 0.12, "high"),
    ],
)
def test_a_suggested_latency_is_never_less_than_what_it_was_made_with(
    plugged, made_with, suggested, used
):
    speaker = portaudio.PortAudioSpeaker(AudioFormat(), latency=made_with)
    speaker.suggest_latency(suggested)
    speaker.start(Source())
    assert speaker._streams[0].native.settings["latency"] == used
    speaker.stop()


@pytest.fixture
def pulse(plugged):
    """A speaker of the sound server, which can have several streams."""
    plugged[:] = ["pulse"]
    library.refresh()
    return portaudio.find_speaker(AudioFormat(), "pulse")


def test_a_device_of_the_sound_server_has_two_streams_until_one_is_stopped(pulse):
    first, second = Source(), Source()
    pulse.start(first)
    pulse.suggest_latency(0.03)
    pulse.start(second)
    old, new = pulse._streams
    assert (old.native.settings["latency"], new.native.settings["latency"]) == ("low", 0.03)
    assert [stream.native.closed for stream in (old, new)] == [False, False]
    pulse.stop_stream(first)
    pulse.stop_stream(first)
    assert (old.native.closed, new.native.closed) == (True, False)
    assert old.run.stopping, "its end is no loss"
    pulse.stop()
    assert new.native.closed


def test_stopping_ends_both_streams(pulse):
    for _ in range(2):
        pulse.start(Source())
    streams = list(pulse._streams)
    pulse.stop()
    assert all(stream.native.closed for stream in streams)


def test_a_second_stream_that_does_not_open_leaves_the_first_alone(pulse, monkeypatch):
    pulse.start(Source())

    class Refused(Stream):
        def start(self):
            raise sounddevice.PortAudioError("Device unavailable")

    monkeypatch.setattr(sounddevice, "RawOutputStream", Refused)
    with pytest.raises(DeviceError, match="Device unavailable"):
        pulse.start(Source())
    (stream,) = pulse._streams
    assert not stream.native.closed
    pulse.stop()


def test_a_raw_card_has_one_stream(plugged):
    speaker = portaudio.find_speaker(AudioFormat(), "Jabra")
    assert not speaker.traits.opens_twice
    speaker.start(Source())
    (first,) = speaker._streams
    speaker.start(Source())
    (second,) = speaker._streams
    assert (first.native.closed, second.native.closed) == (True, False)
    speaker.stop()


def test_a_microphone_cuts_frames_itself_where_there_is_nothing_to_resample(plugged):
    assert portaudio.PortAudioMicrophone(AudioFormat(rate=24000)).traits.can_block
    assert not portaudio.PortAudioMicrophone(AudioFormat(rate=16000)).traits.can_block


@pytest.fixture
def mute(plugged, monkeypatch):
    """Names of outputs that open and never call back, as a list to change; time does not pass."""
    names = ["Jabra"]

    class Speaks(Stream):
        def start(self):
            if plugged[self.settings["device"]] not in names:
                self.settings["callback"](bytearray(480), 240, TIMES, sounddevice.CallbackFlags(0))

    monkeypatch.setattr(sounddevice, "RawOutputStream", Speaks)
    monkeypatch.setattr(
        lookup,
        "all_devices",
        lambda _: [Found(index, name, "ALSA", 2, 48000) for index, name in enumerate(plugged)],
    )
    monkeypatch.setattr(lookup, "default_device", lambda _: lookup.all_devices("output")[0])
    monkeypatch.setattr(lookup, "channels_at", lambda *_: 1)
    now = [0.0]
    monkeypatch.setattr("retell_voice.devices.portaudio.opening.monotonic", lambda: now[0])

    def wait(seconds):
        now[0] += seconds

    return SimpleNamespace(names=names, wait=wait)


TIMES = SimpleNamespace(outputBufferDacTime=0.0, currentTime=0.0)


def test_a_default_device_through_which_no_audio_passes_gives_way(plugged, mute):
    speaker = portaudio.find_speaker(AudioFormat())
    assert speaker.traits.start_timeout == 1.0

    def started(after):
        mute.wait(after)
        speaker.stop()
        speaker.start(Source())
        return speaker.name

    speaker.start(Source())
    assert speaker.name == "Jabra"
    assert started(0.9) == "Jabra"  # it may still come
    assert started(1.1) == "Built-in"
    assert speaker.why == "no audio passes through 'Jabra'"
    mute.names.append("Built-in")
    assert [started(99), started(1.1)] == ["Built-in"] * 2, "it has worked: it is waited for"
    speaker.stop()


def test_where_no_default_device_works_the_first_gets_more_time(plugged, mute):
    mute.names[:] = plugged
    speaker = find_speaker()
    tried = []
    for _ in range(4):
        speaker.start(Source())
        tried.append((speaker.name, speaker.traits.start_timeout))
        mute.wait(1.1)
        speaker.stop()
    assert tried == [("Jabra", 1.0), ("Built-in", 1.0), ("Jabra", 2.0), ("Jabra", 2.0)]


def test_what_is_tried_in_its_place_and_does_not_open_is_not_tried_again(
    plugged, mute, monkeypatch
):
    plugged.append("HDMI")
    library.refresh()
    start = sounddevice.RawOutputStream.start

    def refuses(stream):
        if plugged[stream.settings["device"]] == "Built-in":
            raise sounddevice.PortAudioError("busy")
        start(stream)

    monkeypatch.setattr(sounddevice.RawOutputStream, "start", refuses)
    speaker = find_speaker()
    speaker.start(Source())
    mute.wait(1.1)
    speaker.stop()
    speaker.start(Source())
    assert speaker.name == "HDMI"
    speaker.stop()


def test_a_device_that_was_asked_for_gives_way_to_none(plugged, mute):
    speaker = portaudio.find_speaker(AudioFormat(), "Jabra")
    assert speaker.traits.start_timeout == 2.0
    for _ in range(2):
        speaker.start(Source())
        mute.wait(9)
        assert speaker.name == "Jabra"
        speaker.stop()
