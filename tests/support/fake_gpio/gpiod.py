"""Stands in for gpiod in a program under test: lines are files in the directory FAKE_GPIO.

A line that is read is a named pipe, two bytes an edge: ``1`` or ``0``, and anything. A line that is
driven is a file to which each value is added. What is asked of the lines is in ``asked``.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

DIRECTORY = Path(os.environ["FAKE_GPIO"])


class line:  # a module of gpiod's
    Edge = Enum("Edge", "BOTH")
    Bias = Enum("Bias", "PULL_UP PULL_DOWN")
    Direction = Enum("Direction", "OUTPUT")
    Value = Enum("Value", "ACTIVE INACTIVE")


@dataclass
class LineSettings:
    edge_detection: Any = None
    bias: Any = None
    active_low: bool = False
    debounce_period: Any = None
    direction: Any = None
    output_value: Any = None


@dataclass
class EdgeEvent:
    Type = Enum("Type", "RISING_EDGE FALLING_EDGE")
    event_type: Any
    timestamp_ns: int


class LineRequest:
    def __init__(self, lines: dict[int, LineSettings]) -> None:
        ((self._offset, settings),) = lines.items()
        self._path = DIRECTORY / f"GPIO{self._offset}"
        self.fd = -1
        if settings.edge_detection is not None:
            self.fd = os.open(self._path, os.O_RDWR | os.O_NONBLOCK)
        with (DIRECTORY / "asked").open("a") as asked:
            asked.write(f"{self._offset} {settings}\n")

    def read_edge_events(self) -> list[EdgeEvent]:
        kinds = EdgeEvent.Type
        told = os.read(self.fd, 100)[::2]
        return [
            EdgeEvent(
                kinds.RISING_EDGE if each == ord("1") else kinds.FALLING_EDGE, time.monotonic_ns()
            )
            for each in told
        ]

    def set_value(self, offset: int, value: Any) -> None:
        with self._path.open("a") as file:
            file.write("1" if value is line.Value.ACTIVE else "0")

    def release(self) -> None:
        if self.fd >= 0:
            os.close(self.fd)


def request_lines(path: str, consumer: str, config: dict[int, LineSettings]) -> LineRequest:
    if not DIRECTORY.exists():
        raise FileNotFoundError(2, "No such file or directory")
    return LineRequest(config)
