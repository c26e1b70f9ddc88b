"""The real program, from outside: its control socket, systemd's socket, signals, its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from support.heaps import heaps_of_threads
from support.kiosk import KEY, LONG, KioskProgram, listens, settings, soon

from retell_voice.emulator import Emulator, ParrotSettings, parrot_agent
from retell_voice.errors import ConfigError
from retell_voice.kiosk.notify import Notifier
from retell_voice.kiosk.program import _Program, run


def calls(emulator: Emulator) -> tuple[str, ...]:
    return ("--agent", "parrot", "--api-url", emulator.api_url)


class Systemd:
    """Takes what a service tells systemd."""

    def __init__(self, path: Path) -> None:
        self.lines: list[str] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(str(path))
        self._socket.setblocking(False)

    def __enter__(self) -> Systemd:
        asyncio.get_running_loop().add_reader(self._socket, self._take)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._socket)
        self._socket.close()

    def _take(self) -> None:
        self.lines += self._socket.recv(4096).decode().split("\n")


async def command(program: KioskProgram, *arguments: str) -> tuple[int, str, str]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "kiosk", *arguments),
        *("--socket", str(program.socket)),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await asyncio.wait_for(process.communicate(), LONG)
    return process.returncode or 0, out.decode(), err.decode()


async def test_from_its_start_to_its_end(tmp_path: Path) -> None:
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "900000"}
    history = ("--history", str(tmp_path / "calls.sqlite"))
    async with Emulator(agent=parrot_agent(ParrotSettings()), api_key=KEY) as emulator:
        with Systemd(tmp_path / "notify") as systemd:
            async with KioskProgram(tmp_path, *calls(emulator), *history, env=environment) as kiosk:
                control = await kiosk.connect()
                assert kiosk.socket.stat().st_mode & 0o777 == 0o660
                at = await kiosk.until("idle")
                assert (await control.do("press"))["state"] == "dialling"
                at = await kiosk.told(lambda message: bool(message.get("speaking")), at)
                assert (await control.do("mute", on=True))["ok"]
                at = await kiosk.told(lambda message: bool(message.get("muted")), at)
                refused = await control.do("volume", percent=1000)
                assert not refused["ok"]
                said = (await command(kiosk, "status"))[1]
                assert said.startswith("state       in call, muted")
                assert "\nup          0 min, version" in said
                assert await command(kiosk, "mute", "--off") == (0, "not muted\n", "")
                assert await command(kiosk, "mute") == (0, "muted\n", "")
                assert await command(kiosk, "volume", "+10") == (0, "volume 110 %\n", "")
                code, said, _ = await command(kiosk, "hang-up")
                assert (code, said) == (0, "wrapping up\n")
                at = await kiosk.told(lambda message: message["event"] == "call_ended", at)
                assert kiosk.messages[at - 1]["ended_by"] == "you"
                kept = (await control.do("history"))["calls"]
                assert [each["source"] for each in kept] == ["control"]
                assert "call by control: connected after" in (await command(kiosk, "logs"))[1]

                at = await kiosk.until("idle", at)
                await control.do("call")
                await kiosk.until("in call", at)
                assert len(emulator.sessions) == 1
                assert await kiosk.end() == 0, "SIGTERM hangs up"
                assert not emulator.sessions
                assert not kiosk.socket.exists()
    lines = systemd.lines
    assert lines.index("READY=1") < lines.index("WATCHDOG=1") < lines.index("STOPPING=1")
    assert "STATUS=in call, muted" in lines
    assert KEY not in kiosk.errors
    assert "Traceback" not in kiosk.errors


async def test_after_a_kill_it_begins_anew_and_two_do_not_run_at_a_time(tmp_path: Path) -> None:
    async with Emulator(agent=listens) as emulator:
        async with KioskProgram(tmp_path, *calls(emulator)) as kiosk:
            control = await kiosk.connect()
            await kiosk.until("idle")
            await control.do("call")
            await kiosk.until("in call")
            async with KioskProgram(tmp_path, *calls(emulator)) as second:
                assert await second.wait() == 2
                assert "a kiosk is already running" in second.errors
            kiosk.process.kill()
            assert await kiosk.wait() == -signal.SIGKILL
        assert kiosk.socket.exists()
        async with KioskProgram(tmp_path, *calls(emulator)) as kiosk:
            await kiosk.connect()
            await kiosk.until("idle")
            assert await kiosk.end(signal.SIGINT) == 0
        code, _, errors = await command(kiosk, "status")
        assert (code, "there is no kiosk at" in errors) == (4, True)


async def test_a_history_that_cannot_be_written_is_told_of_by_start_and_logs(
    tmp_path: Path,
) -> None:
    (history := tmp_path / "calls.sqlite").mkdir()
    async with Emulator(agent=listens) as emulator:
        options = (*calls(emulator), "--history", str(history))
        async with KioskProgram(tmp_path, *options) as kiosk:
            await kiosk.connect()
            await kiosk.until("idle")
            code, out, errors = await command(kiosk, "logs")
            assert (code, out) == (2, "")
            assert f"does not keep its calls: {history}: Is a directory" in errors
            assert await kiosk.end() == 0
    assert kiosk.errors.count(f"WARNING figures of calls are not kept: {history}: Is a") == 1


@pytest.mark.parametrize(
    ("option", "other"),
    [
        (("--input-loop",), "--input-file"),
        (("--output-format", "wav:8000"), "--output-file"),
        (("--record-minutes", "3"), "--record"),
    ],
    ids=lambda each: each[0] if isinstance(each, tuple) else "",
)
async def test_an_option_that_does_nothing_alone_is_refused(
    tmp_path: Path, option: tuple[str, ...], other: str
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "retell_voice", "kiosk", "run", *option),
        cwd=tmp_path,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await asyncio.wait_for(process.communicate(), LONG)
    assert process.returncode == 2
    assert f"{option[0]} goes with {other}\n  alone it does nothing" in errors.decode()


async def test_settings_are_read_anew_and_the_call_goes_on(tmp_path: Path) -> None:
    async with Emulator(agent=listens) as emulator:
        config = tmp_path / "kiosk.toml"
        text = f'agent = "parrot"\napi_url = "{emulator.api_url}"\n'
        config.write_text(f"{text}[kiosk]\nmax_minutes = 20\n")
        async with KioskProgram(tmp_path, "--config", str(config)) as kiosk:
            control = await kiosk.connect()
            at = await kiosk.until("idle")
            await control.do("call")
            at = await kiosk.until("in call", at)
            config.write_text(f"{text}volume = 40\n[kiosk]\nmax_minutes = 0.01\n")
            kiosk.process.send_signal(signal.SIGHUP)
            at = await kiosk.told(lambda message: message.get("volume") == 40, at)
            assert kiosk.messages[at - 1]["state"] == "in call"
            config.write_text("volume = 4000\n")
            answer = await control.do("reload")
            assert (answer["ok"], "outside 0–200" in answer["error"]) == (False, True)
            await control.do("hang-up")
            at = await kiosk.until("idle", at)
            await control.do("call")  # of the new length
            await kiosk.told(lambda message: message["event"] == "call_ended", at)


async def test_tcp_wants_a_token_and_metrics_are_served(
    tmp_path: Path, unused_tcp_port_factory: pytest.FixtureRequest
) -> None:
    ports = [unused_tcp_port_factory(), unused_tcp_port_factory()]  # type: ignore[operator]
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "retell-control-token").write_text("a good token\n")
    (credentials / "retell-api-key").write_text(KEY)
    listening = ("--listen", f"127.0.0.1:{ports[0]}", "--metrics", f"127.0.0.1:{ports[1]}")
    environment = {"CREDENTIALS_DIRECTORY": str(credentials), "RETELL_API_KEY": ""}
    async with (
        Emulator(agent=listens, api_key=KEY) as emulator,
        KioskProgram(tmp_path, *calls(emulator), *listening, env=environment) as kiosk,
    ):
        await kiosk.connect()
        await kiosk.until("idle")
        for token, event in (("a bad token", None), ("a good token", "status")):
            reader, writer = await asyncio.open_connection("127.0.0.1", ports[0])
            writer.write(json.dumps({"token": token}).encode() + b"\n")
            assert json.loads(await reader.readline()).get("event") == event
            writer.close()
            await writer.wait_closed()
        url = f"http://127.0.0.1:{ports[1]}/metrics"
        served = await asyncio.to_thread(lambda: urllib.request.urlopen(url).read().decode())
        assert 'retell_voice_kiosk_state{state="idle"} 1.0' in served
        assert "process_resident_memory_bytes" in served
        assert await kiosk.end() == 0


async def test_what_stands_still_gets_no_sign_of_life_and_ends_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended: list[int] = []
    over = asyncio.Event()
    loop = asyncio.get_running_loop()

    def leave(code: int) -> None:
        ended.append(code)
        loop.call_soon_threadsafe(over.set)

    monkeypatch.setattr("retell_voice.kiosk.program.os._exit", leave)
    environment = {"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000"}
    with Systemd(tmp_path / "notify") as systemd, Notifier(environment) as notifier:
        deadlines: list[threading.Timer] = []
        values = settings(socket=str(tmp_path / "kiosk.sock"))
        program = _Program(values, lambda: values, notifier, deadlines)
        program.kiosk.machine.start()
        watching = asyncio.create_task(program._watch())
        async with asyncio.timeout(LONG):
            await soon(lambda: "WATCHDOG=1" in systemd.lines)
            program.kiosk.machine.stop()
            monkeypatch.setattr(program.kiosk.machine, "_timer", None)  # it counts no more
            systemd.lines.clear()
            await over.wait()
        watching.cancel()
        program.kiosk.machine.stop()
        for timer in deadlines:
            timer.cancel()
    assert systemd.lines == []
    assert ended[0] == 1


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"agent": None}, "nothing says whom to call"),
        ({"call_command": "b"}, "give one"),
        ({"agent": None, "call_command": "no-such-command"}, "no-such-command: not found in PATH"),
        ({"listen": "0.0.0.0:0"}, "lets other machines in"),
        ({"listen": "127.0.0.1:0"}, "there must be a token"),
        ({"sounds": "/nowhere", "sounds_percent": 100}, "no such directory"),
        ({"metrics": "192.0.2.1:1"}, "metrics cannot be served"),
    ],
)
def test_what_cannot_be_is_said_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, values: dict[str, Any], says: str
) -> None:
    monkeypatch.setattr("retell_voice.kiosk.program.set_switch_interval", lambda: None)
    path = tmp_path / "kiosk.sock"
    with pytest.raises(ConfigError, match=says):
        run(settings(socket=str(path), **values), settings)
    assert not path.exists()


@pytest.mark.skipif(not Path("/proc/self/task").exists(), reason="threads are counted in /proc")
async def test_fifty_presses_as_a_process(tmp_path: Path) -> None:
    async with (
        Emulator(agent=listens) as emulator,
        KioskProgram(tmp_path, *calls(emulator), "--sounds-percent", "50") as kiosk,
    ):
        control = await kiosk.connect()
        at = await kiosk.until("idle")

        async def press_twice() -> None:
            nonlocal at
            await control.do("press")
            at = await kiosk.until("in call", at)
            await control.do("press")
            at = await kiosk.until("idle", at)

        def held() -> tuple[int, int]:
            process = Path(f"/proc/{kiosk.process.pid}")
            return len(os.listdir(process / "task")), len(os.listdir(process / "fd"))

        for _ in range(5):
            await press_twice()
        await asyncio.sleep(0.5)  # sounds end
        before = held()
        for _ in range(50):
            await press_twice()
        for _ in range(100):
            if held() <= before:
                break
            await asyncio.sleep(0.05)
        assert held() <= before
        assert heaps_of_threads(kiosk.process.pid) == [], "all threads share one"
        status = (await control.do("status"))["status"]
        assert status["results"] == {"over": 55}
