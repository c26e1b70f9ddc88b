"""Installs releases of Retell's SDK side by side, and lets each visit an emulator."""

from __future__ import annotations

import asyncio
import json
import sys
from dataclasses import dataclass
from pathlib import Path

from websockets.asyncio.client import connect

from retell_voice.emulator import Emulator, Session
from retell_voice.events import Utterance, Word

RELEASES = (
    *("3.0.0", "3.6.0", "3.10.0", "3.20.0", "4.0.0", "4.10.0", "4.22.0", "4.40.0", "4.65.0"),
    *("5.0.0", "5.20.0", "5.40.0", "5.66.1", "6.0.0", "6.2.0", "6.2.13"),
)
"""From the first that its makers generated to today's; those before had another name."""

SEED = ("3.6.0", "4.22.0", "5.20.0")
"""Those that the tests try: a client of the endpoint's own time, and of the two years after it."""

_KEY = "key_of_the_sdk_matrix"
_VISIT = Path(__file__).with_name("visit.py")


@dataclass(frozen=True)
class Row:
    """What became of a release.

    Attributes:
        version: of the SDK.
        done: what it did.
        wrong: what went wrong, a line each.
    """

    version: str
    done: tuple[str, ...]
    wrong: tuple[str, ...]


async def install(version: str, folder: Path) -> Path:
    """Install a release into a folder of its own, if it is not there; return that folder.

    Without what it depends on: that is what is installed already.

    Raises:
        RuntimeError: pip did not.
    """
    target = folder / version
    if not (target / "retell" / "__init__.py").exists():
        command = ("-m", "pip", "install", "--quiet", "--no-deps", "--target", str(target))
        pip = await asyncio.create_subprocess_exec(
            *(sys.executable, *command, f"retell-sdk=={version}"),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
        )
        _, errors = await pip.communicate()
        if pip.returncode:
            raise RuntimeError(f"retell-sdk {version}: {errors.decode()[-300:]}")
    return target


async def visited(folder: Path) -> Row:
    """Let the release in a folder visit an emulator of its own."""
    async with Emulator(agent=_greeting, api_key=_KEY) as emulator:
        call = emulator.register(agent_id="agent_2")
        async with connect(f"{emulator.url}/{call.call_id}") as websocket:
            await websocket.wait_closed()
        await call.wait()
        visit = await asyncio.create_subprocess_exec(
            *(sys.executable, str(_VISIT), str(folder), emulator.api_url, _KEY, call.call_id),
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, errors = await visit.communicate()
    if visit.returncode:
        return Row(folder.name, (), (f"it crashed: {errors.decode()[-600:]}",))
    body = json.loads(out)
    return Row(body["version"], tuple(body["done"]), tuple(body["wrong"]))


async def _greeting(session: Session) -> None:
    said = Utterance("agent", "Hi", (Word("Hi", 0.0, 0.5),)), Utterance("user", "Hello")
    session.call.measure("e2e", 700.0)
    await session.update(said)
