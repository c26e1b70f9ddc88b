import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.format import AudioFormat, Encoding, Samples
from retell_voice.audio.playout_reports import Cued, Spoken, Started, Stopped
from retell_voice.devices.streams.far_end import FarEnd

AUDIO = AudioFormat(Encoding.S16LE, 8000)
TIMEOUT = 5.0


def speech(count: int, level: int = 1000) -> np.ndarray:
    return np.full(count, level, np.int16)


def playout(limit: float = 60.0, rate: int = 8000, audio: AudioFormat = AUDIO) -> FarEnd:
    return FarEnd(audio, rate, limit)


def fill(bridge: FarEnd, blocks: int, delay: float = 0.0) -> np.ndarray:
    heard = []
    for _ in range(blocks):
        out = np.full(80, -1, np.int16)
        bridge.fill_rt(out, delay)
        heard.append(out)
    return np.concatenate(heard)


def test_what_is_pushed_is_heard() -> None:
    bridge = playout()
    samples = np.arange(1, 2401).astype(np.int16)
    for part in np.split(samples, 8):
        bridge.push(AUDIO.encode(part))
    assert bridge.depth == 0.3
    assert np.array_equal(fill(bridge, 30), samples)
    assert bridge.depth == 0


def test_clear_reaches_silence_in_the_next_block_however_much_is_queued() -> None:
    bridge = playout(limit=600)
    minute = AUDIO.encode(speech(60 * 8000))
    for _ in range(5):
        bridge.push(minute)
    assert fill(bridge, 10).all()
    bridge.clear()
    block = fill(bridge, 1)
    assert not block[int(0.008 * 8000) :].any()
    assert not fill(bridge, 100).any()
    assert bridge.depth == 0
    played = 10 * 80 + 48
    assert bridge.playout.discarded == 5 * 60 * 8000 - played


def test_a_turn_pushed_right_after_clear_is_heard_whole() -> None:
    bridge = playout()
    bridge.push(AUDIO.encode(speech(8000, -5000)))
    fill(bridge, 10)
    bridge.clear()
    turn = np.arange(1, 801).astype(np.int16)
    bridge.push(AUDIO.encode(turn))
    heard = fill(bridge, 20)
    assert heard[heard > 0][:800].tolist() == turn.tolist()
    assert (heard[48:] >= 0).all()


def test_several_clears_between_two_blocks_count_everything_once() -> None:
    bridge = playout()
    for _ in range(3):
        bridge.push(AUDIO.encode(speech(8000)))
        bridge.clear()
    fill(bridge, 1)
    assert (bridge.playout.discarded, bridge.playout.heard) == (24000, 0)
    assert bridge.depth == 0
    assert bridge.silent


def test_clear_empties_the_resampler_too() -> None:
    bridge = playout(rate=48000)
    bridge.push(AUDIO.encode(speech(800, 30000)))
    bridge.clear()
    bridge.push(AUDIO.encode(speech(800, 0)))
    assert not fill(bridge, 60).any()


def test_what_the_resampler_holds_at_an_end_is_not_the_next_beginning() -> None:
    bridge = playout(rate=48000)
    bridge.push(AUDIO.encode(speech(800, 30000)))
    assert fill(bridge, 60 + 6 * 35).any()
    assert [type(report) for report, _ in bridge.poll()] == [Started, Stopped]
    bridge.push(AUDIO.encode(speech(800, 0)))
    assert not fill(bridge, 60).any()


def test_over_the_limit_the_newest_is_dropped_and_told() -> None:
    bridge = playout(limit=1.0)
    assert bridge.push(AUDIO.encode(speech(6000))) == 0
    assert bridge.push(AUDIO.encode(speech(6000))) == 0.5
    assert bridge.push(AUDIO.encode(speech(80))) == 0.01
    assert bridge.depth == 1.0
    fill(bridge, 50)
    assert bridge.push(AUDIO.encode(speech(4000))) == 0


def test_reports_come_when_they_are_heard_not_when_they_are_pulled() -> None:
    bridge = playout()
    bridge.push(AUDIO.encode(speech(400)), "hello")
    fill(bridge, 1, delay=0.015)
    assert bridge.poll() == []  # pulled, heard in 15 ms
    fill(bridge, 1, delay=0.015)
    assert bridge.poll() == []  # 10 ms later, 5 ms to go
    fill(bridge, 1, delay=0.015)
    assert bridge.poll() == [(Started(0), 0.005), (Spoken(0, "hello", 400), 0.005)]
    bridge.finish()
    fill(bridge, 5, delay=0.015)
    assert bridge.poll() == [(Stopped(400), 0.005)]


@pytest.mark.parametrize("rate", [8000, 16000])
def test_a_cue_comes_back_when_it_is_heard_and_never_after_a_clear(rate: int) -> None:
    bridge = playout(rate=rate)
    block = rate // 100
    bridge.push(AUDIO.encode(speech(400)), cue="first")
    bridge.push(b"", cue="second")
    heard = []
    for _ in range(12):
        bridge.fill_rt(np.zeros(block, np.int16), 0.015)
        heard.append([each.cue for each, _ in bridge.poll() if isinstance(each, Cued)])
    assert heard == [[], [], ["first"], [], [], [], [], ["second"], [], [], [], []]
    bridge.push(AUDIO.encode(speech(400)), cue="third")
    bridge.push(b"", cue="fourth")
    bridge.clear()
    bridge.push(b"", cue="fifth")
    for _ in range(50):
        bridge.fill_rt(np.zeros(block, np.int16), 0.015)
    assert [each.cue for each, _ in bridge.poll() if isinstance(each, Cued)] == ["fifth"]


def test_a_cue_whose_audio_finds_no_room_comes_back_all_the_same() -> None:
    bridge = playout(limit=0.1)
    assert bridge.push(AUDIO.encode(speech(800)), cue="first") == 0
    assert bridge.push(AUDIO.encode(speech(800)), cue="second") == 0.1
    fill(bridge, 12)
    assert [each.cue for each, _ in bridge.poll() if isinstance(each, Cued)] == ["first", "second"]


def test_what_became_audible_is_announced_once_and_again_when_it_was_polled() -> None:
    announced = 0

    def audible() -> None:
        nonlocal announced
        announced += 1

    bridge = FarEnd(AUDIO, 8000, 60.0, audible=audible)
    fill(bridge, 10)
    assert announced == 0
    bridge.push(AUDIO.encode(speech(400)), "hello")
    fill(bridge, 2, delay=0.015)
    assert announced == 0  # not heard yet
    fill(bridge, 3, delay=0.015)
    assert announced == 1
    assert len(bridge.poll()) == 2
    fill(bridge, 10, delay=0.015)
    assert announced == 1
    bridge.finish()
    fill(bridge, 5, delay=0.015)
    assert announced == 2
    assert [type(report) for report, _ in bridge.poll()] == [Stopped]


def test_it_is_silent_only_once_the_last_sample_was_heard_and_told() -> None:
    bridge = playout()
    bridge.push(AUDIO.encode(speech(100)))
    bridge.finish()
    assert not bridge.silent
    fill(bridge, 2, delay=0.02)
    assert not bridge.silent
    fill(bridge, 3, delay=0.02)
    bridge.poll()
    assert bridge.silent


def test_finish_plays_what_the_resampler_still_held() -> None:
    bridge = playout(rate=48000)
    bridge.push(AUDIO.encode(speech(400)))
    bridge.finish()
    fill(bridge, 200)
    assert bridge.playout.heard == 2400


def test_a_fault_in_the_callback_is_silence_and_a_report() -> None:
    bridge = playout()
    bridge._turn.queue.append((None, None, None))
    assert not fill(bridge, 5).any()
    assert isinstance(bridge.fault, Exception)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from(["push", "fill", "clear"]), st.integers(0, 900)), max_size=40
    )
)
def test_the_books_balance_whatever_happens(steps: list[tuple[str, int]]) -> None:
    bridge, pushed = playout(), 0
    for step, size in steps:
        if step == "push":
            assert bridge.push(AUDIO.encode(speech(size))) == 0
            pushed += size
        elif step == "fill":
            fill(bridge, 1 + size // 80)
        else:
            bridge.clear()
        assert bridge._queued >= 0
        counted = bridge.playout.heard + bridge.discarded
        assert counted + round(bridge.depth * 8000) == pushed
    fill(bridge, 1)
    counted = bridge.playout.heard + bridge.playout.discarded
    assert counted + round(bridge.depth * 8000) == pushed


def test_clears_from_another_thread_never_let_the_old_turn_through() -> None:
    """The event loop and a callback against each other; every turn sounds before its clear."""
    bridge = playout(limit=600)
    cleared, sounding_blocks = 0, 0
    stop, heard = threading.Event(), threading.Event()
    faults: list[str] = []

    def callback() -> None:
        nonlocal sounding_blocks
        out = np.zeros(80, np.int16)
        while not stop.is_set():
            newest = cleared  # all turns up to this one were cleared before this block
            bridge.fill_rt(out)
            sounding = out[48:][out[48:] != 0]  # behind any fade
            if len(sounding):
                sounding_blocks += 1
                if sounding.min() <= newest:
                    faults.append(f"turn {sounding.min()} sounded after clear {newest}")
                if sounding.max() > newest:
                    heard.set()

    thread = threading.Thread(target=callback)
    thread.start()
    for turn in range(1, 200):
        heard.clear()
        bridge._push(np.broadcast_to(np.int16(turn), 4_000_000), None)  # never runs dry
        assert heard.wait(TIMEOUT)
        bridge.clear()
        cleared = turn
    stop.set()
    thread.join()
    assert sounding_blocks >= 199
    assert not faults
    assert bridge.fault is None


def test_what_was_cleared_takes_no_room_from_the_next_turn() -> None:
    bridge = playout(limit=1.0)
    bridge.push(AUDIO.encode(speech(8000)))
    bridge.clear()
    assert bridge.depth == 0
    assert bridge.push(AUDIO.encode(speech(4000))) == 0
    assert bridge.depth == 0.5


def test_it_is_not_silent_while_a_sample_is_on_its_way_to_the_playout() -> None:
    seen: list[bool] = []
    bridge = playout()
    push: Any = bridge.playout.push

    def spy(samples: Samples, text: str | None = None, cue: object = None) -> None:
        seen.append(bridge.silent)  # taken from the queue, not yet in the playout
        push(samples, text, cue)

    bridge.playout.push = spy  # type: ignore[method-assign]
    bridge.push(AUDIO.encode(speech(800)))
    fill(bridge, 1)
    assert seen == [False]


def test_texts_without_audio_are_bounded() -> None:
    bridge = playout()
    for _ in range(5000):
        bridge.push(b"", "text")
    assert len(bridge._turn.queue) == 1000
    fill(bridge, 10)
    assert bridge.playout.underruns == 0


def test_a_delay_that_is_no_number_is_a_fault_not_an_exception() -> None:
    bridge = playout()
    bridge.fill_rt(np.zeros(80, np.int16), float("nan"))
    assert isinstance(bridge.fault, ValueError)
