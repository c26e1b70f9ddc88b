"""Packets in order, whatever order they arrive in."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_buffer import PacketBuffer, Put

RATE, CLOCK = 8000, 48000
SAMPLES = 160
UNITS = 960
STARTS = [(0, 0), (65533, 2**32 - 1500), (32766, 2**31 - 1000)]


def packet(number: int, first: tuple[int, int] = (0, 0)) -> Packet:
    sequence, timestamp = first
    return Packet(
        (sequence + number) % 2**16,
        (timestamp + number * UNITS) % 2**32,
        UNITS,
        str(number).encode(),
    )


def buffer(limit: int = 100) -> PacketBuffer:
    return PacketBuffer(RATE, CLOCK, limit * SAMPLES)


def drain(packets: PacketBuffer) -> list[int]:
    taken = []
    while packets.first is not None:
        taken.append(int(packets.take().payload))
    return taken


@pytest.mark.parametrize("first", STARTS)
def test_they_come_out_in_order_across_the_wrap_around(first: tuple[int, int]) -> None:
    packets = buffer()
    starts = []
    for number in (1, 0, 3, 2, 5, 7, 4):
        put, queued = packets.put(packet(number, first))
        assert put is Put.QUEUED
        starts.append((number, queued.start))
    origin = min(starts)[1]
    assert all(abs(start - origin - number * SAMPLES) <= 1 for number, start in starts)
    assert packets.depth == 7 * SAMPLES
    assert drain(packets) == [0, 1, 2, 3, 4, 5, 7]
    assert (packets.depth, packets.lost, packets.late) == (0, 1, 0)


@pytest.mark.parametrize("first", STARTS)
def test_what_comes_after_its_turn_is_late_and_what_comes_twice_a_duplicate(
    first: tuple[int, int],
) -> None:
    packets = buffer()
    for number in (0, 2, 2):
        packets.put(packet(number, first))
    assert drain(packets) == [0, 2]
    assert packets.put(packet(1, first))[0] is Put.LATE
    assert packets.put(packet(1, first))[0] is Put.DUPLICATE
    assert packets.put(packet(2, first))[0] is Put.DUPLICATE
    assert packets.put(packet(3, first))[0] is Put.QUEUED
    assert drain(packets) == [3]
    assert (packets.lost, packets.late, packets.duplicates) == (1, 1, 3)


def test_what_was_sent_before_the_first_that_was_played_is_late() -> None:
    packets = buffer()
    packets.put(packet(5))
    packets.take()
    assert packets.put(packet(4))[0] is Put.LATE
    assert packets.put(packet(5))[0] is Put.DUPLICATE
    assert (packets.lost, packets.late) == (0, 1)


def test_over_the_limit_the_oldest_are_dropped() -> None:
    packets = buffer(limit=3)
    for number in (0, 1, 3, 4, 5):
        packets.put(packet(number))
    assert packets.depth == 3 * SAMPLES
    assert (packets.overflowed, packets.lost) == (2, 0)
    assert packets.put(packet(1))[0] is Put.DUPLICATE
    assert drain(packets) == [3, 4, 5]
    # Nobody knows whether 2 would have come in time: it was missing when its turn came.
    assert packets.put(packet(2))[0] is Put.LATE


def test_what_was_sent_before_a_clear_never_comes_out() -> None:
    packets = buffer()
    for number in (0, 1, 2, 4):
        packets.put(packet(number))
    packets.take()
    packets.clear()
    assert packets.first is None
    assert packets.depth == 0
    assert packets.put(packet(3))[0] is Put.LATE
    assert packets.put(packet(2))[0] is Put.DUPLICATE
    packets.put(packet(5))
    assert drain(packets) == [5]
    assert packets.lost == 0


def test_a_sender_that_counts_from_somewhere_else_is_followed_at_its_second_packet() -> None:
    packets = buffer()
    for number in (0, 1):
        packets.put(packet(number))
    assert packets.put(packet(30000))[0] is Put.SUSPECT
    packets.put(packet(2))
    assert packets.put(packet(30000))[0] is Put.SUSPECT
    assert packets.put(packet(30001))[0] is Put.QUEUED
    assert packets.restarts == 1
    assert drain(packets) == [30001]
    assert packets.put(packet(30002))[0] is Put.QUEUED


def test_another_source_is_followed_at_its_second_packet_however_near_its_numbers() -> None:
    packets = buffer()
    for number in range(3):
        packets.put(packet(number))
    assert drain(packets) == [0, 1, 2]
    far = [replace(packet(number, (0, 2**31)), source=7) for number in (3, 4, 5)]
    puts = [packets.put(each)[0] for each in (far[0], packet(3), far[1], far[2])]
    assert puts == [Put.SUSPECT, Put.QUEUED, Put.SUSPECT, Put.QUEUED]
    assert (packets.restarts, packets.lost) == (1, 0)
    assert drain(packets) == [5], "of the old source nothing is left once the new one is followed"


def test_a_timestamp_that_jumps_is_taken_as_it_is() -> None:
    packets = buffer()
    packets.put(packet(0))
    _, queued = packets.put(Packet(1, 10**6 * 48, UNITS, b"1"))
    assert queued.start == 8 * 10**6
    _, queued = packets.put(Packet(2, 0, UNITS, b"2"))
    assert queued.start == 0
    assert drain(packets) == [0, 1, 2]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1), st.integers(1, 5760)),
        max_size=60,
    ),
    st.lists(st.booleans(), max_size=60),
)
def test_any_packets_keep_the_books(sent: list[tuple[int, int, int]], takes: list[bool]) -> None:
    packets = buffer(limit=5)
    taken: list[int] = []
    takes += [False] * len(sent)
    for (sequence, timestamp, duration), take in zip(sent, takes, strict=False):
        restarts = packets.restarts
        packets.put(Packet(sequence, timestamp, duration, b""))
        if packets.restarts > restarts:
            taken.clear()
        if take and packets.first is not None:
            taken.append(packets.take().sequence)
        assert taken == sorted(set(taken))
        assert packets.depth <= max(5 * SAMPLES, 960)
    held = packets.depth
    while packets.first is not None:
        held -= packets.take().duration
    assert held == packets.depth == 0
