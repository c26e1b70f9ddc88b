"""Lines that are typed, whole and in order."""

from __future__ import annotations

import asyncio
import os
import time

from hypothesis import given
from hypothesis import strategies as st

from retell_voice.cli.typed import Lines, TypedTurns, read_lines


@given(st.lists(st.text(st.characters(exclude_characters="\n", codec="utf-8")), max_size=5))
def test_lines_come_whole_however_they_are_cut(lines: list[str]) -> None:
    data = "".join(f"{line}\n" for line in lines).encode()
    expected = [line.strip() for line in lines]
    assert Lines().feed(data) == expected
    by_byte = Lines()
    assert [line for byte in data for line in by_byte.feed(bytes([byte]))] == expected


def test_a_last_line_without_its_end_counts_and_no_text_is_too_odd() -> None:
    lines = Lines()
    assert lines.feed(b"one\r\ntw") == ["one"]
    assert lines.feed(b"") == ["tw"]
    assert lines.feed(b"") == []
    for _ in range(100):
        assert lines.feed(b"x" * 4096) == []
    assert len(lines._rest) < 50_000, "a line without an end is not kept whole"
    assert [len(each) for each in lines.feed(b"\n")] == [10_000]
    assert Lines().feed(b"\xff\xfe\n") == ["��"]


async def test_a_thread_reads_until_the_end() -> None:
    reader, writer = os.pipe()
    loop, taken = asyncio.get_running_loop(), asyncio.Queue[str]()

    def take(line: str) -> None:
        loop.call_soon_threadsafe(taken.put_nowait, line)

    read_lines(reader, take)
    os.write(writer, b"hello\nyou")
    assert await asyncio.wait_for(taken.get(), 5) == "hello"
    os.close(writer)
    assert await asyncio.wait_for(taken.get(), 5) == "you"
    os.close(reader)


def test_lines_are_turns_that_wait_until_they_can_be_said() -> None:
    reader, writer = os.pipe()
    said: list[str] = []
    ready = False
    turns = TypedTurns(said.append, lambda: ready, reader)
    os.write(writer, b"one\n\ntwo")
    os.close(writer)
    deadline = time.monotonic() + 5
    while not turns._has_ended and time.monotonic() < deadline:
        time.sleep(0.001)
    assert not turns.is_waiting
    ready = True
    while turns.is_waiting:
        assert not turns.is_over
        turns.go_on()
    assert (said, turns.is_over) == (["one", "two"], True)
    os.close(reader)
