"""The network under a call is taken away by the kernel, in a namespace of its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from support.kiosk import KEY, a_kiosk, listens, soon

from retell_voice.emulator import Emulator
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.kiosk import held, placing
from retell_voice.kiosk.states import State

TESTS = Path(__file__).parent.parent


def network(state: str) -> None:
    """Set the only link that there is ``up`` or ``down``: what is sent is lost, and nobody told."""
    subprocess.run(["ip", "link", "set", "lo", state], check=True)


async def cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut a call that is up, and make another one; runs in the namespace."""
    monkeypatch.setattr(
        held, "Call", partial(Call, timing=Timing(heartbeat=0.1, silence_limit=0.4))
    )
    monkeypatch.setattr(placing, "_REACH_SECONDS", 0.3)
    async with (
        Emulator(agent=listens, api_key=KEY) as emulator,
        a_kiosk(monkeypatch, None, api_url=emulator.api_url) as kiosk,
    ):
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        network("down")
        account = await kiosk.ends()
        assert (account.result, account.ended_by) == ("cut off", "network")
        await kiosk.until(State.OFFLINE)
        kiosk.press()  # nobody waits for the next check
        await kiosk.until(State.DIALLING)
        network("up")
        await kiosk.until(State.IN_CALL)
        kiosk.press()
        assert (await kiosk.ends(2)).result == "over"
        await kiosk.until(State.IDLE)
        await soon(lambda: not emulator.sessions)


def can_unshare() -> bool:
    words = ["unshare", "-rn", "ip", "link", "set", "lo", "up"]
    return bool(
        shutil.which("ip")
        and shutil.which("unshare")
        and not subprocess.run(words, check=False, capture_output=True).returncode
    )


@pytest.mark.skipif(sys.platform != "linux", reason="namespaces are Linux's")
def test_a_call_whose_network_goes_away_under_it() -> None:
    if not can_unshare():
        pytest.skip("no network namespace may be made here")
    done = subprocess.run(
        ["unshare", "-rn", sys.executable, __file__],
        env={**os.environ, "PYTHONPATH": f"{TESTS}:{TESTS.parent}"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr


if __name__ == "__main__":
    network("up")
    with pytest.MonkeyPatch.context() as patching:
        asyncio.run(asyncio.wait_for(cut(patching), 50))
