"""Voice servers in processes of their own, for phone calls: examples, and other people's software.

What is not installed is named by the reason for which a test is left out; ``scripts/peers``
installs it.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from support.needed import missing, needed

ROOT = Path(__file__).parent.parent.parent
PEERS = Path(os.environ.get("RETELL_VOICE_PEERS") or ROOT / "build" / "peers")
PIPECAT = PEERS / "python{}.{}".format(*sys.version_info)
_NODE_MODULES = (PEERS / "node" / "node_modules", Path("/usr/share/nodejs"))


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


@contextmanager
def node_running(*command: str) -> Iterator[str]:
    """Run a server on Node with the package ws."""
    folder = next((each for each in _NODE_MODULES if (each / "ws").exists()), None)
    if folder is None:
        missing("node has no package ws: run scripts/peers")
    with running(needed("node", "nodejs"), *command, more={"NODE_PATH": str(folder)}) as url:
        yield url


@contextmanager
def pipecat_running(*command: str) -> Iterator[str]:
    """Run a server that uses Pipecat."""
    if not PIPECAT.exists():
        missing("there is no Pipecat: run scripts/peers")
    with running(sys.executable, *command, more={"PYTHONPATH": str(PIPECAT)}) as url:
        yield url
