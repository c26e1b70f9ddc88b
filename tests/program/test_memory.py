"""Memory that is shared by all threads, and given back after each call."""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import weakref
from pathlib import Path
from typing import Any

import pytest
from support.heaps import heaps_of_threads, needs_them
from support.program import Talk

from retell_voice.emulator.recordings import CALLER
from retell_voice.program.memory import tidy

THREADS = """
import ctypes, sys, threading
from retell_voice.program.memory import share_one_heap

if "share" in sys.argv:
    share_one_heap()
here = ctypes.CDLL(None)
here.malloc.restype = ctypes.c_void_p
places = []
barrier = threading.Barrier(4)

def take():
    barrier.wait()
    places.append(here.malloc(ctypes.c_size_t(5000)) >> 26)

threads = [threading.Thread(target=take) for _ in range(4)]
for each in threads:
    each.start()
for each in threads:
    each.join()
brk = here.malloc(ctypes.c_size_t(5000)) >> 26
print(sum(abs(place - brk) > 1 for place in places))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc's")
def test_threads_share_one_heap() -> None:
    done = [
        subprocess.run(
            [sys.executable, "-c", THREADS, *more], capture_output=True, text=True, check=True
        ).stdout
        for more in ([], ["share"])
    ]
    assert done[1] == "0\n"
    assert done[0] != "0\n", "or there is nothing to test"


@needs_them
async def test_a_call_has_one_heap(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("RETELL_")}
    env = {**kept, "HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path)}
    files = ("--input-file", str(CALLER), "--output-file", str(tmp_path / "heard.wav"))
    async with Talk("--local", *files, env=env) as talk:
        await talk.until("agent_started")
        assert heaps_of_threads(talk.pid) == []


class Left:
    """Something that a call has left."""

    itself: Any = None


def test_tidying_ends_what_only_refers_to_itself() -> None:
    gc.disable()
    try:
        left = Left()
        left.itself = left
        there = weakref.ref(left)
        del left
        assert there() is not None
        tidy()
        assert there() is None
    finally:
        gc.enable()
