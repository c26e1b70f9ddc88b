"""A call in a process whose other threads want the interpreter; ``gil`` measures it.

    python scripts/bench_parts/busy.py URL RATE

A line on standard input says what they do from now on: ``threads N`` (as many compute, in
Python) or ``hold MS`` (one holds the interpreter's lock for so long at a time, within a call
into C, and then sleeps as long). ``threads 0`` ends it. Prints what the call tells of latency as
JSON: seconds under ``far_end`` (the speaker) or ``near_end`` (the microphone), with ``clock``, the
time by ``time.monotonic()``; a change has ``side`` and ``why``, too.
"""

from __future__ import annotations

import asyncio
import ctypes
import json
import sys
import threading
import time
from typing import Any

from retell_voice import AudioFormat, Call, LatencyChanged, Statistics
from retell_voice.events import Event


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


def told(event: Event) -> dict[str, Any] | None:
    """Return what an event tells of latency, or None."""
    match event:
        case LatencyChanged(side=side, why=why, new=new):
            return {"side": side, "why": why, side: new}
        case Statistics():
            return {"far_end": event.playback_latency, "near_end": event.capture_latency}
    return None


async def run(url: str, rate: int) -> None:
    """Hold a call until the server closes it."""
    audio = AudioFormat(rate=rate)
    async with Call("call_of_the_bench", url=url, audio=audio, echo="off") as call:
        async for event in call:
            latency = told(event)
            if latency is not None:
                print(json.dumps({"clock": time.monotonic(), **latency}), flush=True)


if __name__ == "__main__":
    sys.setswitchinterval(0.0005)  # as the programs do
    threading.Thread(target=_obey, args=(Load(),), daemon=True).start()
    asyncio.run(run(sys.argv[1], int(sys.argv[2])))
