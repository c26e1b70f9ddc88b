"""An emulator that may open no more files: one line a second, and it goes on afterwards."""

import asyncio
import errno
import logging
from typing import Any

import pytest

from retell_voice.emulator.full import FullNotice

WORDS = "socket.accept() out of system resource"


class Socket:
    def __init__(self, number: int) -> None:
        self.number = number

    def fileno(self) -> int:
        return self.number


async def test_a_hundred_reports_of_asyncio_are_a_line(caplog: pytest.LogCaptureFixture) -> None:
    loop = asyncio.get_running_loop()
    passed: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: passed.append(context))
    before = loop.get_exception_handler()
    ours, theirs = FullNotice(logging.getLogger("a")), FullNotice(logging.getLogger("b"))
    ours.open({7})
    theirs.open({8})
    problem = OSError(errno.EMFILE, "Too many open files")
    for _ in range(100):
        loop.call_exception_handler({"message": WORDS, "socket": Socket(7), "exception": problem})
    for other in ({"message": WORDS, "socket": Socket(9)}, {"message": "oops"}):
        loop.call_exception_handler(other)
    assert [each.getMessage() for each in caplog.records] == [
        "the emulator takes no more connections for now: Too many open files (ulimit -n)"
    ]
    assert [each["message"] for each in passed] == [WORDS, "oops"]
    ours.close()  # not the last that came
    theirs.close()
    loop.call_exception_handler({"message": "oops"})
    assert len(passed) == 3
    loop.set_exception_handler(before)
