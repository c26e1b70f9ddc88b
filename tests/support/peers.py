"""Voice servers in processes of their own, for phone calls: examples, and other people's software.

What is not installed is named by the reason for which a test is left out; ``scripts/peers``
installs it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
PEERS = Path(os.environ.get("RETELL_VOICE_PEERS") or ROOT / "build" / "peers")
PIPECAT = PEERS / "pipecat" / "bin" / "python"
NODE_MODULES = PEERS / "node" / "node_modules"


@contextmanager
def running(*command: str, more: Mapping[str, str] | None = None) -> Iterator[str]:
    """Run a server; its first line is the URL of its WebSocket."""
    with subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(more or {})},
    ) as server:
        assert server.stdout is not None
        try:
            url = server.stdout.readline().strip()
            assert url.startswith("ws://"), server.communicate(timeout=5)[1]
            yield url
        finally:
            server.kill()
            server.communicate()


def python_example(name: str) -> tuple[str, ...]:
    """Return the command of an example in Python, which takes any free port."""
    return sys.executable, str(ROOT / "examples" / f"{name}.py"), "--port", "0"


def node() -> str:
    """Return the path of Node; leaves the test out where it or a package is missing."""
    found = shutil.which("node")
    if found is None:
        pytest.skip("there is no node")
    if not (NODE_MODULES / "ws").exists():
        pytest.skip("node has no package ws: run scripts/peers")
    return found


def pipecat() -> str:
    """Return the path of a Python that has Pipecat; leaves the test out where there is none."""
    if not PIPECAT.exists():
        pytest.skip("there is no Pipecat: run scripts/peers")
    return str(PIPECAT)
