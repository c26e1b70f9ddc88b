"""A call in a process whose other threads want the interpreter; ``gil`` measures it.

    python scripts/bench_parts/busy.py URL

A line on standard input says what they do from now on: ``threads N`` (as many compute, in
Python) or ``hold MS`` (one holds the interpreter's lock for so long at a time, within a call
into C, and then sleeps as long). ``threads 0`` ends it. Prints what the call tells of latency as
JSON, with ``clock``: the time by ``time.monotonic()``.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import sys
import threading
import time

from retell_voice import AudioFormat, Call, LatencyChanged, Statistics


class Load:
    """Threads that are busy; another one takes their place with every line."""

    def __init__(self) -> None:
        self._round = 0

    def change(self, kind: str, amount: int) -> None:
        """Do something else from now on."""
        self._round += 1
        work = self._hold if kind == "hold" else self._compute
        for _ in range(1 if kind == "hold" else amount):
            threading.Thread(target=work, args=(self._round, amount), daemon=True).start()

    def _compute(self, number: int, _: int) -> None:
        total = 0
        while self._round == number:
            total = (total * 31 + 7) % 1_000_003

    def _hold(self, number: int, milliseconds: int) -> None:
        keeps_the_lock = ctypes.PyDLL(None)
        while self._round == number:
            keeps_the_lock.usleep(milliseconds * 1000)
            time.sleep(milliseconds / 1000)


def _obey(load: Load) -> None:
    for line in sys.stdin:
        kind, amount = line.split()
        load.change(kind, int(amount))


async def run(url: str, rate: int) -> None:
    """Hold a call until the server closes it."""
    async with Call("call_of_the_bench", url=url, audio=AudioFormat(rate=rate)) as call:
        async for event in call:
            latency = None
            if isinstance(event, LatencyChanged):
                latency = {"side": event.side, "why": event.why, "new": event.new}
            elif isinstance(event, Statistics):
                latency = {"far_end": event.playback_latency}
            if latency is not None:
                print(json.dumps({"clock": time.monotonic(), **latency}), flush=True)


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)  # as the programs do
    threading.Thread(target=_obey, args=(Load(),), daemon=True).start()
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
