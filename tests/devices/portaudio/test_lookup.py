"""Names, defaults and rates, on the device lists of other computers.

What PortAudio does here, on a real sound server, is in tests/sound.
"""

import builtins

import pytest
import sounddevice

from retell_voice.devices.portaudio import library, lookup
from retell_voice.errors import DeviceError, DeviceNotFound

# (name, host API, inputs, outputs), as sounddevice prints them on such machines
LINUX = [
    ("HDA Intel PCH: ALC257 Analog (hw:0,0)", 0, 2, 2),
    ("Jabra SPEAK 510 USB: Audio (hw:1,0)", 0, 1, 2),
    ("pulse", 0, 32, 32),
    ("default", 0, 32, 32),
]
WINDOWS = [
    ("Microsoft Sound Mapper - Input", 0, 2, 0),
    ("Headset (Jabra)", 0, 1, 0),
    ("Headset (Jabra)", 0, 0, 2),
    ("Headset (Jabra)", 1, 1, 0),
    ("Speakers (Realtek(R) Audio)", 1, 0, 2),
]


@pytest.fixture
def computer(monkeypatch):
    """Make PortAudio see another computer's devices."""

    def see(devices, apis, default=(-1, -1), accepted=None):
        tables = [
            {
                "index": index,
                "name": name,
                "hostapi": api,
                "max_input_channels": inputs,
                "max_output_channels": outputs,
                "default_samplerate": 44100.0,
            }
            for index, (name, api, inputs, outputs) in enumerate(devices)
        ]

        def query_hostapis(index=None):
            listed = tuple({"name": name} for name in apis)
            return listed if index is None else listed[index]

        def check(device, samplerate, channels, dtype):
            if accepted is not None and (samplerate, channels) not in accepted:
                raise sounddevice.PortAudioError("Invalid sample rate", -9997)

        class Default:
            hostapi = 0
            device = {"input": default[0], "output": default[1]}  # noqa: RUF012

        monkeypatch.setattr(sounddevice, "query_devices", lambda: tables)
        monkeypatch.setattr(sounddevice, "query_hostapis", query_hostapis)
        monkeypatch.setattr(sounddevice, "check_input_settings", check)
        monkeypatch.setattr(sounddevice, "check_output_settings", check)
        monkeypatch.setattr(sounddevice, "default", Default)

    return see


def test_the_systems_default(computer):
    computer(LINUX, ["ALSA"], default=(3, 3))
    found = lookup.resolve("input", None)
    assert (found.name, found.why) == ("default", "the system's default input")


def test_a_sound_server_goes_before_a_raw_card(computer):
    computer(LINUX, ["ALSA"], default=(0, 0))
    found = lookup.resolve("output", None)
    assert found.name == "pulse"
    assert found.why == "the sound server, rather than HDA Intel PCH: ALC257 Analog (hw:0,0) alone"


def test_a_raw_card_where_there_is_no_server(computer):
    computer(LINUX[:2], ["ALSA"], default=(1, 0))
    assert lookup.resolve("input", None).name == LINUX[1][0]


def test_the_first_where_there_is_no_default(computer):
    computer(WINDOWS, ["MME", "WASAPI"])
    found = lookup.resolve("output", None)
    assert (found.index, found.why) == (2, "the first output")


def test_no_device_at_all(computer):
    computer([], [])
    for name in (None, "jabra"):
        with pytest.raises(DeviceNotFound, match="no microphone") as caught:
            lookup.resolve("input", name)
        assert "--input-file" in caught.value.hint


@pytest.mark.parametrize(
    ("name", "index"),
    [
        ("pulse", 2),
        ("PULSE", 2),
        ("jabra", 1),
        ("  speak 510", 1),
        ("Jabra SPEAK 510 USB: Audio (hw:1,0)", 1),
        ("hw:0", 0),
    ],
)
def test_a_name_or_a_part_of_it(computer, name, index):
    computer(LINUX, ["ALSA"], default=(3, 3))
    assert lookup.resolve("input", name).index == index


def test_what_fits_several_is_not_guessed(computer):
    computer(LINUX, ["ALSA"], default=(3, 3))
    with pytest.raises(DeviceNotFound, match=r"matches more than one microphone: 'HDA.*', 'Jabra"):
        lookup.resolve("input", "hw:")


def test_the_default_host_api_goes_first(computer):
    computer(WINDOWS, ["MME", "WASAPI"], default=(0, 2))
    assert lookup.resolve("input", "headset").index == 1
    assert lookup.resolve("input", "Headset (Jabra)").index == 1
    assert lookup.resolve("output", "realtek").index == 4
    assert lookup.resolve("input", "Headset (Jabra)", "WASAPI").index == 3


@pytest.mark.parametrize("name", ["gramophone", "", " "])
def test_an_unknown_name_lists_what_there_is(computer, name):
    computer(WINDOWS, ["MME", "WASAPI"], default=(0, 2))
    with pytest.raises(DeviceNotFound) as caught:
        lookup.resolve("output", name)
    assert str(caught.value) == (
        f"no speaker {name!r}; available: 'Headset (Jabra)', 'Speakers (Realtek(R) Audio)'"
    )


@pytest.mark.parametrize(
    ("accepted", "settings"),
    [
        ({(24000, 1), (44100, 1)}, (24000, 1)),
        ({(24000, 2), (44100, 1)}, (24000, 2)),
        ({(44100, 1), (48000, 1)}, (44100, 1)),  # its own default
        ({(48000, 2), (16000, 1)}, (48000, 2)),  # above goes before below
        ({(16000, 1), (8000, 1)}, (16000, 1)),  # the nearest below
        ({(48000, 6)}, (48000, 6)),
        (set(), (24000, 1)),  # opening it will say what is wrong
    ],
)
def test_rate_and_channels(computer, accepted, settings):
    computer([("Interface", 0, 6, 6)], ["ALSA"], default=(0, 0), accepted=accepted)
    found = lookup.resolve("input", None)
    assert lookup.best_settings("input", found, 24000) == settings


def test_the_list(computer):
    computer(WINDOWS, ["MME", "WASAPI"], default=(1, 2), accepted={(48000, 1), (44100, 2)})
    listed = lookup.list_devices()
    assert [(d.direction, d.host_api) for d in listed] == [
        ("input", "MME"),
        ("input", "MME"),
        ("input", "WASAPI"),
        ("output", "MME"),
        ("output", "WASAPI"),
    ]
    assert [d.is_default for d in listed] == [False, True, False, True, False]
    assert [bool(d.why) for d in listed] == [d.is_default for d in listed]
    assert listed[0].rates == (44100, 48000)


def test_portaudio_is_missing(monkeypatch):
    real = builtins.__import__

    def without(name, *rest):
        if name == "sounddevice":
            raise OSError("PortAudio library not found")
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(library, "_module", None)
    with pytest.raises(DeviceError, match="PortAudio library was not found") as caught:
        library.portaudio()
    assert caught.value.hint


@pytest.mark.parametrize(
    ("host_api", "name", "shared"),
    [
        ("ALSA", "pulse", True),
        ("ALSA", "default", True),
        ("ALSA", "USB Audio: - (hw:1,0)", False),
        ("ALSA", "front", False),
        ("Core Audio", "MacBook Pro Speakers", True),
        ("Windows WASAPI", "Headset", True),
        ("Windows WDM-KS", "Headset", False),
        ("ASIO", "ASIO4ALL", False),
    ],
)
def test_which_devices_can_have_two_streams(host_api, name, shared):
    assert lookup.is_shared(lookup.Found(0, name, host_api, 2, 48000)) is shared
