"""Web calls on a machine that has no network but its own."""

import asyncio
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import aioice.ice
import numpy as np
import pytest
from support.speech import babble

from retell_voice.audio.opus import OpusEncoder
from retell_voice.emulator.gateway.peer import Peer as GatewayPeer
from retell_voice.transport.webrtc.media import Peer

LOCAL = ("--local", "--transport", "webrtc", "--no-updates")


async def test_both_ends_meet_where_no_address_but_loopback_is(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: [])
    silence = OpusEncoder(48000).encode(np.zeros(960, np.int16))
    ours = Peer(lambda *_: None, lambda _: None, lambda: None)
    gateway = GatewayPeer(lambda: silence, lambda *_: None, lambda _: None)
    try:
        async with asyncio.timeout(20):
            offer = await ours.offer()
            assert " 127.0.0.1 " in offer
            await ours.accept(await gateway.answer(offer))
            await ours.connected(15)
    finally:
        await ours.close()
        await gateway.close()


async def test_loopback_is_offered_only_where_there_is_nothing_else(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(aioice.ice, "get_host_addresses", lambda **_: ["127.0.0.2"])
    peer = Peer(lambda *_: None, lambda _: None, lambda: None)
    try:
        assert " 127.0.0.1 " not in await peer.offer()
    finally:
        await peer.close()


@pytest.mark.skipif(sys.platform != "linux", reason="network namespaces are Linux's")
def test_a_local_web_call_works_in_a_namespace_without_a_network(tmp_path: Path) -> None:
    alone = ["unshare", "--map-root-user", "--net"]
    if not shutil.which("unshare") or subprocess.run([*alone, "true"], check=False).returncode:
        pytest.skip("network namespaces are not to be had here")
    path = str(tmp_path / "said.wav")
    with wave.open(path, "wb") as said:
        said.setparams((1, 2, 16000, 0, "NONE", ""))
        said.writeframes(babble(0.8, 16000, pauses=False).tobytes())
    files = ("--input-file", path, "--output-file", "/dev/null")
    talk = [sys.executable, "-m", "retell_voice", "talk", *LOCAL, *files]
    up = 'PATH="$PATH:/usr/sbin:/sbin"; ip link set lo up && exec "$@"'
    result = subprocess.run(
        [*alone, "sh", "-c", up, "sh", *talk],
        capture_output=True,
        encoding="utf-8",
        timeout=60,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "packets received, none lost" in result.stdout
