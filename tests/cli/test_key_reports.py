from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.key_reports import KeyReports


class Keyboard:
    """A terminal's side: a stack of settings, of which it knows some."""

    def __init__(self, known: int) -> None:
        self.known = known
        self.stack: list[int] = []
        self.focus = False

    def takes(self, text: str) -> list[int]:
        """Take what is sent; return the answers."""
        answers = []
        for each in text.split("\x1b[")[1:]:
            if each == "?u":
                answers.append(self.stack[-1] if self.stack else 0)
            elif each.startswith(">"):
                self.stack.append(int(each[1:-1]) & self.known)
            elif each == "<u":
                self.stack[-1:] = []
            else:
                assert each[:-1] == "?1004"
                self.focus = each[-1] == "h"
        return answers


def asked(known: int) -> tuple[KeyReports, Keyboard]:
    reports, keyboard = KeyReports(), Keyboard(known)
    waiting = keyboard.takes(reports.ask())
    while waiting:
        waiting += keyboard.takes(reports.answered(waiting.pop(0)))
    return reports, keyboard


def test_a_terminal_that_can() -> None:
    reports, keyboard = asked(0b11111)
    assert (reports.state, keyboard.stack, keyboard.focus) == ("on", [0b11111], True)
    keyboard.takes(reports.leave())
    assert (reports.state, keyboard.stack, keyboard.focus) == ("off", [], False)


def test_a_terminal_that_can_half_of_it_is_left_alone() -> None:
    for known in (0b00001, 0b01011, 0b11001, 0b11110):
        reports, keyboard = asked(known)
        assert (reports.state, keyboard.stack, keyboard.focus) == ("refused", [], False)
        assert reports.leave() == ""


def test_a_terminal_that_does_not_answer_is_asked_once() -> None:
    reports = KeyReports()
    assert reports.ask() == "\x1b[?u"
    assert reports.ask() == ""
    assert reports.leave() == ""
    assert reports.ask() == "\x1b[?u", "the next page is another matter"


def test_answers_that_nobody_asked_for_change_nothing() -> None:
    reports = KeyReports()
    assert reports.answered(31) == ""
    assert reports.state == "off"


@given(st.integers(0, 31), st.lists(st.sampled_from(["ask", "answer", "leave"])))
def test_whatever_happens_nothing_is_left(known: int, steps: list[str]) -> None:
    reports, keyboard = KeyReports(), Keyboard(known)
    waiting: list[int] = []
    for step in steps:
        if step == "ask":
            waiting += keyboard.takes(reports.ask())
        elif step == "leave":
            keyboard.takes(reports.leave())
            waiting = []  # what was not read is thrown away
        elif waiting:
            waiting += keyboard.takes(reports.answered(waiting.pop(0)))
        assert len(keyboard.stack) <= 1
    keyboard.takes(reports.leave())
    assert (keyboard.stack, keyboard.focus) == ([], False)
