"""History, systemd's socket, the journal, vitals, metrics, sounds, the machine and its parts."""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import struct
import threading
import wave
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.kiosk import settings

from retell_voice.errors import ConfigError
from retell_voice.kiosk.account import Account, in_words
from retell_voice.kiosk.history import History
from retell_voice.kiosk.journal import JournalHandler, datagram, priority
from retell_voice.kiosk.keeping import keep
from retell_voice.kiosk.looks import Looks
from retell_voice.kiosk.machine import Machine
from retell_voice.kiosk.notify import Notifier
from retell_voice.kiosk.places import find_socket, history_path, socket_path
from retell_voice.kiosk.ports import Look, PartFailed, Pressed, TriggerEvent
from retell_voice.kiosk.sounds import Sounds, load, made
from retell_voice.kiosk.states import Action, Event, Say, State
from retell_voice.kiosk.tally import Metrics, Tally
from retell_voice.kiosk.vitals import Vitals

# History


def account(number: int, **more: Any) -> Account:
    return Account(began=float(number), source=f"button {number}", result="over", **more)


def read(history: History, calls: int = 100) -> list[Account]:
    found: list[Account] = []
    done = threading.Event()

    def take(accounts: list[Account]) -> None:
        found.extend(accounts)
        done.set()

    history.read(calls, take)
    assert done.wait(10)
    return found


def test_the_last_calls_are_kept_through_a_kill(tmp_path: Path) -> None:
    path = tmp_path / "in" / "calls.sqlite"
    history = History(path, 3)
    for number in range(5):
        history.add(account(number, spoken=number % 2 == 0, dialled=0.1, echo_erle=12.5))
    assert [each.began for each in read(history)] == [2, 3, 4]
    assert [each.began for each in read(history, 2)] == [3, 4]
    # Nothing is closed, as in a power cut: another process reads what the log holds.
    again = History(path, 3)
    assert read(again) == read(history)
    assert read(again)[-1] == account(4, spoken=True, dialled=0.1, echo_erle=12.5)
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    connection.close()
    history.close()
    again.close()


def test_a_file_that_is_damaged_is_put_aside(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "calls.sqlite"
    path.write_bytes(b"not a database at all" * 100)
    history = History(path, 10)
    history.add(account(1))
    assert read(history) == [account(1)]
    assert (tmp_path / "calls.sqlite.broken").exists()
    assert "kept as calls.sqlite.broken" in caplog.text
    history.close()


def test_a_disk_that_takes_nothing_is_told_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    history = History(tmp_path / "file" / "calls.sqlite", 10)
    for number in range(3):
        history.add(account(number))
    assert read(history) == []
    assert history.trouble
    assert caplog.text.count("are not kept") == 1
    history.close()


def test_a_file_that_cannot_be_opened_is_told_of_before_any_call(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path := tmp_path / "calls.sqlite").mkdir()  # as nothing else stops a test that root runs
    history = History(path, 10)
    history.begin()
    assert read(history) == []
    assert history.trouble == f"{path}: Is a directory"
    assert caplog.messages == [f"figures of calls are not kept: {path}: Is a directory"]
    path.rmdir()
    history.add(account(1))
    assert read(history) == [account(1)]
    assert history.trouble == ""
    history.close()


def test_a_full_disk_loses_the_call_and_nothing_else(tmp_path: Path) -> None:
    history = History(tmp_path / "calls.sqlite", 10)
    history.add(account(1))
    assert read(history) == [account(1)]
    full = history._connection
    assert full is not None
    full.execute("PRAGMA max_page_count = 1").fetchone()
    history.add(account(2, why="x" * 100_000))
    read(history)
    assert "full" in history.trouble
    history.add(account(3))
    assert [each.began for each in read(history)] == [1, 3]
    assert history.trouble == ""
    history.close()


def test_without_a_place_they_are_kept_in_memory() -> None:
    history = History(None, 10)
    history.add(account(1))
    assert read(history) == [account(1)]
    history.close()


def test_calls_in_words() -> None:
    assert in_words(account(1, why="no network")) == ("call by button 1: not connected: no network")
    said = in_words(account(1, dialled=0.5, lasted=3.0, ended_by="server", by_voice=True))
    assert said == (
        "call by button 1: connected after 0.50 s, lasted 3.0 s, ended by server, nobody spoke"
    )


def test_places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RUNTIME_DIRECTORY", "STATE_DIRECTORY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    assert socket_path(settings()) == tmp_path / "retell-voice" / "kiosk.sock"
    assert history_path(settings()) is None
    monkeypatch.setenv("RUNTIME_DIRECTORY", f"{tmp_path}/a:{tmp_path}/b")
    monkeypatch.setenv("STATE_DIRECTORY", str(tmp_path))
    assert socket_path(settings()) == tmp_path / "a" / "kiosk.sock"
    assert history_path(settings()) == tmp_path / "calls.sqlite"
    assert socket_path(settings(socket="/x")) == find_socket(settings(socket="/x")) == Path("/x")
    (tmp_path / "retell-voice").mkdir()
    (tmp_path / "retell-voice" / "kiosk.sock").touch()
    assert find_socket(settings()) == tmp_path / "retell-voice" / "kiosk.sock"


# systemd


def test_systemd_is_told(tmp_path: Path) -> None:
    for address in (str(tmp_path / "notify"), "@retell-voice-test-notify"):
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
            systemd.bind(address.replace("@", "\0", 1))
            with Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "3000000"}) as notifier:
                assert notifier.watchdog == 3.0
                notifier.ready()
                notifier.status("a\nb")
                notifier.status("a b")
                notifier.alive()
                notifier.reloading()
                notifier.stopping()
            systemd.setblocking(False)
            said = [systemd.recv(1000).decode() for _ in range(5)]
            assert said[:3] == ["READY=1", "STATUS=a b", "WATCHDOG=1"]
            assert said[3].startswith("RELOADING=1\nMONOTONIC_USEC=")
            assert said[4] == "STOPPING=1"


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"NOTIFY_SOCKET": "relative", "WATCHDOG_USEC": "1"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "0"},
        {"NOTIFY_SOCKET": "/nowhere/at/all", "WATCHDOG_USEC": "1", "WATCHDOG_PID": "1"},
    ],
)
def test_nobody_needs_to_listen(environment: dict[str, str]) -> None:
    with Notifier(environment) as notifier:
        assert notifier.watchdog is None
        notifier.ready()


def test_the_journal_gets_fields(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "journal"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as journal:
        journal.bind(str(path))
        handler = JournalHandler(path)
        record = logging.LogRecord("a", logging.WARNING, "", 0, "two\nlines %s", ("here",), None)
        record.state = "offline"
        handler.emit(record)
        text = b"two\nlines here"
        wanted = b"MESSAGE\n" + struct.pack("<Q", len(text)) + text + b"\n"
        assert journal.recv(1000) == (
            wanted + b"PRIORITY=4\nSYSLOG_IDENTIFIER=retell-voice\nKIOSK_STATE=offline\n"
        )
    handler.emit(record)
    assert capsys.readouterr().err == "<4>two\nlines here\n"
    handler.close()
    assert datagram("a", {}) == b"MESSAGE=a\n"
    assert [priority(level) for level in (0, 10, 20, 30, 40, 50)] == [7, 7, 6, 4, 3, 2]


def test_vitals_are_those_of_all_parts() -> None:
    positions: tuple[int, int] | None = None
    stuck = False
    fault: Exception | None = None
    vitals = Vitals(lambda: positions, lambda: stuck, lambda: fault)
    assert vitals.look()
    positions = (1, 1)
    assert vitals.look(), "there is nothing yet to compare with"
    positions = (2, 1)
    assert not vitals.look()
    assert vitals.trouble == "the speaker stood still"
    positions, stuck = (2, 2), True
    assert not vitals.look()
    assert vitals.trouble == "the microphone and the state machine stood still"
    assert vitals.misses == 2
    positions, stuck, fault = None, False, OSError("x")
    assert not vitals.look()
    assert "has failed: OSError('x')" in vitals.trouble
    fault = None
    assert vitals.look()
    assert (vitals.trouble, vitals.misses) == ("", 0)


def test_made_up_sources_are_counted_together() -> None:
    tally = Tally()
    tally.wish("button")
    for number in range(1000):
        tally.wish(f"client {number}")
    tally.wish("button")
    assert tally.triggers["button"] == 2
    assert tally.triggers["others"] == 1000 - 99
    assert len(tally.triggers) == 101


def test_metrics_count_what_happened() -> None:
    prometheus = pytest.importorskip("prometheus_client")
    tally = Tally()
    tally.wish("button")
    tally.wish("button")
    tally.add(account(1, dialled=0.5, lasted=10.0, by_voice=True))
    tally.add(account(2, why="x"))
    metrics = Metrics(tally, lambda: Look(State.IN_CALL, muted=True), ("127.0.0.1", 0))
    try:
        registry = prometheus.CollectorRegistry()
        registry.register(metrics)
        value = registry.get_sample_value
        name = "retell_voice_kiosk"
        assert value(f"{name}_calls_total", {"result": "over"}) == 2
        assert value(f"{name}_wishes_total", {"source": "button"}) == 2
        assert value(f"{name}_false_wakes_total") == 1
        assert value(f"{name}_dial_seconds_total") == 0.5
        assert value(f"{name}_state", {"state": "in call"}) == 1
        assert value(f"{name}_state", {"state": "idle"}) == 0
        with pytest.raises(ConfigError, match="cannot be served"):
            Metrics(tally, Look, ("127.0.0.1", metrics.port))
    finally:
        metrics.close()


# Sounds


def test_the_sounds_are_short_and_begin_and_end_in_silence() -> None:
    for say in Say:
        sound = made(say, 24000)
        assert 0.05 < len(sound) / 24000 < 1.5
        assert np.abs(sound).max() <= 0.26 * 32768
        assert max(abs(int(sound[0])), abs(int(sound[-1]))) < 50
    assert len({made(say, 8000).tobytes() for say in Say}) == len(Say)


def test_dialling_is_broadband() -> None:
    """What echo control learns from must be in the whole spectrum of speech."""
    sound = made(Say.DIALLING, 16000).astype(float)
    power = np.abs(np.fft.rfft(sound)) ** 2
    bands = [
        power[low : low + len(power) // 8].mean()
        for low in range(0, len(power) - 8, len(power) // 8)
    ]
    assert 10 * np.log10(min(bands) / max(bands)) > -35


def test_sounds_of_ones_own(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "error.wav"), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(np.full(1600, 1000, "<i2").tobytes())
    sounds = load(str(tmp_path), 16000, 0.5)
    assert np.array_equal(sounds[Say.ERROR], np.full(1600, 500))
    assert len(sounds) == len(Say)
    assert load(str(tmp_path), 16000, 0.0) == {}
    with pytest.raises(ConfigError, match="no such directory"):
        load("/nowhere", 16000, 1.0)
    (tmp_path / "idle.wav").write_text("no sound")
    with pytest.raises(ConfigError, match="not a sound file"):
        load(str(tmp_path), 16000, 1.0)


class Output:
    """Plays nothing, and says what it was to play."""

    def __init__(self) -> None:
        self.played: list[int] = []
        self.stopped = 0
        self.heard = asyncio.Event()
        self.repeats = asyncio.Event()

    async def play(self, sound: Any, rate: int | None = None, *, yields: bool = False) -> None:
        assert yields
        self.played.append(len(sound))
        if len(self.played) > 2:
            self.repeats.set()
        try:
            await self.heard.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise


async def test_a_sound_takes_the_place_of_another(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("retell_voice.kiosk.sounds._PAUSE", 0.0)
    output = Output()
    sounds = Sounds(lambda: output)
    sounds.say(Say.IDLE)  # there is none
    sounds.loaded = {say: np.zeros(number + 1, np.int16) for number, say in enumerate(Say)}
    sounds.say(Say.DIALLING)
    await asyncio.sleep(0.01)
    output.heard.set()
    async with asyncio.timeout(5):
        await output.repeats.wait()
    output.heard.clear()
    await asyncio.sleep(0.01)
    before = len(output.played)
    sounds.say(Say.LISTENING)
    await asyncio.sleep(0.01)
    assert output.stopped == 1
    assert output.played[before:] == [2]
    sounds.stop()
    await asyncio.sleep(0.01)
    assert (output.stopped, sounds.is_playing) == (2, False)


# The machine


async def test_the_machine_does_what_a_step_tells_of_after_the_others() -> None:
    done: list[Any] = []

    def do(step: Action | Say) -> None:
        done.append(step)
        if step is Action.DIAL:
            machine.happen(Event.REFUSED)

    machine = Machine(do, lambda: done.append(machine.state), lambda: dict.fromkeys(State, 60.0))
    machine.start()
    machine.happen(Event.WELL)
    machine.happen(Event.PRESS)
    assert done == [
        *(State.IDLE, Say.DIALLING, Action.DIAL, State.DIALLING, Say.ERROR, State.FAULTED),
    ]
    machine.stop()


async def test_limits_pass_and_a_machine_that_does_not_see_them_is_stuck() -> None:
    done: list[Any] = []
    limits = dict.fromkeys(State, 0.01) | {State.FAULTED: 60.0}
    faulted = asyncio.Event()
    machine = Machine(done.append, faulted.set, lambda: limits, draw=lambda: 1.0)
    assert machine.is_stuck, "it has not begun"
    machine.start()
    assert not machine.is_stuck
    async with asyncio.timeout(5):
        await faulted.wait()
    assert machine.state is State.FAULTED
    machine.happen(Event.WELL)
    machine.happen(Event.CALL)
    machine.happen(Event.CUT_OFF, 50.0)
    assert machine._timer is not None
    assert machine._timer.when() > asyncio.get_running_loop().time() + 40
    machine.stop()


# Parts


class Around:
    """Surroundings without a kiosk."""

    def __init__(self) -> None:
        self.looks = Looks()
        self.is_sounding = False

    @property
    def look(self) -> Look:
        return self.looks.now

    async def changed(self, seen: Look) -> Look:
        return await self.looks.changed(seen)

    def listen(self, side: str = "near_end") -> Any:
        raise PartFailed("there is nothing to hear")


class Button:
    """Fails as often as it is told to; then one press, and it is over."""

    name = "a button"

    def __init__(self, *failures: Exception) -> None:
        self.failures = list(failures)
        self.opened = self.closed = 0

    async def __aenter__(self) -> None:
        self.opened += 1
        if self.failures and self.opened % 2:
            raise self.failures.pop(0)

    async def __aexit__(self, *_: object) -> None:
        self.closed += 1

    async def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        yield Pressed(self.name)
        if self.failures:
            raise self.failures.pop(0)


async def test_a_part_is_opened_again_until_it_is_over(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    button = Button(PartFailed("no line"), OSError(19, "gone"), OSError(19, "gone"), ValueError())
    happened: list[TriggerEvent] = []
    await keep(button, Around(), happened.append, sleep=sleep, draw=lambda: 1.0)
    assert happened == [Pressed("a button")] * 3
    assert button.opened == button.closed == 5
    assert slept == [1.0, 2.0, 4.0, 8.0]
    assert caplog.text.count("a button: gone") == 1, "what is known is not told again"
    assert "a defect" in caplog.text


class Lamp:
    name = "a lamp"

    def __init__(self) -> None:
        self.shown: list[State] = []
        self.news = asyncio.Event()

    async def __aenter__(self) -> None: ...

    async def __aexit__(self, *_: object) -> None: ...

    async def show(self, look: Look) -> None:
        self.shown.append(look.state)
        self.news.set()
        await asyncio.sleep(0)


async def test_a_lamp_shows_the_last_of_what_changes_meanwhile() -> None:
    around, lamp = Around(), Lamp()
    keeping = asyncio.create_task(keep(lamp, around, lambda _: None))
    async with asyncio.timeout(5):
        await lamp.news.wait()
        for state in (State.IDLE, State.DIALLING, State.IN_CALL):
            around.looks.set(Look(state))
        lamp.news.clear()
        await lamp.news.wait()
    keeping.cancel()
    await asyncio.gather(keeping, return_exceptions=True)
    assert lamp.shown == [State.STARTING, State.IN_CALL]
