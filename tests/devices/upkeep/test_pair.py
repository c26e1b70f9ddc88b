"""Two devices in use, and others that take over; during a call: tests/engine/test_call_devices."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.devices.streams.near_end import NearEnd
from retell_voice.devices.streams.output import Output
from retell_voice.devices.upkeep.pair import Pair
from retell_voice.errors import DeviceError
from retell_voice.events import DeviceChanged

RATE = 8000


class Noting:
    """Notes whether it runs."""

    is_running = False

    def start(self, end: Any) -> None:
        super().start(end)  # type: ignore[misc]  # that of the other base
        self.is_running = True

    def stop(self) -> None:
        super().stop()  # type: ignore[misc]  # as above
        self.is_running = False


class Microphone(Noting, NullMicrophone):
    pass


class Speaker(Noting, NullSpeaker):
    pass


class Refuses(NullMicrophone):
    def start(self, sink: Any) -> None:
        raise DeviceError("it is busy")


class Opened:
    """A pair that is in use, and what it has told."""

    def __init__(self) -> None:
        self.told: list[object] = []
        self.then: list[tuple[object, ...]] = []
        self.near_end, self.output = NearEnd(RATE, self.told.append), Output(RATE)
        self.pair = Pair(
            Microphone(RATE),
            Speaker(RATE),
            self.near_end,
            self.output,
            can_block=False,
            device_timeout=60.0,
            post=self.told.append,
        )
        self.near_end.start()
        self.pair.far.start()
        self.pair.near.start()

    def switch(self, microphone: Any = None, speaker: Any = None) -> None:
        """Switch, and note what ran when ``then`` was called."""
        old: Any = self.pair.microphone, self.pair.speaker

        def then(*devices: Any) -> None:
            self.then.append((*devices, *(each.is_running for each in old)))

        self.pair.switch(microphone, speaker, then)


@pytest.fixture
def opened() -> Iterator[Opened]:
    opened = Opened()
    yield opened
    opened.pair.stop()
    opened.near_end.stop()


def test_both_take_over_and_that_is_told_once_before_the_old_ones_stop(opened: Opened) -> None:
    old: Any = opened.pair.microphone, opened.pair.speaker
    new = Microphone(RATE, name="one"), Speaker(2 * RATE, name="two")
    opened.switch(*new)
    assert (opened.pair.microphone, opened.pair.speaker) == new
    assert opened.then == [(*new, True, True)]
    assert [each.is_running for each in (*old, *new)] == [False, False, True, True]
    assert opened.told == [
        DeviceChanged(side="far_end", state="changed", name="two"),
        DeviceChanged(side="near_end", state="changed", name="one"),
    ]
    assert opened.pair.openings == 4


def test_where_one_does_not_open_none_takes_over(opened: Opened) -> None:
    pair = opened.pair
    old: Any = pair.microphone, pair.speaker
    new = Speaker(RATE)
    with pytest.raises(DeviceError, match="it is busy"):
        opened.switch(Refuses(RATE), new)
    assert (pair.microphone, pair.speaker) == old
    assert not new.is_running
    assert all(each.is_running for each in old)
    assert opened.told == opened.then == []


def test_to_switch_to_what_is_in_use_changes_nothing(opened: Opened) -> None:
    opened.switch(opened.pair.microphone, opened.pair.speaker)
    opened.switch()
    assert opened.told == opened.then == []
    assert opened.pair.openings == 2


def test_nothing_takes_over_once_they_are_stopped(opened: Opened) -> None:
    old: Any = opened.pair.microphone, opened.pair.speaker
    opened.pair.stop()
    new = Speaker(RATE)
    with pytest.raises(DeviceError, match="cannot be switched"):
        opened.switch(speaker=new)
    assert not any(each.is_running for each in (*old, new))
