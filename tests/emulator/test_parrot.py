"""The parrot, on recordings of real speech, with no clock but the audio."""

from dataclasses import dataclass, field, replace

import numpy as np
import pytest

from retell_voice.audio.format import Samples
from retell_voice.emulator.actions import Action, Clear, HangUp, Report, Say, SendMetadata, Update
from retell_voice.emulator.parrot import DEFAULT_PARROT, METADATA, Parrot, ParrotSettings
from retell_voice.emulator.recordings import CALLER, GREETING, load_speech
from retell_voice.emulator.server_events import AgentInterrupted, UserSpoke

RATE = 16000
FRAME = RATE // 50
GREETING_TEXT = "Hello! I am the parrot. Say something, and I will say it back."


@dataclass
class Listener:
    """Plays microphone audio to a parrot in frames and keeps what it does, and when."""

    settings: ParrotSettings = DEFAULT_PARROT
    frame: int = FRAME
    now: int = 0
    log: list[tuple[int, Action]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.parrot = Parrot(load_speech(GREETING, RATE), self.settings)
        self.log += [(0, action) for action in self.parrot.start()]

    def hear(self, samples: Samples) -> list[Action]:
        before = len(self.log)
        for start in range(0, len(samples), self.frame):
            piece = samples[start : start + self.frame]
            self.now += len(piece)
            self.log += [(self.now, action) for action in self.parrot.receive(piece)]
        return [action for _, action in self.log[before:]]

    def wait(self, seconds: float) -> list[Action]:
        return self.hear(np.zeros(int(seconds * RATE), np.int16))


def said(actions: list[Action]) -> Samples:
    pieces = [action.samples for action in actions if isinstance(action, Say)]
    return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)


def kinds(actions: list[Action]) -> list[str]:
    """Names of the actions, runs of the same as one."""
    names: list[str] = []
    for action in actions:
        name = type(action).__name__
        if isinstance(action, Update):
            name += f" {action.turn}" if action.turn else ""
        elif isinstance(action, Report):
            name = action.kind.__name__
        if names[-1:] != [name]:
            names.append(name)
    return names


def sentence() -> Samples:
    """The caller's first words, without the silence around them."""
    caller = load_speech(CALLER, RATE).samples
    first = np.flatnonzero(np.abs(caller) > 100)[0]
    return caller[first : first + int(2.0 * RATE)]


def test_it_greets_at_once() -> None:
    actions = [action for _, action in Listener().log]
    assert kinds(actions) == ["SendMetadata", "Update agent", "Say", "AgentSpoke"]
    assert actions[0] == SendMetadata(METADATA)
    assert np.array_equal(said(actions), load_speech(GREETING, RATE).samples)
    pieces = [action for action in actions if isinstance(action, Say)]
    assert {len(piece.samples) for piece in pieces[:-1]} == {RATE // 10}
    assert "".join(piece.text for piece in pieces) == GREETING_TEXT
    update = actions[1]
    assert isinstance(update, Update)
    (utterance,) = update.transcript
    assert (utterance.role, utterance.content) == ("agent", GREETING_TEXT)
    assert utterance.words[0].start == 0.0
    assert utterance.words[-1].end == pytest.approx(len(said(actions)) / RATE, abs=0.01)


def test_it_says_back_what_was_said_with_its_beginning_and_without_the_silence() -> None:
    listener = Listener()
    listener.wait(5)
    began = listener.now
    actions = listener.hear(sentence()) + listener.wait(2)
    assert kinds(actions) == [
        "Update user",
        "UserSpoke",
        "Update",
        "Update agent",
        "Say",
        "AgentSpoke",
    ]
    answer = said(actions)
    everything = np.concatenate((np.zeros(began, np.int16), sentence(), np.zeros(RATE, np.int16)))
    start = next(
        at
        for at in range(began - RATE // 2, began + RATE // 2)
        if np.array_equal(everything[at : at + len(answer)], answer)
    )
    assert 0.1 <= (began - start) / RATE <= 0.25
    spoken_until = began + len(sentence())
    assert abs(start + len(answer) - spoken_until) / RATE <= 0.25


def test_turns_and_transcript_keep_their_order() -> None:
    listener = Listener()
    listener.wait(5)
    actions = listener.hear(sentence()) + listener.wait(2)
    updates = [action for action in actions if isinstance(action, Update)]
    assert [update.turn for update in updates] == ["user", None, "agent"]
    roles = [[said.role for said in update.transcript] for update in updates]
    assert roles == [["agent"], ["agent", "user"], ["agent", "user", "agent"]]
    user, agent = updates[-1].transcript[1:]
    assert user.content == agent.content
    assert user.content.endswith("s of speech)")


def test_it_falls_silent_at_once_when_talked_over() -> None:
    listener = Listener()
    listener.wait(1.5)
    spoken_at = listener.now
    actions = listener.hear(sentence())
    assert kinds(actions)[:3] == ["Clear", "AgentInterrupted", "Update user"]
    cleared_at = next(at for at, action in listener.log if isinstance(action, Clear))
    assert (cleared_at - spoken_at) / RATE <= 0.25
    heard = (cleared_at / RATE) - 0.2
    (greeting,) = listener.parrot.transcript
    assert GREETING_TEXT.startswith(greeting.content)
    assert 0 < len(greeting.content) < len(GREETING_TEXT)
    assert greeting.words[-1].start < heard
    assert greeting.words == tuple(
        word for word in load_speech(GREETING, RATE).words if word.start < heard
    )
    report = next(each for each in actions if isinstance(each, Report))
    assert report.kind is AgentInterrupted
    length = len(load_speech(GREETING, RATE).samples) / RATE
    assert report.details["unheard"] == pytest.approx(length - heard, abs=0.01)
    # and it answers what the interrupter said
    assert len(said(listener.wait(2))) > 1.5 * RATE


def test_what_was_not_heard_at_all_is_not_in_the_transcript() -> None:
    listener = Listener(replace(DEFAULT_PARROT, lag_ms=500))
    listener.hear(sentence()[: RATE // 2])
    assert listener.parrot.transcript == ()


def test_after_it_has_been_heard_there_is_nothing_to_clear() -> None:
    listener = Listener()
    listener.wait(len(load_speech(GREETING, RATE).samples) / RATE + 0.3)
    assert "Clear" not in kinds(listener.hear(sentence()))
    assert listener.parrot.transcript[0].content == GREETING_TEXT


def test_it_can_be_made_deaf_while_it_speaks() -> None:
    listener = Listener(replace(DEFAULT_PARROT, interruptible=False))
    listener.wait(1.5)
    assert listener.hear(sentence()) + listener.wait(3) == []
    assert kinds(listener.hear(sentence()) + listener.wait(1))[0] == "Update user"


def test_the_bundled_caller_has_a_whole_conversation() -> None:
    listener = Listener()
    actions = listener.hear(load_speech(CALLER, RATE).samples)
    answer = ["UserSpoke", "Update", "Update agent", "Say", "AgentSpoke"]
    assert kinds(actions) == [
        *("Update user", *answer),
        *("Update user", *answer),
        *("Clear", "AgentInterrupted", "Update user", *answer),
    ]
    transcript = listener.parrot.transcript
    roles = ["agent", "user"] * 3 + ["agent"]
    assert [each.role for each in transcript] == roles
    assert transcript[4].content == "(1.1 s of speech)"  # a second, and the onset of a barge-in
    assert listener.parrot.playing_until < listener.now  # it is heard to the end
    assert 24 <= listener.now / RATE <= 30


@pytest.mark.parametrize("frame", [1, 160, 321, 4000, 100_000])
def test_the_size_of_the_frames_makes_no_difference(frame: int) -> None:
    caller = load_speech(CALLER, RATE).samples[: 12 * RATE]
    if frame == 1:
        caller = caller[: int(9.5 * RATE)]
    reference, listener = Listener(), Listener(frame=frame)
    expected, actions = reference.hear(caller), listener.hear(caller)
    assert kinds(actions) == kinds(expected)
    assert np.array_equal(said(actions), said(expected))
    assert listener.parrot.transcript == reference.parrot.transcript


def test_a_long_speech_is_said_back_up_to_the_bound() -> None:
    listener = Listener(replace(DEFAULT_PARROT, longest_ms=3000))
    listener.wait(5)
    actions = listener.hear(np.tile(sentence(), 5)) + listener.wait(1)
    assert len(said(actions)) == 3 * RATE
    (report,) = (each for each in actions if isinstance(each, Report) and each.kind is UserSpoke)
    assert report.details["duration"] > 9.5
    # and nothing of it is left in the next answer
    listener.wait(6)
    again = listener.hear(sentence()) + listener.wait(1)
    assert len(said(again)) < 3 * RATE
    assert np.count_nonzero(said(again)) > RATE


def test_what_is_typed_is_hummed_back() -> None:
    listener = Listener()
    listener.wait(5)
    actions = listener.parrot.typed(" What is that? ")
    assert kinds(actions) == ["UserTyped", "Update user", "Update agent", "Say", "AgentSpoke"]
    assert np.abs(said(actions)).max() > 1000
    text = "".join(action.text for action in actions if isinstance(action, Say))
    assert text == "What is that?"
    assert [(each.role, each.content) for each in listener.parrot.transcript[1:]] == [
        ("user", "What is that?"),
        ("agent", "What is that?"),
    ]
    for nothing in ("", "  "):
        assert listener.parrot.typed(nothing) == []


def test_what_is_typed_interrupts() -> None:
    listener = Listener()
    listener.wait(1)
    actions = listener.parrot.typed("Stop")
    assert kinds(actions)[:3] == ["UserTyped", "Clear", "AgentInterrupted"]
    first = listener.parrot.transcript[0]
    assert GREETING_TEXT.startswith(first.content)
    assert first.content != GREETING_TEXT


def test_what_is_typed_takes_the_place_of_what_is_spoken() -> None:
    listener = Listener()
    listener.wait(5)
    listener.hear(sentence()[:RATE])
    listener.parrot.typed("Never mind.")
    assert "Say" not in kinds(listener.wait(3))
    assert [each.role for each in listener.parrot.transcript] == ["agent", "user", "agent"]


def test_a_long_text_is_hummed_back_up_to_the_bound() -> None:
    listener = Listener(replace(DEFAULT_PARROT, longest_ms=3000))
    assert len(said(listener.parrot.typed("word " * 1000))) == 3 * RATE


def test_after_the_end_nothing_is_typed() -> None:
    listener = Listener(replace(DEFAULT_PARROT, longest_call_ms=1000))
    listener.wait(2)
    assert listener.parrot.typed("Hello?") == []


def test_it_hangs_up_after_silence() -> None:
    listener = Listener(replace(DEFAULT_PARROT, end_call_after_silence_ms=10_000))
    heard_until = listener.parrot.playing_until / RATE
    listener.wait(5)
    listener.hear(sentence())
    silent_since = listener.now / RATE
    actions = listener.wait(20)
    assert isinstance(actions[-1], HangUp)
    assert (actions[-1].code, actions[-1].why) == (1000, "inactivity")
    assert "10 s" in actions[-1].reason
    at = listener.log[-1][0] / RATE
    assert at > heard_until + 10
    assert 10 <= at - silent_since <= 14  # 10 s after the answer, which it waits for
    assert listener.parrot.receive(sentence()) == []


def test_it_hangs_up_when_the_call_is_long_enough() -> None:
    listener = Listener(replace(DEFAULT_PARROT, longest_call_ms=3000))
    actions = listener.wait(4)
    assert kinds(actions) == ["HangUp"]
    assert actions[0] == HangUp("the call lasted 3 s", "max_duration_reached")


def test_memory_does_not_grow_while_nobody_speaks() -> None:
    listener = Listener()
    listener.wait(60)
    kept = listener.parrot._heard.between(0, listener.now)
    assert len(kept) <= 1.3 * RATE
