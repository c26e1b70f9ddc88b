"""An input device: its bytes, and a pipe that plays it."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

if sys.platform != "linux":
    pytest.skip("event devices are Linux's", allow_module_level=True)

from support.surroundings import Kiosk, settled, told

from retell_voice.kiosk.ports import (
    LongPressed,
    PartFailed,
    Pressed,
    Trigger,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers.input_device import (
    DOWN,
    EV_KEY,
    EV_SYN,
    EVENT,
    SYN_DROPPED,
    UP,
    Decoder,
    InputDevice,
    KeyEvent,
    Meanings,
    make,
)
from retell_voice.kiosk.triggers.presses import Edge
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import KEYS, Key

ENTER, A, MUTE, LOUDER = KEYS["enter"], 30, KEYS["mute"], KEYS["volumeup"]
ANY = Key(None)


def event(code: int, value: int, at: float = 1.0, kind: int = EV_KEY) -> bytes:
    seconds = int(at)
    report = EVENT.pack(seconds, round((at - seconds) * 1e6), EV_SYN, 0, 0)
    return EVENT.pack(seconds, round((at - seconds) * 1e6), kind, code, value) + report


def test_an_event_has_the_kernels_size() -> None:
    assert EVENT.size == (24 if sys.maxsize > 2**32 else 16)


@given(
    st.lists(
        st.tuples(
            st.sampled_from((0, 1, 2, 4)),
            st.integers(0, 0xFFFF),
            st.integers(-(2**31), 2**31 - 1),
            st.integers(0, 2**31 - 1),
        )
    ),
    st.lists(st.integers(0, 200)),
    st.binary(max_size=23),
)
def test_bytes_may_come_in_any_pieces(
    events: list[tuple[int, int, int, int]], cuts: list[int], tail: bytes
) -> None:
    data = b"".join(EVENT.pack(at, 500, kind, code, value) for kind, code, value, at in events)
    whole = list(Decoder().feed(data + tail))
    decoder, start = Decoder(), 0
    found: list[KeyEvent] = []
    for cut in [*sorted(each % (len(data) + 1) for each in cuts), len(data)]:
        found += decoder.feed(data[start:cut])
        start = max(start, cut)
    assert found == whole
    keys = [(code, value) for kind, code, value, _ in events if kind == EV_KEY]
    dropped = sum((kind, code) == (EV_SYN, SYN_DROPPED) for kind, code, _, _ in events)
    assert len(whole) == len(keys) + dropped


@given(st.binary(max_size=400), st.sampled_from((ANY, Key(ENTER), Key(MUTE))))
def test_no_bytes_break_it(data: bytes, key: Key) -> None:
    meanings, down = Meanings(key, "x"), False
    for each in Decoder().feed(data):
        meant = meanings.of(each)
        if isinstance(meant, Edge):  # they take turns
            assert meant.down is not down
            down = meant.down


def meant(key: Key, *events: tuple[int, int]) -> list[Any]:
    meanings = Meanings(key, "x")
    found = [meanings.of(KeyEvent(code, value, 1.0)) for code, value in events]
    return [each for each in found if each is not None]


def test_any_key_calls_but_those_that_say_what_they_do() -> None:
    assert meant(ANY, (A, DOWN), (A, 2), (A, UP)) == [Edge(True, 1.0), Edge(False, 1.0)]
    assert meant(ANY, (MUTE, DOWN), (MUTE, UP)) == [WantsMute("x")]
    volume = [WantsVolume("x", 10, relative=True)]
    assert meant(ANY, (LOUDER, DOWN), (LOUDER, 2), (LOUDER, UP)) == volume * 2
    assert meant(ANY, (KEYS["volumedown"], DOWN))[0].percent == -10


def test_of_two_keys_at_once_the_first_counts() -> None:
    edges = meant(ANY, (A, DOWN), (ENTER, DOWN), (ENTER, UP), (A, UP))
    assert edges == [Edge(True, 1.0), Edge(False, 1.0)]


def test_one_key_calls_and_others_do_not() -> None:
    assert meant(Key(ENTER), (A, DOWN), (A, UP)) == []
    assert meant(Key(ENTER), (ENTER, DOWN)) == [Edge(True, 1.0)]
    assert meant(Key(MUTE), (MUTE, DOWN)) == [Edge(True, 1.0)]  # if that is wanted


def test_after_lost_events_no_key_is_taken_for_held() -> None:
    edges = meant(ANY, (A, DOWN), (0, UP), (0, UP), (ENTER, DOWN))
    assert edges == [Edge(True, 1.0), Edge(False, 1.0), Edge(True, 1.0)]


class Pipe:
    """Plays a device; ``unplug`` and ``plug`` are what they are."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.plug()

    def plug(self) -> None:
        os.mkfifo(self.path)
        self._fd = os.open(self.path, os.O_RDWR | os.O_NONBLOCK)

    def press(self, code: int, value: int, at: float = 1.0) -> None:
        os.write(self._fd, event(code, value, at))

    def unplug(self) -> None:
        self.path.unlink(missing_ok=True)
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@pytest.fixture
def pipe(tmp_path: Path) -> Iterator[Pipe]:
    pipe = Pipe(tmp_path / "usb-button-event-kbd")
    yield pipe
    pipe.unplug()


def device(pipe: Pipe, kiosk: Kiosk, **more: Any) -> InputDevice:
    return InputDevice(pipe.path, ANY, kiosk, long=0.8, **{"grab": lambda fd: None, **more})


async def test_presses_come_through(pipe: Pipe) -> None:
    kiosk = Kiosk()
    part = device(pipe, kiosk)
    assert isinstance(part, Trigger)
    async with told(part) as button:
        pipe.press(A, DOWN, 1.0)
        assert await button.next() == Pressed(part.name)
        kiosk.become(State.IN_CALL)
        pipe.press(A, UP, 1.2)
        pipe.press(A, DOWN, 2.0)
        pipe.press(A, UP, 2.1)
        assert await button.next() == Pressed(part.name)
        pipe.press(LOUDER, DOWN)
        assert isinstance(await button.next(), WantsVolume)
        assert button.waiting == 0


async def test_a_long_press_is_told_while_the_key_is_down(pipe: Pipe) -> None:
    kiosk = Kiosk(State.IN_CALL)
    part = InputDevice(pipe.path, ANY, kiosk, long=0.02, grab=lambda fd: None)
    async with told(part) as button:
        pipe.press(A, DOWN)
        assert await button.next() == LongPressed(part.name)
        pipe.press(A, UP, 99)
        await settled()
        assert button.waiting == 0


async def test_what_was_pressed_before_it_was_iterated_counts(pipe: Pipe) -> None:
    part = device(pipe, Kiosk())
    async with part:
        pipe.press(A, DOWN)
        await settled()
        async for event in part:
            assert event == Pressed(part.name)
            break


async def test_it_is_grabbed_and_comes_back_after_it_was_unplugged(pipe: Pipe) -> None:
    grabbed: list[int] = []
    part = device(pipe, Kiosk(State.IN_CALL), grab=grabbed.append)
    async with told(part) as button:
        pipe.press(A, DOWN, 1)
        await settled()
        pipe.unplug()
        with pytest.raises(PartFailed, match="closed"):
            await button.next()
    with pytest.raises(PartFailed, match="not plugged in") as caught:
        await part.__aenter__()
    await part.__aexit__(None, None, None)
    assert "by-id" in caught.value.hint
    pipe.plug()
    async with told(part) as button:
        pipe.press(A, UP, 50)  # of a press before: means nothing
        pipe.press(A, DOWN, 51)
        pipe.press(A, UP, 51.1)
        assert await button.next() == Pressed(part.name)
        assert button.waiting == 0
    assert len(grabbed) == 2


@pytest.mark.parametrize(
    ("number", "says"),
    [(errno.EBUSY, "another program"), (errno.ENOTTY, "no event device"), (errno.EIO, "Input/out")],
)
async def test_why_it_cannot_be_had_is_told_and_nothing_stays_open(
    pipe: Pipe, number: int, says: str
) -> None:
    def grab(fd: int) -> None:
        raise OSError(number, os.strerror(number))

    before = len(os.listdir("/dev/fd"))
    with pytest.raises(PartFailed, match=says):
        await device(pipe, Kiosk(), grab=grab).__aenter__()
    assert len(os.listdir("/dev/fd")) == before


async def test_a_file_that_is_no_device_is_told(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.touch()
    with pytest.raises(PartFailed, match="no event device"):
        await InputDevice(path, ANY, Kiosk(), long=1).__aenter__()


async def test_nothing_stays_open_after_many_turns(pipe: Pipe) -> None:
    part = device(pipe, Kiosk())
    before = len(os.listdir("/dev/fd"))
    for _ in range(20):
        async with told(part) as button:
            pipe.press(A, DOWN)
            await button.next()
    assert len(os.listdir("/dev/fd")) == before


def test_it_is_made_of_settings() -> None:
    settings = KioskSettings(input_device=Sourced("/dev/input/by-id/x-event-kbd"))
    (part,) = make(settings, Kiosk())
    assert part.name == "input device x-event-kbd"
    assert list(make(KioskSettings(), Kiosk())) == []
