"""A USB button, keyboard or speakerphone, read from its event device: no dependency.

::

    struct input_event { struct timeval time; __u16 type; __u16 code; __s32 value; }

In native sizes: the kernel's longs are this machine's.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from retell_voice.kiosk.ports import (
    Part,
    PartFailed,
    Surroundings,
    TriggerEvent,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.triggers.presses import Edge, Presses
from retell_voice.kiosk.triggers.reading import Reading
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import KEYS, Key

EVENT = struct.Struct("llHHi")
EV_SYN, EV_KEY, SYN_DROPPED = 0, 1, 3
UP, DOWN = 0, 1  # 2: it repeats, as it is held
EVIOCGRAB = 0x40044590
_MUTES = (KEYS["mute"], KEYS["micmute"])
_VOLUME = {KEYS["volumeup"]: 10, KEYS["volumedown"]: -10}
_OWN = {*_MUTES, *_VOLUME}
_BUFFER = 64 * EVENT.size


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the input device that the settings want, if any."""
    if settings.input_device.value is not None:
        yield InputDevice(
            Path(settings.input_device.value),
            settings.input_key.value,
            surroundings,
            long=settings.long_press.value,
        )


@dataclass(frozen=True, slots=True)
class KeyEvent:
    """A key went down or came up, or is repeated; or events were lost (``code`` 0).

    Attributes:
        code: the key's.
        value: ``UP``, ``DOWN``, or 2.
        at: seconds.
    """

    code: int
    value: int
    at: float


class Decoder:
    """Makes events of bytes, which may come in pieces."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> Iterator[KeyEvent]:
        """Take the next bytes; yield events of keys."""
        data = self._rest + data
        whole = len(data) - len(data) % EVENT.size
        self._rest = data[whole:]
        for seconds, micros, kind, code, value in EVENT.iter_unpack(data[:whole]):
            if kind == EV_KEY:
                yield KeyEvent(code, value, seconds + micros / 1e6)
            elif (kind, code) == (EV_SYN, SYN_DROPPED):
                yield KeyEvent(0, UP, seconds + micros / 1e6)


class Meanings:
    """What keys mean. One of those that call counts at a time: the first that went down.

    Args:
        key: the one that calls.
        source: name of the device.
    """

    def __init__(self, key: Key, source: str) -> None:
        self._key = key
        self._source = source
        self._down: int | None = None

    def of(self, event: KeyEvent) -> Edge | TriggerEvent | None:
        """Return what an event means, if anything."""
        code = event.code
        if code == 0:  # events were lost, that it came up perhaps
            return self._let_go(event.at)
        if code in _OWN and code != self._key.code:
            return self._own(code, event.value)
        if self._key.code not in (None, code):
            return None
        if event.value == DOWN and self._down is None:
            self._down = code
            return Edge(True, event.at)
        return self._let_go(event.at) if event.value == UP and self._down == code else None

    def _let_go(self, at: float) -> Edge | None:
        before, self._down = self._down, None
        return None if before is None else Edge(False, at)

    def _own(self, code: int, value: int) -> TriggerEvent | None:
        """Return what is written on a key of a speakerphone."""
        if code in _MUTES:
            return WantsMute(self._source) if value == DOWN else None
        if value == UP:
            return None
        return WantsVolume(self._source, _VOLUME[code], relative=True)


def grab(fd: int) -> None:
    """Let no other program have its keys; a console would take them for typing.

    A named pipe, in which a program plays a device, is ours anyway.

    Raises:
        OSError: it is no event device, or another program has grabbed it.
    """
    if stat.S_ISFIFO(os.fstat(fd).st_mode):
        return
    import fcntl  # noqa: PLC0415 - no other system has it

    fcntl.ioctl(fd, EVIOCGRAB, 1)


class InputDevice:
    """A trigger.

    Args:
        path: of its event device.
        key: the one that calls.
        surroundings: its kiosk.
        long: seconds for which a long press is held.
        grab: makes it ours alone; raises ``OSError``.
    """

    def __init__(
        self,
        path: Path,
        key: Key,
        surroundings: Surroundings,
        *,
        long: float,
        grab: Callable[[int], None] = grab,
    ) -> None:
        self.name = f"input device {path.name}"
        self._path = path
        self._key = key
        self._presses = Presses(self.name, long)
        self._surroundings = surroundings
        self._grab = grab
        self._fd = -1
        self._decoder = Decoder()
        self._meanings = Meanings(key, self.name)
        self._reading: Reading | None = None

    async def __aenter__(self) -> Self:
        try:
            self._fd = os.open(self._path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
            self._grab(self._fd)
        except OSError as error:
            self._close()
            raise _failed(self.name, error) from None
        self._decoder, self._meanings = Decoder(), Meanings(self._key, self.name)
        self._presses.forget()
        self._reading = Reading(self._fd, self._read, self._presses, self._surroundings)
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._reading is not None:
            self._reading.stop()
            self._reading = None
        self._close()

    def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        if self._reading is None:
            raise PartFailed(f"{self.name} is not open")
        return self._reading.happenings()

    def _read(self) -> list[Edge | TriggerEvent]:
        try:
            data = os.read(self._fd, _BUFFER)
        except BlockingIOError:
            raise
        except OSError as error:
            raise _failed(self.name, error) from None
        if not data:
            raise PartFailed(f"{self.name} has been closed")
        meant = [self._meanings.of(event) for event in self._decoder.feed(data)]
        return [each for each in meant if each is not None]

    def _close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)  # which gives the keys back as well
            self._fd = -1


def _failed(name: str, error: OSError) -> PartFailed:
    says, hint = {
        errno.ENOENT: ("is not plugged in", "ls /dev/input/by-id lists those that are"),
        errno.ENODEV: ("was unplugged", ""),
        errno.EACCES: ("we may not read it", "the user must be in the group input"),
        errno.EBUSY: ("another program has grabbed it", "end that"),
        errno.ENOTTY: ("is no event device", "take one whose name ends in -event-kbd"),
        errno.EINVAL: ("is no event device", "take one whose name ends in -event-kbd"),
    }.get(error.errno or 0, (error.strerror or str(error), ""))
    return PartFailed(f"{name}: {says}", hint)
