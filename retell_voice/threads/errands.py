"""One thing after another, on a thread that exists only while there is something to do."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Errands:
    """Functions for at most one thread, in the order in which they come.

    Args:
        name: of the thread.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()
        self._waiting: deque[Callable[[], None]] = deque()
        self._is_running = False
        self._thread: threading.Thread | None = None

    def run(self, errand: Callable[[], None]) -> None:
        """Queue this behind everything already queued. Returns at once."""
        with self._lock:
            self._waiting.append(errand)
            if self._is_running:
                return
            self._thread = threading.Thread(target=self._run, name=self._name, daemon=True)
            with suppress(RuntimeError):  # the interpreter is ending
                self._thread.start()
                self._is_running = True

    def join(self, timeout: float) -> None:
        """Wait until there is nothing to do, for this many seconds at most."""
        with self._lock:
            thread = self._thread
        if thread is not None and thread.ident is not None:
            thread.join(timeout)

    def _run(self) -> None:
        while True:
            with self._lock:
                if not self._waiting:
                    self._is_running = False
                    return
                errand = self._waiting.popleft()
            errand()
