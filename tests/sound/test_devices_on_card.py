"""The devices alone, in a process of their own as PortAudio reads its surroundings once."""

import json
import subprocess
import sys
import textwrap

import numpy as np
import pytest
from support.card import VirtualCard
from support.measure import band_limited, find, resampled
from support.recorder import RATE
from support.waits import unless_it_had_to_wait

pytestmark = pytest.mark.sound

PRELUDE = """
import json, sys, threading, time
import numpy as np
from retell_voice.audio.format import AudioFormat
from retell_voice.devices.portaudio import devices as portaudio
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.errors import DeviceError, DeviceNotFound

class End:
    def __init__(self, fault=False):
        self.blocks, self.samples, self.whys, self.fault = 0, 0, [], fault
        self.delays, self.enough, self.gone = [], threading.Event(), threading.Event()
    def count(self, samples):
        assert samples.dtype == np.int16 and samples.ndim == 1
        self.blocks += 1
        self.samples += len(samples)
        if self.blocks >= 20:
            self.enough.set()
        if self.fault:
            raise RuntimeError("on purpose")
    def write_rt(self, samples, delay=0.0, xrun=False):
        self.delays.append(delay)
        self.count(samples)
    def fill_rt(self, out, delay=0.0, xrun=False):
        self.delays.append(delay)
        out[:] = 0
        self.count(out)
    def finished(self):
        pass
    def lost(self, why, final=False):
        self.whys.append(why)
        self.gone.set()

result = {}
"""


@pytest.fixture
def on_card(card, home):
    """Run Python in the card's environment and return what it left in ``result``."""

    def run(program, *arguments, **env):
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                PRELUDE + textwrap.dedent(program) + "\nprint(json.dumps(result))",
                *map(str, arguments),
            ],
            env=card.env | home | env,
            check=False,
            capture_output=True,
            text=True,
            timeout=30,
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        return json.loads(done.stdout)

    return run


@unless_it_had_to_wait
def test_start_stop_and_start_again(on_card):
    result = on_card("""
        audio = AudioFormat(rate=16000)
        microphone, speaker = portaudio.open_devices(audio)
        assert isinstance(microphone, Microphone) and isinstance(speaker, Speaker)
        result["latency before"] = [microphone.latency, speaker.latency]
        for _ in range(2):
            sink, source = End(), End()
            microphone.start(sink), speaker.start(source)
            assert sink.enough.wait(5) and source.enough.wait(5)
            result["latency"] = [microphone.latency, speaker.latency]
            began = time.monotonic()
            microphone.stop(), speaker.stop()
            result["stop"] = time.monotonic() - began
            after = sink.blocks, source.blocks
            microphone.stop(), speaker.stop()
            assert after == (sink.blocks, source.blocks)
            result["whys"] = sink.whys + source.whys
            result["block"] = [sink.samples / sink.blocks, source.samples / source.blocks]
            result["delays"] = [min(source.delays), max(source.delays)]
            result["age"] = sorted(sink.delays)[len(sink.delays) // 2]
        result["rates"] = [microphone.rate, speaker.rate]
        result["why"] = microphone.why
    """)
    assert result["rates"] == [16000, 16000]
    assert result["block"] == [160, 160]
    assert result["whys"] == []
    assert result["stop"] < 1.0
    assert result["latency before"] == [None, None]
    assert all(0 < latency < 0.1 for latency in result["latency"])
    assert all(0 <= delay < 0.2 for delay in result["delays"])
    assert 0.0 < result["age"] < 0.2
    assert result["why"] == "the system's default input"


@unless_it_had_to_wait
def test_start_twice_runs_two_streams_until_one_is_stopped(on_card):
    result = on_card("""
        first, second = End(), End()
        microphone = portaudio.find_microphone(AudioFormat())
        assert microphone.traits.opens_twice
        microphone.start(first)
        assert first.enough.wait(5)
        microphone.start(second)
        counted = first.blocks
        assert second.enough.wait(5)
        result["both"] = first.blocks > counted
        microphone.stop_stream(first)
        counted = first.blocks, second.blocks
        second.enough.clear()
        assert second.enough.wait(5)
        microphone.stop()
        result["more"] = first.blocks - counted[0]
        result["whys"] = first.whys + second.whys
    """)
    assert result == {"both": True, "more": 0, "whys": []}


STEPS = """
from dataclasses import replace
from queue import Queue
from retell_voice.devices.files import NullMicrophone
from retell_voice.devices.upkeep.gates import CaptureGate
from retell_voice.devices.upkeep.supervisor import Supervisor

class Once(portaudio.PortAudioMicrophone):
    @property
    def traits(self):
        return replace(super().traits, opens_twice=False)

class Ear:
    def __init__(self):
        self.heard = []
    def rest_rt(self, count, heard, xrun):
        return False
    def write_rt(self, samples, delay=0.0, xrun=False):
        self.heard.append(samples.copy())

ear, posts, gates = Ear(), Queue(), []
kind = {"Once": Once}.get(sys.argv[1], portaudio.PortAudioMicrophone)

def new_gate(tell):
    gates.append(CaptureGate(ear, tell))
    return gates[-1]

supervisor = Supervisor(
    "near_end", kind(AudioFormat(rate=16000)), NullMicrophone(16000),
    new_gate=new_gate, post=posts.put, device_timeout=60,
)
supervisor.start()
now = 0.0
for _ in range(2):
    time.sleep(1.0)
    supervisor.look(now)
    gates[-1].xruns += 2
    now += 3.0
    supervisor.look(now)
    result["told"] = type(posts.get(timeout=5)).__name__
time.sleep(1.0)
supervisor.stop()
assert posts.empty(), posts.get()
result["starts"] = supervisor.starts
np.save(sys.argv[2], np.concatenate(ear.heard))
"""


@unless_it_had_to_wait
def test_a_step_of_latency_loses_less_where_a_device_can_have_two_streams(on_card, card, tmp_path):
    noise = band_limited(np.random.default_rng(1).normal(0, 3000, 12 * RATE), RATE, 7000)
    reference = resampled(noise, RATE, 16000)
    lost = {}
    for kind in ("Twice", "Once"):
        heard_at = tmp_path / f"{kind}.npy"
        with card.playing(noise):
            assert on_card(STEPS, kind, heard_at) == {"told": "LatencyChanged", "starts": 3}
        heard = np.load(heard_at)
        first, last = heard[8000:14000], heard[-8000:-2000]
        passed = len(heard) - 16000
        lost[kind] = (find(last, reference) - find(first, reference) - passed) / 16000
    print({kind: f"{seconds * 1000:.1f} ms" for kind, seconds in lost.items()})
    assert lost["Twice"] < 0.02, "what is heard twice counts less than nothing"
    assert lost["Once"] > lost["Twice"] + 0.02


@unless_it_had_to_wait
def test_two_channels_where_one_is_refused(on_card):
    result = on_card("""
        microphone, speaker = portaudio.open_devices(AudioFormat(rate=24000))
        sink, source = End(), End()
        microphone._chosen.channels = speaker._chosen.channels = 2
        microphone.start(sink), speaker.start(source)
        assert sink.enough.wait(5) and source.enough.wait(5)
        microphone.stop(), speaker.stop()
        result["block"] = [sink.samples / sink.blocks, source.samples / source.blocks]
        result["whys"] = sink.whys + source.whys
    """)
    assert result == {"block": [240, 240], "whys": []}


@unless_it_had_to_wait
def test_a_fault_of_ours_is_told_once_and_stops_nothing(on_card):
    result = on_card("""
        microphone, speaker = portaudio.open_devices(AudioFormat())
        sink, source = End(fault=True), End(fault=True)
        microphone.start(sink), speaker.start(source)
        assert sink.enough.wait(5) and source.enough.wait(5)
        microphone.stop(), speaker.stop()
        result["whys"] = [sink.whys, source.whys]
    """)
    assert result["whys"] == [["a defect in this program: RuntimeError('on purpose')"]] * 2


def test_names(on_card):
    result = on_card("""
        def name_of(name):
            try:
                return portaudio.find_speaker(AudioFormat(), name).name
            except DeviceNotFound as error:
                return [str(error), error.hint]
        for name in ("pulse", "DEFAULT", "puls", "gramophone", "u", ""):
            result[name] = name_of(name)
    """)
    assert (result["pulse"], result["DEFAULT"], result["puls"]) == ("pulse", "default", "pulse")
    assert result["gramophone"][0] == "no speaker 'gramophone'; available: 'pulse', 'default'"
    assert result["u"] == [
        "'u' matches more than one speaker: 'pulse', 'default'",
        "give more of the name",
    ]
    assert result[""][0].startswith("no speaker ''")


def test_the_list(on_card):
    result = on_card("""
        from dataclasses import asdict
        result["devices"] = [asdict(device) for device in portaudio.list_devices()]
    """)
    named = {(d["direction"], d["name"]): d for d in result["devices"]}
    assert list(named) == [
        (direction, name) for direction in ("input", "output") for name in ("pulse", "default")
    ]
    default = named["output", "default"]
    assert default["is_default"]
    assert default["why"] == "the system's default output"
    assert {8000, 16000, 24000, 44100, 48000} <= set(default["rates"])
    assert not named["output", "pulse"]["is_default"]


def test_an_impossible_rate_is_refused_in_plain_words(on_card):
    result = on_card("""
        microphone = portaudio.find_microphone(AudioFormat())
        microphone._chosen.rate = 1_000_000
        try:
            microphone.start(End())
        except DeviceError as error:
            result["error"] = [str(error), error.hint]
        microphone.stop()
        result["latency"] = microphone.latency
    """)
    assert result["error"][0] == "microphone 'default' failed to open: Invalid sample rate"
    assert "1000000 Hz" in result["error"][1]
    assert result["latency"] is None


def test_no_sound_server(on_card):
    result = on_card(
        """
        try:
            portaudio.open_devices(AudioFormat())[0].start(End())
        except DeviceError as error:
            result["error"] = [type(error).__name__, str(error), error.hint]
    """,
        PULSE_SERVER="unix:/nonexistent",
    )
    assert result["error"][0] == "DeviceNotFound"
    assert result["error"][1] == "no microphone"
    assert "sound server" in result["error"][2]


@unless_it_had_to_wait
def test_the_sound_server_ends(home):
    with VirtualCard() as card:
        program = PRELUDE + textwrap.dedent("""
            microphone, speaker = portaudio.open_devices(AudioFormat())
            sink, source = End(), End()
            microphone.start(sink), speaker.start(source)
            assert sink.enough.wait(5) and source.enough.wait(5)
            print("running", flush=True)
            sys.stdin.read()
            result["told"] = [sink.gone.wait(5), source.gone.wait(5)]
            result["whys"] = [sink.whys, source.whys]
            began = time.monotonic()
            microphone.stop(), speaker.stop()
            result["stop"] = time.monotonic() - began
            print(json.dumps(result))
        """)
        process = subprocess.Popen(
            [sys.executable, "-c", program],
            env=card.env | home,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        try:
            assert process.stdout
            assert process.stdout.readline() == "running\n"
            card.kill("pipewire-pulse")
            out, _ = process.communicate("", timeout=20)
        finally:
            process.kill()
            process.wait()
    result = json.loads(out)
    assert result["told"] == [True, True]
    assert result["whys"] == [["it was unplugged, or the sound server ended"]] * 2
    assert result["stop"] < 2.5
