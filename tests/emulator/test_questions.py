"""What an LLM server was asked and how quickly it answered."""

import pytest

from retell_voice.emulator.actions import Action, Report
from retell_voice.emulator.dialogue.questions import Questions
from retell_voice.emulator.llm.server_events import LlmStatistics

RATE = 1000


def details(actions: list[Action]) -> dict[str, object]:
    (report,) = actions
    assert isinstance(report, Report)
    assert report.kind is LlmStatistics
    return dict(report.details)


def test_numbers_count_up_from_one_and_the_begin_message_is_none() -> None:
    questions = Questions(RATE)
    assert questions.newest == 0
    assert questions.answered(500, 0, words=True) is None
    assert questions.summary() == []
    assert [questions.ask(0), questions.ask(0)] == [1, 2]


def test_the_time_runs_to_the_first_words() -> None:
    questions = Questions(RATE)
    questions.ask(1000)
    assert questions.answered(1100, 1, words=False) is None
    assert questions.answered(1300, 1, words=True) == 300.0
    assert questions.answered(1900, 1, words=True) is None
    assert details(questions.summary()) == {
        "asked": 1,
        "answered": 1,
        "median_ms": 300.0,
        "p95_ms": 300.0,
    }


def test_an_answer_without_words_is_an_answer() -> None:
    questions = Questions(RATE)
    questions.ask(0)
    questions.answered(100, 1, words=False)
    told = details(questions.summary())
    assert (told["asked"], told["answered"], told["median_ms"]) == (1, 1, None)


@pytest.mark.parametrize(
    ("times", "median", "p95"),
    [([10], 10, 10), ([30, 10], 10, 30), ([30, 10, 20], 20, 30), (range(1, 101), 50, 95)],
)
def test_median_and_95th_percentile_are_times_that_were_measured(
    times: list[int], median: float, p95: float
) -> None:
    questions = Questions(RATE)
    for time in times:
        number = questions.ask(0)
        questions.answered(time, number, words=True)
    told = details(questions.summary())
    assert (told["median_ms"], told["p95_ms"]) == (median, p95)


def test_wrong_ids_are_kept_in_order_each_once_a_few_at_most_until_the_next_question() -> None:
    questions = Questions(RATE)
    questions.ask(0)
    for number in (9, -1, 9, 5, 6, 7, 8):
        questions.wrong_id(number)
    assert questions.wrong_ids == (9, -1, 5, 6, 7)
    questions.ask(0)
    assert questions.wrong_ids == ()
