"""A command loads what it needs: seen by starting it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).parent.parent / "retell_voice"


def test_talk_loads_what_a_call_over_a_websocket_needs_and_nothing_else() -> None:
    code = (
        "import atexit, sys; atexit.register(lambda: print('loaded', *sys.modules));"
        "from retell_voice.cli import main; main()"
    )
    rooms = """rest kiosk emulator doctor report swarm transport.phone transport.webrtc
        settings.sections settings.config_file settings.tables.kiosk settings.tables.emulator
        cli.commands cli.account_commands cli.live cli.controls cli.keys audio.opus
        audio.packets.packet_playout devices.streams.packet_far_end devices.portaudio.devices"""
    libraries = {"pydantic", "rich", "sounddevice", "aiortc", "av", "retell", "h11", "tomllib"}
    unwanted = libraries | {f"retell_voice.{room}" for room in rooms.split()}
    env = {name: value for name, value in os.environ.items() if not name.startswith("RETELL_")}
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        url = f"ws://127.0.0.1:{nobody.getsockname()[1]}"
        caller = str(PACKAGE / "emulator" / "recordings" / "caller.wav")
        files = ("--input-file", caller, "--output-file", os.devnull)
        run = subprocess.run(
            [sys.executable, "-c", code, "talk", "--plain", "--url", url, *files, "call_1"],
            check=False,
            env=env | {"XDG_CONFIG_HOME": "/nonexistent"},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert run.returncode == 4, run.stderr  # it has come as far as a connection
    loaded = set(run.stdout.rpartition("loaded ")[2].split())
    assert "websockets" in loaded
    assert unwanted & loaded == set()
