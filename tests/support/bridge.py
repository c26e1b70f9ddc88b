"""The other side of gates: where audio goes and comes from."""

import queue
import threading
import time

WAIT = 5.0
"""Seconds that a test waits for a thread."""


class Bridge:
    """Notices who is in it and whether it was ever entered by two at once."""

    def __init__(self) -> None:
        self.threads: queue.Queue[str] = queue.Queue()
        self.inside = 0
        self.met = False
        self.hold: threading.Event | None = None
        self.entered = threading.Event()

    def fill_rt(self, out, delay=0.0, xrun=False):
        self.inside += 1
        self.met = self.met or self.inside > 1
        self.entered.set()
        if self.hold is not None:
            self.hold.wait(WAIT)
        out[:] = 7
        self.threads.put(threading.current_thread().name)
        self.inside -= 1

    def rest_rt(self, *block):
        return False

    def write_rt(self, samples, delay=0.0, xrun=False):
        self.threads.put(threading.current_thread().name)

    def finished(self):
        self.threads.put("finished")

    def until(self, name: str) -> None:
        """Wait for a block by this thread; raises ``queue.Empty`` if none comes."""
        deadline = time.monotonic() + WAIT
        while self.threads.get(timeout=max(deadline - time.monotonic(), 0)) != name:
            pass
