import threading

from retell_voice.threads.errands import Errands

WAIT = 5.0
NAME = "errands"


def running() -> int:
    return sum(thread.name == NAME for thread in threading.enumerate())


def test_there_is_a_thread_only_while_there_is_something_to_do() -> None:
    errands = Errands(NAME)
    errands.join(WAIT)  # nothing to wait for
    for _ in range(3):
        done = threading.Event()
        errands.run(done.set)
        assert done.wait(WAIT)
        errands.join(WAIT)
        assert running() == 0


def test_what_comes_while_it_is_busy_is_done_in_its_turn() -> None:
    errands, go_on, done = Errands(NAME), threading.Event(), []

    def first() -> None:
        go_on.wait(WAIT)
        done.append("first")

    errands.run(first)
    errands.run(lambda: done.append("second"))
    errands.run(lambda: done.append("third"))
    assert running() == 1
    go_on.set()
    errands.join(WAIT)
    assert done == ["first", "second", "third"]


def test_what_is_done_may_ask_for_more() -> None:
    errands, done = Errands(NAME), threading.Event()
    errands.run(lambda: errands.run(done.set))
    assert done.wait(WAIT)
    errands.join(WAIT)
    assert running() == 0


def test_joining_gives_up_after_a_while() -> None:
    errands, go_on = Errands(NAME), threading.Event()
    errands.run(lambda: go_on.wait(WAIT))  # type: ignore[arg-type]
    errands.join(0.01)
    assert running() == 1
    go_on.set()
    errands.join(WAIT)
    assert running() == 0
