"""One path from the microphone to taps and to the call, on the right thread."""

import queue
import threading

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.streams.near_end import CallFrames, NearEnd
from retell_voice.errors import AudioFormatError
from retell_voice.events import InputFinished

AUDIO = AudioFormat(Encoding.S16LE, 8000)
TIMEOUT = 5.0
NAME = "retell-voice near end"


def speech(count: int, level: int = 1000) -> np.ndarray:
    return np.full(count, level, np.int16)


def passed_on(samples: np.ndarray, at: float) -> np.ndarray:
    """Echo control that has nothing to do, and yet is not for a device's thread."""
    return samples


class Capture:
    """A near end with a call whose posts can be waited for."""

    def __init__(
        self,
        audio: AudioFormat = AUDIO,
        rate: int = 8000,
        *,
        can_block: bool = False,
        echo: bool = False,
    ) -> None:
        self.posts: queue.Queue[object] = queue.Queue()
        self.near_end = NearEnd(rate, self.posts.put, can_block=can_block)
        if echo:
            self.near_end.use_echo_control(passed_on)
        self.near_end.connect(CallFrames(audio, rate, 20, self.posts.put))

    def frame(self) -> np.ndarray:
        post = self.posts.get(timeout=TIMEOUT)
        assert isinstance(post, bytes)
        return np.frombuffer(post, "<i2")


@pytest.fixture(params=["thread", "inline", "can_block"])
def capture(request):
    capture = Capture(can_block=request.param == "can_block", echo=request.param == "thread")
    yield capture
    capture.near_end.stop()
    assert NAME not in {thread.name for thread in threading.enumerate()}


def test_what_the_microphone_hears_becomes_frames(capture: Capture) -> None:
    assert capture.near_end.level() == -100
    samples = np.arange(480).astype(np.int16)
    for part in np.split(samples, 6):
        capture.near_end.write_rt(part)
    frames = np.concatenate([capture.frame() for _ in range(3)])
    assert np.array_equal(frames, samples)
    assert capture.near_end.level() == pytest.approx(20 * np.log10(479 / 32768))
    assert capture.near_end.level() == -100


def test_it_tells_for_how_long_nobody_has_spoken(capture: Capture) -> None:
    def hear(level: int) -> float:
        capture.near_end.write_rt(np.full(1600, level, np.int16))
        for _ in range(10):
            capture.frame()
        return capture.near_end.quiet

    assert hear(5000) == 0.2, "not attentive yet"
    capture.near_end.attentive = True
    assert hear(5000) == 0
    assert [hear(100), hear(0), hear(-100)] == pytest.approx([0.2, 0.4, 0.6])
    capture.near_end.muted = True
    assert hear(-5000) == 0


def test_blocks_of_any_size_pass(capture: Capture) -> None:
    samples = np.arange(6400).astype(np.int16)
    capture.near_end.write_rt(samples)
    assert np.array_equal(np.concatenate([capture.frame() for _ in range(40)]), samples)


def test_muted_it_sends_silence_and_does_not_stop(capture: Capture) -> None:
    capture.near_end.muted = True
    capture.near_end.write_rt(speech(160))
    assert not capture.frame().any()
    assert capture.near_end.level() == -100
    capture.near_end.muted = False
    capture.near_end.write_rt(speech(160))
    assert capture.frame().all()


def test_the_end_of_the_input_follows_its_last_audio(capture: Capture) -> None:
    capture.near_end.write_rt(speech(160))
    capture.near_end.finished()
    capture.near_end.write_rt(speech(160))
    posts = [capture.posts.get(timeout=TIMEOUT) for _ in range(3)]
    ends = [index for index, post in enumerate(posts) if isinstance(post, InputFinished)]
    assert ends in ([1], [2])


def test_zeros_are_no_sound_and_muting_changes_nothing_about_that(capture: Capture) -> None:
    capture.near_end.muted = True
    capture.near_end.write_rt(speech(160, 0))
    capture.frame()
    assert capture.near_end.sounds == 0
    capture.near_end.write_rt(speech(160, 1))
    capture.frame()
    assert capture.near_end.sounds == 1


def test_overflows_the_device_reports_are_counted(capture: Capture) -> None:
    capture.near_end.write_rt(speech(80), xrun=True)
    capture.near_end.write_rt(speech(80))
    capture.frame()
    assert capture.near_end.xruns == 1
    assert capture.near_end.lost == 0


def test_a_fault_is_kept_not_raised(capture: Capture) -> None:
    capture.near_end.write_rt(None)  # type: ignore[arg-type]
    assert isinstance(capture.near_end.fault, TypeError)


def test_taps_hear_what_is_sent_from_when_they_were_made_to_when_they_were_removed(
    capture: Capture,
) -> None:
    def hear(level: int) -> None:
        capture.near_end.write_rt(speech(160, level))
        capture.frame()
        while capture.near_end._relay.done < capture.near_end.position:  # a tap begins there
            threading.Event().wait(0.001)

    hear(1)
    first = capture.near_end.tap()
    hear(2)
    second = capture.near_end.tap()
    capture.near_end.muted = True
    hear(3)
    capture.near_end.muted = False
    capture.near_end.untap(first)
    hear(4)
    assert first.read(0)[0].tolist() == [2] * 160 + [0] * 160
    assert second.read(0)[0].tolist() == [0] * 160 + [4] * 160


def test_calls_come_and_go_and_without_one_nothing_is_sent(capture: Capture) -> None:
    other: queue.Queue[object] = queue.Queue()
    capture.near_end.write_rt(speech(160, 1))
    assert set(capture.frame()) == {1}
    capture.near_end.connect(None)
    tap = capture.near_end.tap()
    capture.near_end.write_rt(speech(160, 2))
    while not tap.has_more(0):  # the thread has it behind it
        threading.Event().wait(0.001)
    mulaw = AudioFormat(Encoding.MULAW, 16000)
    capture.near_end.connect(CallFrames(mulaw, 8000, 40, other.put))
    capture.near_end.write_rt(speech(1600, 3000))
    sent = other.get(timeout=TIMEOUT)
    assert isinstance(sent, bytes)
    assert len(sent) == 640
    assert set(mulaw.decode(sent)[100:]) <= set(range(2900, 3100))
    assert capture.posts.empty()


def test_a_microphone_at_another_rate_is_resampled_on_a_thread_of_its_own() -> None:
    capture = Capture(AudioFormat(Encoding.S16LE, 8000), 48000)
    assert NAME in {thread.name for thread in threading.enumerate()}
    capture.near_end.write_rt(speech(48000 // 10))
    frames = np.concatenate([capture.frame() for _ in range(4)])
    assert np.all(np.abs(frames[40:].astype(int) - 1000) <= 1)
    capture.near_end.stop()


@pytest.mark.parametrize(("rate", "can_block"), [(8000, False), (48000, True)])
def test_where_a_copy_is_enough_or_the_device_has_time_there_is_no_thread(rate, can_block) -> None:
    capture = Capture(rate=rate, can_block=can_block)
    assert NAME not in {thread.name for thread in threading.enumerate()}
    block = speech(rate // 20)
    capture.near_end.write_rt(block)
    block[:] = 0  # what was given is copied
    assert capture.frame().any()
    capture.near_end.stop()


@pytest.mark.parametrize("rate", [8000, 11025, 44100, 48000])
def test_a_frame_is_due_with_the_block_that_completes_it(rate: int) -> None:
    threaded = Capture(rate=rate, echo=True)
    inline = Capture(rate=rate, can_block=True)
    frames = 0
    for _ in range(400):
        block = speech(rate // 400)
        inline.near_end.write_rt(block)
        threaded.near_end.write_rt(block)
        if not inline.posts.empty():  # complete with this very block
            assert np.array_equal(threaded.frame(), inline.frame())
            frames += 1
    assert frames >= 45
    assert threaded.posts.empty()
    threaded.near_end.stop()


def test_what_the_thread_cannot_take_within_a_second_is_lost_counted_and_silence_for_taps() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def held_up(samples: np.ndarray, at: float) -> np.ndarray:
        if not inside.is_set():
            inside.set()
            assert go_on.wait(TIMEOUT)
        return samples

    capture = Capture()
    capture.near_end.use_echo_control(held_up)
    tap = capture.near_end.tap()
    samples = np.arange(1, 12161).astype(np.int16)
    capture.near_end.write_rt(samples[:160])
    assert inside.wait(TIMEOUT)
    for part in np.split(samples[160:], 100):
        capture.near_end.write_rt(part)
    go_on.set()
    sent = np.concatenate([capture.frame() for _ in range(51)])
    assert np.array_equal(sent, np.concatenate((samples[:160], samples[4160:])))
    assert (capture.near_end.xruns, capture.near_end.lost) == (1, 4000)
    gap = np.zeros(4000, np.int16)
    assert np.array_equal(tap.read(0)[0], np.concatenate((samples[:160], gap, samples[4160:])))
    capture.near_end.stop()


def test_echo_control_sees_every_block_first_with_the_time_it_was_spoken() -> None:
    seen: list[tuple[int, float]] = []

    def silencing(samples: np.ndarray, at: float) -> np.ndarray:
        seen.append((len(samples), at))
        return np.zeros_like(samples)

    capture = Capture()
    capture.near_end.use_echo_control(silencing)
    capture.near_end.level()
    capture.near_end.write_rt(speech(160, 9000), delay=0.04)
    capture.near_end.write_rt(speech(160, 9000), delay=0.04)
    assert not capture.frame().any()
    assert not capture.frame().any()
    capture.near_end.stop()
    assert sum(count for count, _ in seen) == 320
    assert capture.near_end.level() == -100


def test_echo_control_works_when_a_frame_is_complete_on_what_the_device_wrote() -> None:
    seen: queue.Queue[tuple[int, float]] = queue.Queue()

    def noted(samples: np.ndarray, at: float) -> np.ndarray:
        seen.put((len(samples), at))
        return samples

    capture = Capture()  # frames of 160 samples
    capture.near_end.use_echo_control(noted)
    capture.near_end.write_rt(speech(160, 9000))
    capture.frame()  # from now on the thread knows what it waits for
    assert seen.get()[0] == 160
    for delay in (0.5, 0.1):
        capture.near_end.write_rt(speech(80, 9000), delay=delay)
    assert len(capture.frame()) == 160
    capture.near_end.stop()
    (first, at), (second, later) = seen.get(timeout=TIMEOUT), seen.get(timeout=TIMEOUT)
    assert (first, second) == (80, 80)
    assert later - at == pytest.approx(0.4, abs=0.2)


def test_a_frame_length_out_of_range() -> None:
    with pytest.raises(AudioFormatError):
        CallFrames(AUDIO, 8000, 10, print)
