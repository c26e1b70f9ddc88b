"""The three callers of a measured web call: the real program, Chromium, and the floor.

Each plays to a speaker of its own, and all hear one microphone.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import sys
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.chromium import Chromium, Page
from support.gateway import KEY

from bench_parts.figures import PATHS
from bench_parts.packet_gateway import MeasuredGateway
from bench_parts.process import cpu_seconds, family, memory
from bench_parts.server import BenchError

_PAGE = Path(__file__).with_name("packet_page.js")
_FLAGS = ("--disable-web-security", "--disable-features=AudioServiceSandbox")
_JOIN_TIMEOUT = 40.0
_END_TIMEOUT = 8.0


@dataclass(frozen=True)
class Figures:
    """What a program says of itself, so far; seconds.

    Attributes:
        concealed, played: by its jitter buffer.
        depth: how long the usual packet waits in it, now.
        gaps, latency: of its speaker.
    """

    concealed: float = 0.0
    played: float = 0.0
    depth: float = 0.0
    gaps: int = 0
    latency: float = 0.0


@dataclass
class Caller:
    """One program in a call.

    Attributes:
        pid: its first process.
        events: what ours has told, with the time at which it did (monotonic).
        started: when it was started (monotonic).
    """

    pid: int
    gateway: MeasuredGateway
    started: float
    page: Page | None = None
    process: asyncio.subprocess.Process | None = None
    events: list[tuple[float, dict[str, Any]]] = field(default_factory=list)
    pids: list[int] = field(default_factory=list)

    def look_around(self) -> None:
        """Find all its processes; to be repeated once it has more."""
        self.pids = family(self.pid)

    def cpu(self) -> float:
        """Return the processor seconds used so far, all processes."""
        return _sum(cpu_seconds, self.pids)

    def memory(self) -> float:
        """Return the proportional memory, MB, all processes. Takes a while of a core."""
        return _sum(memory, self.pids)

    def depths(self, begin: float) -> list[tuple[float, float]]:
        """Return how deep ours said its jitter buffer was: seconds from ``begin``, depth."""
        return [
            (at - begin, event["packets"]["delay"])
            for at, event in self.events
            if event.get("event") == "statistics"
        ]

    def statistics(self) -> dict[str, Any]:
        """Return ours' latest figures."""
        for _, event in reversed(self.events):
            if event.get("event") == "statistics":
                return event
            if isinstance(event.get("statistics"), dict):
                return dict(event["statistics"])
        return {}

    async def figures(self) -> Figures:
        """Return what it says of itself; nothing for one that says nothing."""
        if self.page is not None:
            found = await self.page.run("return figures()")
            return Figures(found["concealed"] / 48000, found["total"] / 48000)
        if found := self.statistics():
            return Figures(
                concealed=found["concealed"],
                played=found["at"],
                depth=found["packets"]["delay"],
                gaps=found["playback_xruns"],
                latency=found["playback_latency"] or 0.0,
            )
        return Figures()

    async def end(self) -> None:
        """Hang up, and wait for the program's last figures.

        Raises:
            BenchError: it does not end.
        """
        assert self.process is not None
        if self.process.returncode is None:
            # Not SIGINT: what a script runs in the background ignores that.
            self.process.send_signal(signal.SIGTERM)
        try:
            async with asyncio.timeout(_END_TIMEOUT):
                await self.process.wait()
        except TimeoutError:
            raise BenchError("the program does not hang up") from None


def _sum(figure: Any, pids: Sequence[int]) -> float:
    total = 0.0
    for pid in pids:
        with contextlib.suppress(OSError, ValueError):  # one that has just ended
            total += figure(pid)
    return total


@asynccontextmanager
async def ours(gateway: MeasuredGateway, env: Mapping[str, str]) -> AsyncIterator[Caller]:
    """Call with the real program, at its default settings."""
    command = ["-m", "retell_voice", "talk", "--agent", "agent_1", "--json", "--no-updates"]
    options = ["--api-url", gateway.url]
    async with _python([*command, *options], {**env, "RETELL_API_KEY": KEY}, gateway) as caller:
        yield caller


@asynccontextmanager
async def bare(gateway: MeasuredGateway, env: Mapping[str, str]) -> AsyncIterator[Caller]:
    """Call with nothing but aiortc and PortAudio."""
    script = str(Path(__file__).with_name("packet_bare.py"))
    arguments = [script, gateway.url, gateway.admission["call_id"]]
    async with _python(arguments, env, gateway) as caller:
        yield caller


@asynccontextmanager
async def chromium(gateway: MeasuredGateway, env: Mapping[str, str]) -> AsyncIterator[Caller]:
    """Call with a page in headless Chromium."""
    started = time.monotonic()
    async with Chromium(None, env=env, flags=_FLAGS) as browser:
        page = await browser.open()
        await page.run(
            "const tag = document.createElement('script'); tag.text = argument;"
            "document.body.append(tag);",
            _PAGE.read_text("utf-8"),
        )
        where = {"url": gateway.url, "id": gateway.admission["call_id"]}
        await page.run("await call(argument.url, argument.id)", where)
        await gateway.until_it_speaks(_JOIN_TIMEOUT)
        yield Caller(browser.pid, gateway, started, page=page)


@asynccontextmanager
async def _python(
    arguments: Sequence[str], env: Mapping[str, str], gateway: MeasuredGateway
) -> AsyncIterator[Caller]:
    clean = {k: v for k, v in env.items() if not k.startswith(("RETELL_VOICE_", "PYTHON"))}
    started = time.monotonic()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *arguments,
        env=clean | {"PYTHONPATH": PATHS, "XDG_CONFIG_HOME": "/nonexistent"},
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=1 << 24,
    )
    caller = Caller(process.pid, gateway, started, process=process)
    said = bytearray()
    readers = [
        asyncio.create_task(_read(process.stdout, caller)),
        asyncio.create_task(_keep(process.stderr, said)),
    ]
    try:
        await gateway.until_it_speaks(_JOIN_TIMEOUT)
        yield caller
    except BaseException as error:
        error.add_note(said.decode(errors="replace")[-800:])
        raise
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        await asyncio.gather(*readers, return_exceptions=True)


async def _read(stream: asyncio.StreamReader | None, caller: Caller) -> None:
    assert stream is not None
    async for line in stream:
        with contextlib.suppress(ValueError):
            event = json.loads(line)
            if event.get("event") != "levels":
                caller.events.append((time.monotonic(), event))


async def _keep(stream: asyncio.StreamReader | None, said: bytearray) -> None:
    assert stream is not None
    async for line in stream:
        said.extend(line)
