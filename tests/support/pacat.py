"""A program that speaks into a virtual card, as long as it is wanted."""

from __future__ import annotations

import contextlib
import subprocess
import threading
from abc import ABC, abstractmethod
from typing import IO, Self

from support.card import VirtualCard


class Pacat(ABC):
    """Writes audio into a sink without an end, from a thread of its own; a context manager.

    Args:
        card: whose sink.
        sink: its name; ``micfeed`` is what the card's microphone hears.
        rate: samples a second, mono int16.
        latency_ms: what ``pacat`` asks the sound server for.
    """

    def __init__(self, card: VirtualCard, sink: str, rate: int, latency_ms: int) -> None:
        words = ["--raw", "--format=s16ne", "--channels=1", f"--rate={rate}"]
        self._pacat = subprocess.Popen(
            ["pacat", *words, f"--latency-msec={latency_ms}", "-d", sink],
            env=card.env,
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
        )
        card.let_ahead(self._pacat.pid)
        self.is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.is_over = True
        self._thread.join(5.0)
        self._pacat.terminate()
        with self._pacat:  # waits, and closes the pipe
            pass

    def _run(self) -> None:
        assert self._pacat.stdin is not None
        with contextlib.suppress(OSError):  # the card has ended
            self.speak(self._pacat.stdin)

    @abstractmethod
    def speak(self, pipe: IO[bytes]) -> None:
        """Write to ``pacat`` until ``is_over``. Runs on: its thread."""
