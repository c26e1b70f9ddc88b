"""Whatever is pushed, pulled and cleared in whatever order: all that is heard was due."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from support.playout import FADE, RATE, Listener, Plain, pull, speech

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Cued, Spoken, Started, Stopped


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
