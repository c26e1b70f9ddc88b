"""A kiosk in this process: no network, a key that is refused, a server that fails; and after it."""

from __future__ import annotations

import asyncio
from functools import partial
from pathlib import Path

import pytest
from support.cable import Cable
from support.kiosk import KEY, a_kiosk, listens, soon

from retell_voice.emulator import Emulator
from retell_voice.engine.call import Call
from retell_voice.engine.timing import Timing
from retell_voice.kiosk import held, placing
from retell_voice.kiosk.sounds import Sounds
from retell_voice.kiosk.states import Say, State

QUICK = Timing(heartbeat=0.1, silence_limit=0.4)


async def test_no_network_at_boot_is_waited_for(
    monkeypatch: pytest.MonkeyPatch, unused_tcp_port: int
) -> None:
    async with a_kiosk(monkeypatch, api_url=f"http://127.0.0.1:{unused_tcp_port}") as kiosk:
        look = await kiosk.until(State.OFFLINE)
        assert "refused the connection" in look.why
        kiosk.press()  # is tried at once
        account = await kiosk.ends()
        assert account.result == "cut off"
        await kiosk.until(State.OFFLINE)
        async with Emulator(agent=listens, port=unused_tcp_port):
            await kiosk.until(State.IDLE)
            assert kiosk.look.why == ""
            kiosk.press()
            await kiosk.until(State.IN_CALL)
        assert (await kiosk.ends(2)).ended_by == "server"


async def test_a_revoked_key_is_a_fault_until_there_is_another(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "key"
    file.write_text("key_of_someone_else\n")
    file.chmod(0o600)
    async with a_kiosk(monkeypatch, listens, api_key_file=str(file)) as kiosk:
        look = await kiosk.until(State.FAULTED)
        assert "does not accept the API key" in look.why
        assert "someone" not in repr(kiosk.seen.all_looks)
        kiosk.press()
        assert (await kiosk.ends()).result == "refused"
        await kiosk.until(State.FAULTED)
        file.write_text(KEY)
        await kiosk.until(State.IDLE)


@pytest.mark.parametrize(
    ("status", "retry_after", "state"),
    [(503, None, State.OFFLINE), (429, 1.0, State.OFFLINE), (402, None, State.FAULTED)],
)
async def test_what_a_server_answers_leads_where_it_belongs(
    monkeypatch: pytest.MonkeyPatch, status: int, retry_after: float | None, state: State
) -> None:
    monkeypatch.setattr("retell_voice.rest.api._PAUSES", (0.001, 0.001))
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.emulator.refuse(status, 3, retry_after)
        loop = asyncio.get_running_loop()
        began = loop.time()
        kiosk.press()
        await kiosk.until(state)
        await kiosk.until(State.IDLE)
        if status == 429:
            assert loop.time() - began >= 1.0, "it asks when it may"


async def test_a_server_that_fails_ends_the_call(monkeypatch: pytest.MonkeyPatch) -> None:
    async with a_kiosk(monkeypatch, listens) as kiosk:
        await kiosk.until(State.IDLE)
        kiosk.press()
        await kiosk.until(State.IN_CALL)
        for session in kiosk.emulator.sessions:
            await session.close(1011, "gone", "error_retell")
        account = await kiosk.ends()
        assert (account.result, account.ended_by) == ("cut off", "server")
        await kiosk.until(State.IDLE)


@pytest.mark.parametrize("is_told", [True, False])
async def test_a_call_whose_network_is_lost_and_the_next_one(
    monkeypatch: pytest.MonkeyPatch, is_told: bool
) -> None:
    """The connection is reset; or nothing comes any more, as behind a router without power."""
    monkeypatch.setattr(held, "Call", partial(Call, timing=QUICK))
    monkeypatch.setattr(placing, "_REACH_SECONDS", 0.3)
    said: list[Say] = []
    monkeypatch.setattr(Sounds, "say", lambda _, say: said.append(say))
    async with Emulator(agent=listens, api_key=KEY) as emulator, Cable(emulator.api_url) as cable:
        websocket = f"ws{cable.url.removeprefix('http')}/audio-websocket"
        async with a_kiosk(monkeypatch, None, api_url=cable.url, url=websocket) as kiosk:
            await kiosk.until(State.IDLE)
            kiosk.press()
            await kiosk.until(State.IN_CALL)
            cable.pull()
            if is_told:
                cable.reset()
            account = await kiosk.ends()
            assert (account.result, account.ended_by) == ("cut off", "network")
            assert kiosk.look.state.value == "offline"
            assert said[-1] is Say.OFFLINE
            kiosk.press()  # nobody waits for the next check
            assert kiosk.look.state.value == "dialling"
            cable.plug()
            await kiosk.until(State.IN_CALL)
            kiosk.press()
            assert (await kiosk.ends(2)).result == "over"
            await kiosk.until(State.IDLE)
            await soon(lambda: not emulator.sessions)
