"""Texts and cues that come with the jitter buffer's audio: they are told when it is heard."""

from support.playout import RATE, pull, speech

from retell_voice.audio.playout import Playout
from retell_voice.audio.playout_reports import Cued, Spoken, Started


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


def test_text_without_audio_is_no_underrun() -> None:
    playout = Playout(RATE)
    playout.push(speech(40))
    pull(playout, 100)
    playout.push(speech(0), "a")
    assert (playout.underruns, playout.target) == (0, 40)
