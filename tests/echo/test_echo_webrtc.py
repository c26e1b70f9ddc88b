"""WebRTC's canceller in both packages: what it takes out and what it leaves."""

import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pytest
from support.rooms import Room, Scene, fsdr, power

from retell_voice.audio.format import Samples
from retell_voice.echo import webrtc
from retell_voice.echo.ports import EchoMeasures, EchoState, block_samples
from retell_voice.echo.webrtc import LiveKit, PyWebRtc, installed, new_webrtc
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

RATE = 16000
RATES = [8000, 11025, 16000, 22050, 24000, 32000, 44100, 48000]
Kind = type[PyWebRtc] | type[LiveKit]

kinds = pytest.mark.parametrize("kind", [PyWebRtc, LiveKit])


def in_blocks(control: PyWebRtc | LiveKit, near: Samples, far: Samples, rate: int) -> Samples:
    size = block_samples(rate)
    starts = range(0, len(near) - size + 1, size)
    return np.concatenate([control.process(near[i : i + size], far[i : i + size]) for i in starts])


def hiss(seconds: float, rate: int, rms: float = 2000.0) -> Samples:
    values = np.random.default_rng(3).normal(0, rms, round(seconds * rate))
    return np.rint(values).astype(np.int16)


@kinds
@pytest.mark.parametrize("rate", RATES)
def test_the_near_end_is_as_late_as_it_says_and_no_longer(kind: Kind, rate: int) -> None:
    near = hiss(1.0, rate)
    control = kind(rate)
    out = in_blocks(control, near, np.zeros_like(near), rate)
    assert len(out) == len(near) // block_samples(rate) * block_samples(rate)
    near = near[: len(out)]
    size = 1 << (2 * len(near)).bit_length()
    spectrum = np.fft.rfft(out.astype(float), size) * np.conj(np.fft.rfft(near.astype(float), size))
    late = int(np.argmax(np.abs(np.fft.irfft(spectrum))[: rate // 10]))
    assert late / rate == pytest.approx(control.delay, abs=0.001)
    assert control.delay < 0.012


@kinds
@pytest.mark.parametrize(
    "room",
    [
        Room(),
        Room(decay=0.2, delay=0.02, level=0),
        Room(decay=0.3, delay=0.2, drift=50),
        Room(decay=0.2, delay=0.1, level=0, distorts=True),
    ],
    ids=str,
)
def test_the_echo_is_taken_out(kind: Kind, room: Room, conversation: Callable[..., Scene]) -> None:
    made = conversation(room)
    out = made.through(kind(RATE))
    heard = 0.5 + room.delay
    assert made.erle(out, heard + 1.0, heard + 2.0) > 15
    assert made.erle(out, heard + 2.0, 12.0) > 25


@kinds
def test_who_speaks_alone_is_left_as_he_is(kind: Kind, conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(), at=(13.0,), tail=3.0)
    out = made.through(kind(RATE))
    likeness, level = fsdr(made.part(made.near, 13, 15), made.part(out, 13, 15), RATE)
    assert likeness > 20
    assert level == pytest.approx(0, abs=0.7)


@kinds
def test_a_silent_far_end_costs_no_more_than_one_that_sounds(kind: Kind) -> None:
    far = hiss(4.0, RATE)
    near = far // 2 + hiss(4.0, RATE, 8.0)
    far[2 * RATE :] = 0
    control, spent = kind(RATE), []
    for start in range(0, 4 * RATE, RATE // 2):
        began = time.thread_time()
        here = slice(start, start + RATE // 2)
        in_blocks(control, near[here], far[here], RATE)
        spent.append(time.thread_time() - began)
    assert min(spent[-2:]) < 3 * min(spent[:4])


@kinds
def test_who_interrupts_is_muffled_but_heard(
    kind: Kind, conversation: Callable[..., Scene]
) -> None:
    made = conversation(Room(decay=0.2), at=(9.0,))
    out = made.through(kind(RATE))
    start, end = 9.0, 11.0
    before, _ = fsdr(made.part(made.near, start, end), made.part(made.microphone, start, end), RATE)
    after, level = fsdr(made.part(made.near, start, end), made.part(out, start, end), RATE)
    assert after > before - 2
    assert level > -9


@kinds
def test_a_clear_leaves_no_ghost(kind: Kind, conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(decay=0.3, delay=0.1, level=0))
    cut = 10 * RATE
    far = made.far.copy()
    far[cut:] = 0
    echo = Room(decay=0.3, delay=0.1, level=0).echo(far, RATE)
    silenced = Scene(made.room, RATE, far, made.near, echo, np.rint(echo).astype(np.int16))
    out = silenced.through(kind(RATE))
    assert power(silenced.part(silenced.microphone, 10.0, 10.1)) > 1e4
    assert power(silenced.part(out, 10.0, 12.0)) < 100


@kinds
def test_a_delay_that_jumps_is_found_again(kind: Kind, conversation: Callable[..., Scene]) -> None:
    made = conversation(Room(decay=0.2), times=2)
    later = conversation(Room(decay=0.2, delay=0.06), times=2)
    jump = 12 * RATE
    heard = np.concatenate((made.microphone[:jump], later.microphone[jump:]))
    jumped = Scene(made.room, RATE, made.far, made.near, made.echo, heard)
    out = jumped.through(kind(RATE))
    assert jumped.erle(out, 12.6, 13.6) > 8
    assert jumped.erle(out, 14.6, 18.0) > 25


@kinds
@pytest.mark.parametrize("rate", [8000, 22050, 24000, 48000])
def test_noise_is_suppressed_on_request_for_6_ms(kind: Kind, rate: int) -> None:
    noise = hiss(4.0, rate, 300)
    nothing = np.zeros_like(noise)
    plain, quiet = kind(rate), kind(rate, noise_suppression=True)
    assert quiet.delay == pytest.approx(plain.delay + 0.006)
    left = in_blocks(quiet, noise, nothing, rate)
    kept = in_blocks(plain, noise, nothing, rate)
    assert power(left[-rate:]) < power(kept[-rate:]) / 3


@kinds
def test_automatic_gain_makes_a_quiet_voice_louder(
    kind: Kind, conversation: Callable[..., Scene], user: list[Samples]
) -> None:
    near = np.tile(np.concatenate(user) // 8, 2)
    nothing = np.zeros_like(near)
    plain, louder = kind(RATE), kind(RATE, gain=True)
    before = in_blocks(plain, near, nothing, RATE)
    after = in_blocks(louder, near, nothing, RATE)
    half = len(near) // 2
    assert power(after[half:]) > 4 * power(before[half:])
    assert plain.gain == 0
    if kind is PyWebRtc:
        assert louder.gain > 6


@kinds
def test_without_echo_it_leaves_the_echo(kind: Kind, conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    out = made.through(kind(RATE, echo=False, noise_suppression=True))
    assert made.erle(out, 2.0, 4.0) < 6


@kinds
def test_what_is_put_in_stays_as_it_is(kind: Kind) -> None:
    near, far = hiss(0.01, RATE), hiss(0.01, RATE)
    near.flags.writeable = far.flags.writeable = False
    before = near.copy()
    kind(RATE).process(near, far)
    assert np.array_equal(near, before)
    assert kind(RATE).measures() == EchoMeasures(state=EchoState.OFF)


@kinds
def test_reset_forgets_the_room(kind: Kind, conversation: Callable[..., Scene]) -> None:
    made = conversation(Room())
    control = kind(RATE)
    first = made.through(control)
    control.reset()
    assert np.array_equal(made.through(control), first)


def test_both_packages_are_known_and_the_small_one_goes_first() -> None:
    assert installed() == ("pywebrtc-audio", "livekit")
    assert isinstance(new_webrtc(RATE), PyWebRtc)
    assert isinstance(new_webrtc(RATE, packages=["livekit"]), LiveKit)


def test_without_a_package_it_says_what_to_install() -> None:
    with pytest.raises(ConfigError, match="echo cancellation needs the package") as caught:
        new_webrtc(RATE, packages=[])
    assert caught.value.hint == how_to_install("echo")
    with pytest.raises(ConfigError, match="noise suppression and automatic gain needs"):
        new_webrtc(RATE, echo=False, noise_suppression=True, packages=[])


def test_a_package_that_does_not_load_gives_way_to_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    both = installed()
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    assert isinstance(new_webrtc(RATE, packages=both), LiveKit)
    monkeypatch.setitem(sys.modules, "livekit.rtc.apm", None)
    with pytest.raises(ConfigError, match=r"pywebrtc-audio fails to load: .*; livekit fails"):
        new_webrtc(RATE, packages=both)


def test_a_package_that_is_absent_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc, "PACKAGES", {"a": "no_such_module", "b": "no_such_package.part"})
    assert installed() == ()


def test_no_canceller_is_loaded_before_one_is_made() -> None:
    code = (
        "import sys; from retell_voice.echo import choice, webrtc;"
        "choice.choose(choice.Method.WEBRTC, microphone=None, speaker=None,"
        " installed=webrtc.installed());"
        "print(sorted({'pywebrtc_audio', 'livekit.rtc'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
