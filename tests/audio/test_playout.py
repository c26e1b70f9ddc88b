"""The jitter buffer, at 1 sample a millisecond: rates and thresholds read as milliseconds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Cued, Spoken, Started, Stopped

RATE = 1000
FADE = 6
FADE_IN = (1 - np.cos(np.pi * np.arange(FADE) / (FADE - 1))) / 2
"""A raised cosine: the gain of the first samples after a gap."""
END = 300


def speech(count: int, start: int = 1) -> np.ndarray:
    return np.arange(start, start + count).astype(np.int16)


class Plain(Playout):
    """Without concealment, so that every sample that is heard was pushed."""

    def _conceal(self) -> None: ...


def pull(playout: Playout, count: int, block: int = 10) -> list[int]:
    out = np.full(count, -1, np.int16)
    for begin in range(0, count, block):
        playout.pull(out[begin : begin + block])
    return out.tolist()


class Listener:
    """Pulls, and knows from the books alone which samples must be heard, where and how loud."""

    def __init__(self, playout: Playout) -> None:
        self.playout = playout
        self.dry = False
        self.since_gap = FADE

    def pull(self, block: int) -> tuple[np.ndarray, np.ndarray, slice]:
        """Return what was pulled, the gain of each sample queued that was in it, and its place."""
        playout, out = self.playout, np.full(block, -1, np.int16)
        heard, begin, reports = playout.heard, playout.position, len(playout.reports)
        playout.pull(out)
        count = playout.heard - heard
        new = list(playout.reports)[reports:]
        at = next((report.position - begin for report in new if isinstance(report, Started)), None)
        if at is not None:
            self.since_gap = FADE
        elif count and self.dry:
            self.since_gap = 0
        place = slice(at or 0, (at or 0) + count)
        gain = np.append(FADE_IN[self.since_gap :], np.ones(count))[:count]
        self.since_gap = min(FADE, self.since_gap + count)
        self.dry = place.stop < block
        return out, gain, place


def test_with_nothing_queued_it_plays_silence() -> None:
    playout = Playout(RATE)
    assert pull(playout, 50) == [0] * 50
    assert playout.silent
    assert not playout.reports
    assert playout.position == 50


def test_audio_starts_at_once_when_the_target_is_reached() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(39))
    assert pull(playout, 10) == [0] * 10
    playout.push(speech(1, 40))
    assert pull(playout, 40) == list(range(1, 41))
    assert list(playout.reports) == [Started(10)]


def test_a_word_shorter_than_the_target_is_played_when_the_stream_pauses() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(10))
    assert pull(playout, 70) == [0] * 60 + list(range(1, 11))


def test_when_nothing_more_will_come_it_plays_at_once_and_tells_the_end_at_once() -> None:
    playout = Playout(RATE)
    playout.push(speech(5))
    playout.finishing = True
    assert pull(playout, 10) == [1, 2, 3, 4, 5, 0, 0, 0, 0, 0]
    assert list(playout.reports) == [Started(0), Stopped(5)]
    assert playout.silent


def test_the_end_is_told_when_no_more_has_come_for_a_while_and_dated_back() -> None:
    playout = Playout(RATE)
    playout.push(speech(100))
    pull(playout, 100 + END - 10)
    assert list(playout.reports) == [Started(0)]
    assert not playout.silent
    pull(playout, 20)
    assert list(playout.reports) == [Started(0), Stopped(100)]
    assert playout.silent


def room(count: int, dbfs: float = -54.0) -> np.ndarray:
    noise = np.random.default_rng(7).normal(0, 32768 * 10 ** (dbfs / 20), count)
    return noise.round().astype(np.int16)


@pytest.mark.parametrize("between", [np.zeros(2000, np.int16), room(2000)], ids=["zeros", "room"])
@pytest.mark.parametrize("block", [1, 10, 441])
@pytest.mark.parametrize("rate", [RATE, 8000, 48000])
def test_an_utterance_ends_when_a_listener_would_say_so(
    between: np.ndarray, block: int, rate: int
) -> None:
    """Its stream goes on for seconds."""
    times = rate // RATE
    loud, between = np.full(1000 * times, 5000, np.int16), np.repeat(between, times)
    playout = Playout(rate)
    pushed = np.concatenate((loud, between, loud, between))
    for part in (loud, between, loud, between):
        playout.push(part)
    heard = np.full(len(pushed) + block, -1, np.int16)
    told: list[tuple[int, object]] = []
    while playout.position < len(pushed):
        playout.pull(heard[playout.position : playout.position + block])
        while playout.reports:
            told.append((playout.position, playout.reports.popleft()))
    assert np.array_equal(heard[: len(pushed)], pushed), "it is played all the same"
    assert [type(report) for _, report in told] == [Started, Stopped, Started, Stopped]
    for (at, report), position in zip(told, (0, 1000, 3000, 4000), strict=True):
        assert isinstance(report, Started | Stopped)
        assert abs(report.position - position * times) <= 20 * times
        if isinstance(report, Stopped):
            assert at - report.position <= 0.82 * rate + block
            assert not report.interrupted
    pull(playout, END * times + block, block)
    assert playout.silent
    assert not playout.reports
    assert (playout.underruns, playout.heard) == (0, 6_000 * times)


def test_a_pause_between_sentences_ends_no_utterance() -> None:
    playout = Playout(RATE)
    for part in (np.full(500, 5000), np.zeros(700), np.full(500, 5000)):
        playout.push(part.astype(np.int16))
    pull(playout, 1700 + END)
    assert list(playout.reports) == [Started(0), Stopped(1700)]


def test_zeros_begin_no_utterance() -> None:
    playout = Playout(RATE)
    for _ in range(100):
        playout.push(np.zeros(20, np.int16))
        pull(playout, 20)
    assert not playout.reports
    playout.push(np.full(100, 5000, np.int16))
    pull(playout, 200)
    assert [type(report) for report in playout.reports] == [Started]


def test_a_stream_of_silence_that_runs_dry_is_no_underrun_and_what_follows_begins_anew() -> None:
    playout = Playout(RATE)
    playout.push(np.append(np.full(100, 5000), np.zeros(2000)).astype(np.int16))
    pull(playout, 2150)
    playout.push(np.zeros(100, np.int16))  # 50 too late
    assert (playout.underruns, playout.target) == (0, 40)
    pull(playout, 200 + END)
    assert playout.silent
    playout.push(speech(50))  # quieter than any noise, and yet said
    pull(playout, 100)
    kinds = [type(report) for report in playout.reports]
    assert kinds == [Started, Stopped, Started]


def test_clear_in_a_stream_of_silence_interrupts_nobody() -> None:
    playout = Playout(RATE)
    playout.push(np.append(np.full(100, 5000), np.zeros(5000)).astype(np.int16))
    pull(playout, 2000)
    playout.clear()
    assert [type(report) for report in playout.reports] == [Started, Stopped]
    stopped = playout.reports[-1]
    assert isinstance(stopped, Stopped)
    assert not stopped.interrupted
    pull(playout, 10)
    assert playout.silent
    playout.push(np.full(100, 5000, np.int16))
    pull(playout, 100)
    assert [type(report) for report in playout.reports] == [Started, Stopped, Started]


def test_text_is_reported_where_its_audio_starts() -> None:
    playout = Playout(RATE)
    playout.push(speech(45), "one")
    playout.push(speech(20), "two")
    pull(playout, 20)
    assert list(playout.reports) == [Started(0), Spoken(0, "one", 45)]
    pull(playout, 50)
    assert playout.reports[-1] == Spoken(45, "two", 20)


def test_a_cue_is_reported_where_its_audio_starts_and_beside_its_text() -> None:
    playout = Playout(RATE)
    playout.push(speech(45), "one", cue=0)  # any object but None is one
    playout.push(speech(20), cue="b")
    pull(playout, 70)
    assert list(playout.reports) == [Started(0), Spoken(0, "one", 45), Cued(0, 0), Cued(45, "b")]


def test_a_cue_without_audio_waits_for_what_is_queued_and_for_nothing_else() -> None:
    playout = Playout(RATE)
    playout.push(speech(0), cue="at once")
    pull(playout, 10)
    assert list(playout.reports) == [Cued(0, "at once")]
    assert playout.silent
    playout.push(speech(10))
    playout.push(speech(0), cue="after it")
    pull(playout, 30)
    assert list(playout.reports) == [Cued(0, "at once")], "it waits with its audio"
    pull(playout, 60)
    assert list(playout.reports)[1:] == [Started(70), Cued(80, "after it")]
    playout.push(speech(0), cue="run dry")
    pull(playout, 10)
    assert playout.reports[-1] == Cued(100, "run dry")
    assert (playout.underruns, playout.target) == (0, 40)


def test_text_that_waits_for_its_audio_holds_no_cue_back() -> None:
    playout = Playout(RATE)
    playout.push(speech(0), "soon")
    playout.push(speech(0), cue="now")
    pull(playout, 10)
    assert list(playout.reports) == [Cued(0, "now")]
    playout.push(speech(50))
    pull(playout, 60)
    assert list(playout.reports)[1:] == [Started(10), Spoken(10, "soon", 0)]


def test_clear_drops_the_cues_that_were_not_heard() -> None:
    playout = Playout(RATE)
    playout.push(speech(0), cue="due")
    playout.clear()
    playout.push(speech(50), cue="heard")
    pull(playout, 20)
    playout.push(speech(50), cue="cleared")
    playout.push(speech(0), cue="cleared too")
    playout.clear()
    pull(playout, 500)
    assert [each.cue for each in playout.reports if isinstance(each, Cued)] == ["heard"]


def test_clear_fades_and_then_is_silent() -> None:
    playout = Playout(RATE)
    playout.push(np.full(1000, 10000, np.int16))
    assert pull(playout, 50) == [10000] * 50
    playout.clear()
    heard = pull(playout, 20)
    assert heard[0] == 10000
    assert heard[:FADE] == sorted(heard[:FADE], reverse=True)
    assert heard[FADE:] == [0] * (20 - FADE)
    assert list(playout.reports) == [Started(0), Stopped(56, interrupted=True, discarded=944)]
    assert playout.silent


def test_clear_counts_what_was_thrown_away_elsewhere() -> None:
    playout = Playout(RATE)
    playout.push(speech(50))
    pull(playout, 10)
    playout.clear(elsewhere=1000)
    assert playout.reports[-1] == Stopped(16, interrupted=True, discarded=1034)
    assert playout.discarded == 1034


def test_clear_before_anything_was_heard_says_nothing() -> None:
    playout = Playout(RATE)
    playout.push(speech(10))
    playout.clear()
    assert pull(playout, 400) == [0] * 400
    assert not playout.reports
    assert playout.discarded == 10


def test_clear_after_the_agent_has_finished_interrupts_nobody() -> None:
    playout = Playout(RATE)
    playout.push(speech(100))
    pull(playout, 200)  # its end is not told yet
    playout.clear()
    assert list(playout.reports) == [Started(0), Stopped(100)]


def test_text_without_audio_is_no_underrun() -> None:
    playout = Playout(RATE)
    playout.push(speech(40))
    pull(playout, 100)
    playout.push(speech(0), "a")
    assert (playout.underruns, playout.target) == (0, 40)


def test_a_turn_right_after_clear_is_heard_from_its_first_sample() -> None:
    playout = Playout(RATE)
    playout.push(np.full(500, -9000, np.int16))
    pull(playout, 100)
    playout.clear()
    playout.push(speech(100))
    heard = pull(playout, 110)
    assert all(sample < 0 for sample in heard[: FADE - 1])
    assert heard[FADE : FADE + 100] == list(range(1, 101))
    assert playout.reports[-1] == Started(106)


def test_clears_in_a_row_do_not_click() -> None:
    playout = Playout(RATE)
    playout.push(np.full(500, 10000, np.int16))
    pull(playout, 50, block=2)
    heard = []
    for _ in range(3):
        playout.clear()
        playout.push(np.full(500, 10000, np.int16))
        heard += pull(playout, 2, block=2)
    assert heard == sorted(heard, reverse=True)


def test_an_underrun_is_counted_and_learnt_from() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(40))
    pull(playout, 140)  # 100 ms late
    playout.push(speech(40))
    assert playout.underruns == 1
    assert playout.target == 40 + 100 + 20
    assert pull(playout, 10) == [0] * 10  # waits for the new target
    playout.push(speech(120, 41))
    heard = pull(playout, 160)
    assert heard[FADE:] == list(range(1 + FADE, 161))
    assert heard[:FADE] == (speech(FADE) * FADE_IN).astype(int).tolist()
    assert [type(report) for report in playout.reports] == [Started]


def test_the_target_stays_within_its_bounds() -> None:
    playout = Playout(RATE, target=(0.04, 0.1))
    playout.push(speech(40))
    pull(playout, 300)
    playout.push(speech(40))
    assert playout.target == 100


def test_the_target_comes_down_when_there_is_depth_to_spare() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    playout.push(speech(40))
    pull(playout, 200)
    playout.push(speech(200))
    pull(playout, 200 + END)
    assert playout.target == 200
    for _ in range(20):
        playout.push(speech(1000))
        pull(playout, 100)
        playout.push(speech(1000))
        pull(playout, 1900 + END + 10)
    assert playout.target == 40
    assert playout.underruns == 1


def test_eight_utterances_that_each_stall_once_have_two_gaps_at_the_most() -> None:
    playout = Playout(RATE, target=(0.04, 0.2))
    for _ in range(8):
        stalled_until = 680  # what is due from 500 on comes 180 late, then all at once
        arrivals = [max(20 * frame, stalled_until if frame >= 25 else 0) for frame in range(75)]
        now = 0
        for due in arrivals:
            pull(playout, max(0, due - now) // 10 * 10)
            now += max(0, due - now) // 10 * 10
            playout.push(speech(20))
        pull(playout, 1000)
    assert playout.underruns <= 2
    assert playout.target <= 200
    assert sum(isinstance(report, Stopped) for report in playout.reports) == 8


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_without_clear_every_sample_is_heard_once_and_in_order(data: st.DataObject) -> None:
    playout = Plain(RATE, target=(0.02, 0.1))
    listener = Listener(playout)
    total = 0

    def listen(count: int, block: int) -> None:
        for _ in range(count):
            before = playout.heard
            out, gain, place = listener.pull(block)
            expected = np.zeros(block, int)
            expected[place] = speech(len(gain), 1 + before) * gain
            assert out.tolist() == expected.tolist()

    for _ in range(data.draw(st.integers(1, 15))):
        size = data.draw(st.integers(0, 90))
        playout.push(speech(size, 1 + total))
        total += size
        listen(block=data.draw(st.integers(1, 30)), count=data.draw(st.integers(0, 12)))
    playout.finishing = True
    listen(200, block=10)
    assert (playout.heard, playout.depth, playout.discarded) == (total, 0, 0)
    assert playout.silent


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_every_cue_comes_back_once_at_the_sample_that_it_came_with(data: st.DataObject) -> None:
    playout = Plain(RATE, target=(0.02, 0.1))
    listener = Listener(playout)
    heard_at: list[int] = []  # where each sample was heard
    cues: list[tuple[int, bool, int]] = []  # samples before it, whether it has some, when pushed

    def listen(count: int, block: int) -> None:
        for _ in range(count):
            begin = playout.position
            _, _, place = listener.pull(block)
            heard_at.extend(range(begin + place.start, begin + place.stop))

    total = 0
    for _ in range(data.draw(st.integers(1, 15))):
        size = data.draw(st.integers(0, 60))
        if data.draw(st.booleans()):
            cues.append((total, size > 0, playout.position))
            playout.push(speech(size), data.draw(st.none() | st.just("word")), len(cues) - 1)
        else:
            playout.push(speech(size))
        total += size
        listen(block=data.draw(st.integers(1, 30)), count=data.draw(st.integers(0, 12)))
    playout.finishing = True
    listen(200, block=10)
    reported = [each for each in playout.reports if isinstance(each, Cued)]
    came = [each.cue for each in reported if isinstance(each.cue, int)]
    assert sorted(came) == list(range(len(cues)))
    for cue, each in zip(came, reported, strict=True):
        before, has_audio, pushed_at = cues[cue]
        played = heard_at[before - 1] + 1 if before else 0
        assert each.position == (heard_at[before] if has_audio else max(played, pushed_at))


class PlayoutMachine(RuleBasedStateMachine):
    """Any order of push, pull and clear keeps the books and lets nothing old be heard."""

    def __init__(self) -> None:
        super().__init__()
        self.outstanding: set[int] = set()
        self.cues = 0
        self.seen = 0
        self.playout = Plain(RATE, target=(0.02, 0.1))
        self.listener = Listener(self.playout)
        self.generation = 0
        self.pushed = 0
        self.pulled = 0
        self.since_clear = 0

    @rule(size=st.integers(0, 120), text=st.none() | st.just("word"), cued=st.booleans())
    def push(self, size: int, text: str | None, cued: bool) -> None:
        cue = None
        if cued:
            cue = self.cues
            self.cues += 1
            self.outstanding.add(cue)
        # Each generation is one level; its fade can only be quieter than the level.
        self.playout.push(np.full(size, 1000 * (1 + self.generation % 30), np.int16), text, cue)
        self.pushed += size

    @rule(block=st.integers(1, 400))
    def pull(self, block: int) -> None:
        out, gain, place = self.listener.pull(block)
        expected = np.zeros(block, int)
        expected[place] = 1000 * (1 + self.generation % 30) * gain
        settled = max(0, FADE - self.since_clear)
        assert out[settled:].tolist() == expected[settled:].tolist()
        self.pulled += block
        self.since_clear += block

    @rule()
    def clear(self) -> None:
        self.playout.clear()
        assert self.playout.depth == 0
        self.each_cue_comes_back_once()
        self.outstanding.clear()  # of the rest none may ever come back
        self.generation += 1
        self.since_clear = 0

    def teardown(self) -> None:
        self.playout.finishing = True
        while not self.playout.silent:
            self.pull(50)
        self.pull(1)
        self.each_cue_comes_back_once()
        assert not self.outstanding

    @invariant()
    def each_cue_comes_back_once(self) -> None:
        new = list(self.playout.reports)[self.seen :]
        self.seen += len(new)
        for report in new:
            if isinstance(report, Cued):
                assert isinstance(report.cue, int)
                self.outstanding.remove(report.cue)

    @invariant()
    def the_books_balance(self) -> None:
        playout = self.playout
        assert playout.heard + playout.depth + playout.discarded == self.pushed
        assert playout.position == self.pulled
        assert 20 <= playout.target <= 100

    @invariant()
    def reports_alternate_and_are_in_order(self) -> None:
        # A cue may be due during a fade, or in a gap that later turns out to have been the end.
        told = [report for report in self.playout.reports if not isinstance(report, Cued)]
        kinds = [type(report) for report in told if not isinstance(report, Spoken)]
        assert kinds == [(Started, Stopped)[index % 2] for index in range(len(kinds))]
        positions = [report.position for report in told]
        assert positions == sorted(positions)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["loud", "soft", "zeros", "pull", "pull", "clear"]),
            st.integers(1, 1500),
        ),
        max_size=30,
    )
)
def test_utterances_begin_and_end_in_turn_in_streams_of_any_kind(
    steps: list[tuple[str, int]],
) -> None:
    playout, pushed = Playout(RATE, target=(0.02, 0.1)), 0
    levels = {"loud": 5000, "soft": 20, "zeros": 0}
    for step, size in steps:
        if step == "pull":
            pull(playout, size, 1 + size % 37)
        elif step == "clear":
            playout.clear()
        else:
            playout.push(np.full(size, levels[step], np.int16))
            pushed += size
        assert playout.heard + playout.depth + playout.discarded == pushed
    playout.finishing = True
    pull(playout, playout.depth + 100)
    assert playout.silent
    kinds = [type(report) for report in playout.reports]
    assert kinds == [(Started, Stopped)[index % 2] for index in range(len(kinds))]
    assert len(kinds) % 2 == 0


TestPlayoutMachine = PlayoutMachine.TestCase
TestPlayoutMachine.settings = settings(max_examples=80, stateful_step_count=40, deadline=None)


def voice(rate: int, seconds: float, pitch: float = 160.0) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    waves = np.sum([np.sin(2 * np.pi * pitch * n * time) / n for n in (1, 2, 3, 5)], axis=0)
    return (6000 * waves).astype(np.int16)


@pytest.mark.parametrize("rate", [8000, 24000, 48000])
@pytest.mark.parametrize("pitch", [90.0, 160.0, 330.0])
def test_running_dry_is_concealed_by_the_voice_fading_away(rate: int, pitch: float) -> None:
    playout = Playout(rate)
    spoken = voice(rate, 0.2, pitch)
    playout.push(spoken)
    heard = np.array(pull(playout, rate * 3 // 10, block=rate // 100)).astype(float)
    made_up = heard[len(spoken) :]
    length = np.flatnonzero(made_up)[-1] + 1
    assert 0.02 < length / rate <= 0.03
    # It goes on as the voice would have, ever quieter, and nowhere clicks.
    goes_on = voice(rate, 0.3, pitch)[len(spoken) :].astype(float)
    first = slice(0, round(0.005 * rate))
    assert np.corrcoef(made_up[first], goes_on[first])[0, 1] > 0.9
    steps = np.abs(np.diff(heard))
    assert steps[len(spoken) - 1 :].max() <= 1.5 * steps[: len(spoken) - 1].max()
    thirds = [np.abs(part).max() for part in np.array_split(made_up[:length], 3)]
    assert thirds == sorted(thirds, reverse=True)


def test_what_was_made_up_counts_once_it_turns_out_to_have_been_a_gap() -> None:
    playout = Playout(8000)
    playout.push(voice(8000, 0.1))
    pull(playout, 1600, block=80)
    assert (playout.concealed, playout.heard) == (0, 800)
    playout.push(voice(8000, 0.1))
    assert (playout.concealed, playout.underruns) == (240, 1)


def test_clear_while_concealing_is_as_quick_as_ever() -> None:
    playout = Playout(8000)
    playout.push(np.full(800, 10000, np.int16))
    pull(playout, 880, block=80)
    playout.clear()
    heard = pull(playout, 400, block=80)
    assert heard[0] > 1000
    assert heard[:48] == sorted(heard[:48], reverse=True)
    assert not any(heard[48:])
    assert playout.silent


def stalled(
    rate: int, stall: int, block: int, then: float = 0.3
) -> tuple[Playout, np.ndarray, np.ndarray]:
    """Return a playout that ran dry for so many samples, with the voice going on in its queue.

    Then what was heard so far, and all that was pushed.
    """
    playout = Playout(rate, (0.0, min(0.1, then)))
    spoken = voice(rate, 0.1 + then)
    before = rate // 10
    playout.push(spoken[:before])
    heard = pull(playout, before + stall, block)
    playout.push(spoken[before:])
    return playout, np.array(heard), spoken


@pytest.mark.parametrize("rate", [8000, 48000])
@pytest.mark.parametrize("block", [1, 7, 80, 441])
@pytest.mark.parametrize("stall", [0.0005, 0.003, 0.01, 0.026, 0.029, 0.05, 0.18])
def test_going_on_after_a_gap_does_not_click(rate: int, stall: float, block: int) -> None:
    # What matters is where in a period it stops and goes on: try several.
    for more in range(0, rate // 160, rate // 1600):
        gap = round(stall * rate) + more
        playout, heard, spoken = stalled(rate, gap, block)
        heard = np.append(heard, pull(playout, rate // 10, block))
        assert playout.underruns == 1
        assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(spoken.astype(int))).max()
        # It begins as it was sent and goes on at once; but for a fade, all is heard as it was sent.
        before, fade = rate // 10, round(0.006 * rate)
        assert heard[:before].tolist() == spoken[:before].tolist()
        after = rate // 10 - fade
        assert heard[before + gap + fade :].tolist() == spoken[before + fade :][:after].tolist()


def test_going_on_while_the_concealment_sounds_leaves_no_hole() -> None:
    playout, heard, spoken = stalled(8000, 40, 8)
    heard = np.append(heard, pull(playout, 800, 8)).astype(float)
    loudness = np.sqrt(np.convolve(heard**2, np.ones(50) / 50, "valid"))  # of one period each
    usual = np.sqrt(np.mean(spoken.astype(float) ** 2))
    assert loudness[: 800 + 40].min() > 0.6 * usual


@pytest.mark.parametrize("stall", [3, 80, 200, 1440])
@given(blocks=st.lists(st.integers(1, 60), min_size=1, max_size=30))
@settings(max_examples=50, deadline=None)
def test_a_fade_in_is_the_same_however_it_is_pulled(stall: int, blocks: list[int]) -> None:
    whole, piecemeal = (stalled(8000, stall, 80)[0] for _ in range(2))
    pieces = [sample for block in blocks for sample in pull(piecemeal, block, block)]
    assert pull(whole, len(pieces), len(pieces)) == pieces
    assert (whole.heard, whole.depth) == (piecemeal.heard, piecemeal.depth)


@pytest.mark.parametrize("stall", [3, 80, 200, 1440])
@pytest.mark.parametrize("pulled", [1, 5, 20, 47, 48, 90])
@pytest.mark.parametrize("more", [0, 10, 400])
def test_clear_while_fading_in_fades_what_would_have_been_heard(
    stall: int, pulled: int, more: int
) -> None:
    (cleared, *_), (other, *_) = (
        stalled(8000, stall, 80, (pulled + more) / 8000) for _ in range(2)
    )
    assert pull(cleared, pulled, pulled) == pull(other, pulled, pulled)
    depth = cleared.depth
    cleared.clear()
    goes_on = np.array(pull(other, 48))
    fade_out = (1 + np.cos(np.pi * np.arange(48) / 47)) / 2
    heard = np.array(pull(cleared, 400))
    assert np.abs(heard[:48] - goes_on * fade_out).max() <= 1
    assert not heard[48:].any()
    assert cleared.silent
    assert (cleared.heard, cleared.discarded) == (other.heard, max(0, depth - 48))


@pytest.mark.parametrize("block", [1, 50, 480])
@pytest.mark.parametrize("stall", [0.002, 0.005, 0.027, 0.05])
@pytest.mark.parametrize("size", [1, 20, 100, 150, 287, 288, 289])
def test_dry_again_before_it_has_faded_in(size: int, stall: float, block: int) -> None:
    rate = 48000
    playout, heard, _ = stalled(rate, round(stall * rate), block, size / rate)
    heard = np.append(heard, pull(playout, size + 240, block))
    assert (playout.heard, playout.depth) == (4800 + size, 0)
    spoken = voice(rate, 0.1)
    playout.push(spoken)
    heard = np.append(heard, pull(playout, len(spoken), block))
    assert playout.underruns == 2
    assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(spoken.astype(int))).max()
    assert np.abs(heard).max() <= np.abs(spoken).max()


def test_what_follows_an_utterance_that_never_faded_in_is_heard_as_it_was_sent() -> None:
    playout, _, _ = stalled(8000, 400, 80, 20 / 8000)
    pull(playout, 3200, 80)
    assert isinstance(playout.reports[-1], Stopped)
    spoken = voice(8000, 0.1)
    playout.push(spoken)
    assert pull(playout, len(spoken), 80) == spoken.tolist()


def test_its_end_while_it_fades_in_is_told_at_once_and_nothing_sounds_after_it() -> None:
    playout, _, _ = stalled(8000, 40, 8, 20 / 8000)
    playout.finishing = True
    heard = pull(playout, 80, 80)
    assert any(heard[20:48])  # what the concealment still had to fade
    assert not any(heard[48:])
    assert playout.reports[-1] == Stopped(860)
    assert playout.silent


def test_silence_is_not_concealed_by_anything() -> None:
    playout = Playout(8000)
    playout.push(np.zeros(800, np.int16))
    assert not any(pull(playout, 1600, block=80))


@pytest.mark.parametrize("rate", [8000, 44100, 48000])
def test_the_fade_lasts_between_5_and_8_ms_at_any_rate(rate: int) -> None:
    playout = Playout(rate)
    playout.push(np.full(rate, 10000, np.int16))
    out = np.zeros(rate // 100, np.int16)
    for _ in range(5):
        playout.pull(out)
    playout.clear()
    playout.pull(out)
    assert 0.005 <= np.count_nonzero(out) / rate <= 0.008
    assert np.max(np.abs(np.diff(out.astype(int)))) < 10000 * 0.4 * 8000 / rate
