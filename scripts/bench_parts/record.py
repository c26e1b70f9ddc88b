"""Record when the agent audio of a real call arrives, as a trace that ``replay`` reads.

The call is joined by the library's own transport and without devices: silence goes out in real
time, and of what comes in only the time and the length are kept, no sound and no word.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench_parts.server import BenchError
from bench_parts.traces import Arrival, Trace, dump
from retell_voice.audio.format import AudioFormat
from retell_voice.errors import mask
from retell_voice.protocol.messages import AgentAudio, Clear
from retell_voice.transport.ports import Closed, Connection
from retell_voice.transport.route import web_route

_FRAME_MS = 20
_HEARTBEAT = 5.0
_TIMEOUT = 10.0


def read_call_id(given: str) -> str:
    """Return the call_id; ``-`` stands for a line of standard input: it is a secret.

    Raises:
        BenchError: there is none.
    """
    if given == "-":
        if sys.stdin.isatty():
            from getpass import getpass  # noqa: PLC0415 - rarely needed

            given = getpass("call_id: ")
        else:
            given = sys.stdin.readline()
    if not given.strip():
        raise BenchError("no call to join: give the CALL_ID that register-call returned")
    return given.strip()


async def listen(
    url: str,
    call_id: str,
    audio: AudioFormat,
    seconds: float,
    arrivals: list[Arrival],
    tell: Callable[[str], None],
) -> Closed | None:
    """Join a call and note what arrives, until its end or for so many seconds.

    Args:
        url: prefix to which ``/{call_id}`` is appended.
        call_id: the call, a secret.
        audio: encoding and rate with which it was registered.
        seconds: after which to hang up.
        arrivals: where to note it, so that a cancelled recording is kept, too; ``at`` counts
            from the first.
        tell: takes a line about the first arrival.

    Returns:
        How the server or the network ended it; None if the time was up.

    Raises:
        RetellVoiceError: the call was not joined.
    """
    route = web_route(call_id, url=url, audio=audio, updates=False, connect_timeout=_TIMEOUT)
    connection = await route.connect(time.monotonic)
    joined = first = time.monotonic()
    saying = asyncio.create_task(_say_nothing(connection, audio))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for event in connection:
                    samples = None
                    if isinstance(event, AgentAudio) and event.data:
                        samples = len(event.data) // audio.sample_width
                    elif not isinstance(event, Clear):
                        continue
                    if not arrivals:
                        first = event.at
                        tell(f"the first arrived after {first - joined:.1f} s; Ctrl-C ends it")
                    arrivals.append(Arrival(event.at - first, samples))
    finally:
        saying.cancel()
        await connection.close()
    return connection.closed


async def _say_nothing(connection: Connection, audio: AudioFormat) -> None:
    """Send silence in real time, and the heartbeats of a call."""
    frame = audio.encode(np.zeros(audio.frame_samples(_FRAME_MS), np.int16))
    began, sent, next_ping = time.monotonic(), 0, 0.0
    while True:
        now = time.monotonic() - began
        if now >= next_ping:
            await connection.ping()
            next_ping += _HEARTBEAT
        connection.send_now(frame)
        sent += len(frame)
        due = began + sent / audio.sample_width / audio.rate
        await asyncio.sleep(max(0.0, due - time.monotonic()))


def describe(trace: Trace) -> str:
    """Return in a line what a trace holds."""
    pieces = [each.samples for each in trace.arrivals if each.samples is not None]
    times = [each.at for each in trace.arrivals]
    largest = max((later - at for at, later in pairwise(times)), default=0.0)
    return (
        f"{len(pieces)} pieces, {sum(pieces) / trace.rate:.1f} s of audio, "
        f"clears: {len(times) - len(pieces)}, largest gap {largest * 1e3:.0f} ms"
    )


def run(
    file: Path,
    call_id: str,
    url: str,
    audio: AudioFormat,
    *,
    seconds: float,
    comment: str,
    tell: Callable[[str], None],
) -> str:
    """Record a call into a new file, or the part of it before Ctrl-C; return a line about it.

    Raises:
        BenchError: nothing arrived. There is no file then.
        RetellVoiceError: the call was not joined; as above.
        OSError: the file is there already, or cannot be written.
    """
    arrivals: list[Arrival] = []
    with file.open("x") as out:  # before the call, which may be joined but once
        try:
            try:
                closed = asyncio.run(listen(url, call_id, audio, seconds, arrivals, tell))
                end = _closed_by(closed, seconds).replace(call_id, mask(call_id))
            except KeyboardInterrupt:
                end = "stopped"
            if not arrivals:
                raise BenchError(f"no agent audio arrived: {end}")
            trace = Trace(audio.rate, tuple(arrivals))
            made = f"recorded by: scripts/bench record, {datetime.now(UTC):%Y-%m-%d}"
            out.write(dump(trace, f"{comment}\n{made}, {audio.encoding}".strip()))
        except BaseException:
            file.unlink()
            raise
    return f"{file}: {describe(trace)}; {end}"


def _closed_by(closed: Closed | None, seconds: float) -> str:
    if closed is None:
        return f"hung up after {seconds:g} s"
    by = "the server hung up" if closed.by == "server" else "the connection broke"
    return " ".join(f"{by} ({closed.code} {closed.reason}".split()) + ")"
