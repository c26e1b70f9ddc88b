"""The pipe to a worker: whatever the pieces, the frames come out as they went in."""

import contextlib
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.speech.workers.frames import MAX_BODY, Frame, FrameError, Unpacker, pack

VALUES = st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text())
FRAMES = st.builds(Frame, st.dictionaries(st.text(), VALUES), st.binary(max_size=300))
UTF8 = st.text(st.characters(exclude_categories=["Cs"]))


@given(st.lists(FRAMES, max_size=5), st.lists(st.integers(0, 200), max_size=30))
def test_frames_survive_any_pieces(frames: list[Frame], cuts: list[int]) -> None:
    data = b"".join(map(pack, frames))
    unpacker, found, start = Unpacker(), [], 0
    for cut in [*cuts, len(data)]:
        found += unpacker.feed(data[start : start + cut])
        start += cut
    whole = [Unpacker().feed(pack(frame))[0] for frame in frames]
    assert found == whole
    assert [frame.body for frame in found] == [frame.body for frame in frames]


@given(st.dictionaries(UTF8, UTF8), st.binary(max_size=300))
def test_a_frame_is_the_same_at_the_other_end(head: dict[str, str], body: bytes) -> None:
    assert Unpacker().feed(pack(Frame(head, body))) == [Frame(head, body)]


def test_half_a_surrogate_pair_does_no_harm() -> None:
    assert Unpacker().feed(pack(Frame({"text": "a\ud83d"}))) == [Frame({"text": "a?"})]


@pytest.mark.parametrize(
    "data",
    [
        b"Loading the model...\n",
        struct.pack(">II", 2, MAX_BODY + 1) + b"{}",
        struct.pack(">II", 2, 0) + b"[]",
        struct.pack(">II", 2, 0) + b"{]",
        struct.pack(">II", 2, 0) + b"\xff\xff",
    ],
)
def test_what_is_no_frame_is_told_from_one(data: bytes) -> None:
    with pytest.raises(FrameError):
        Unpacker().feed(data)


@given(st.binary(max_size=200))
def test_garbage_never_does_worse_than_that(data: bytes) -> None:
    with contextlib.suppress(FrameError):
        Unpacker().feed(data)


def test_a_frame_too_large_is_not_packed() -> None:
    with pytest.raises(ValueError, match="too large"):
        pack(Frame({}, bytes(MAX_BODY + 1)))
