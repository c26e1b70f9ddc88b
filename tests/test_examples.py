"""Every example runs, and a type checker has nothing to say about it."""

from __future__ import annotations

import asyncio
import importlib.util
import itertools
import os
import pty
import select
import subprocess
import sys
import threading
import time
import tty
import zipfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retell_voice import (
    AgentStarted,
    AgentStopped,
    Alignment,
    AudioFormat,
    Call,
    ConnectError,
    DeviceChanged,
    DeviceError,
    NullMicrophone,
    NullSpeaker,
    Utterance,
    sync,
)
from retell_voice.devices.files import WavWriter, read_wav
from retell_voice.emulator import Emulator, Session
from retell_voice.emulator.fixtures import Emulators

ROOT = Path(__file__).parent.parent
EXAMPLES = ROOT / "examples"
RATE = 8000
AUDIO = AudioFormat(rate=RATE)


def example(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"example_{name}", EXAMPLES / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look there
    spec.loader.exec_module(module)
    return module


def noise(seconds: float, rate: int = RATE) -> np.ndarray:
    loud = np.random.default_rng(9).integers(-9000, 9000, round(seconds * rate))
    return np.where(loud == 0, 1, loud).astype(np.int16)


def says(audio: np.ndarray, *, then_close: bool = True) -> Callable[[Session], Any]:
    async def agent(session: Session) -> None:
        await session.send_audio(audio)
        if not then_close:
            async for _ in session:
                pass

    return agent


def quiet(monkeypatch: pytest.MonkeyPatch, module: ModuleType, audio: AudioFormat = AUDIO) -> None:
    """Let an example that opens the default devices open none."""

    def call(call_id: str, **options: Any) -> Call:
        devices = {"microphone": NullMicrophone(RATE), "speaker": NullSpeaker(RATE)}
        return Call(call_id, **{"audio": audio, **devices, **options})

    monkeypatch.setattr(module, "Call", call)


def test_a_type_checker_has_nothing_to_say_and_does_look(tmp_path: Path) -> None:
    files = sorted(EXAMPLES.glob("*.py"))
    wrong = tmp_path / "wrong.py"
    wrong.write_text("from retell_voice import AudioFormat\nAudioFormat(rate='fast')\n")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", *map(str, files), str(wrong)],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    complaint, summary = done.stdout.splitlines()
    assert "wrong.py:2" in complaint
    assert 'incompatible type "str"' in complaint
    assert f"(checked {len(files) + 1} source files)" in summary


def test_the_wheel_says_that_it_is_typed(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(command, capture_output=True, check=True, cwd=ROOT)
    (wheel,) = tmp_path.glob("*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "retell_voice/py.typed" in names
    assert "retell_voice/recording/recorder.py" in names
    assert not [name for name in names if name.startswith(("tests", "examples", "docs"))]


async def test_ten_lines(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example("ten_lines")
    quiet(monkeypatch, module)
    async with Emulator(agent=says(noise(0.3))) as emulator:
        await module.main(emulator.register(AUDIO).call_id, emulator.url)
    printed = capsys.readouterr().out
    assert "AgentStarted(" in printed
    assert "Ended(" in printed.splitlines()[-1]


@pytest.mark.parametrize(
    ("name", "usage"),
    [
        ("ten_lines", "CALL_ID [URL]"),
        ("avatar", "CALL_ID URL"),
        ("without_asyncio", "CALL_ID URL"),
        ("serial_audio", "CALL_ID URL PATH"),
        ("several_calls", "CALL_ID [CALL_ID ...] URL"),
        ("open_devices", "CALL_ID [CALL_ID ...] URL"),
    ],
)
def test_without_arguments_an_example_says_how_it_is_used(name: str, usage: str) -> None:
    done = run_example(name)
    assert done.returncode == 2
    assert " ".join(done.stderr.split()).startswith(f"usage: {name}.py [-h] ")
    assert usage in done.stderr
    assert "Traceback" not in done.stderr


def test_several_calls_have_something_to_say(tmp_path: Path) -> None:
    done = run_example("several_calls", "call_none", "ws://127.0.0.1:1", cwd=tmp_path)
    assert done.returncode == 2
    assert "there is no say.wav" in done.stderr
    assert "--say WAV" in done.stderr


def run_example(name: str, *arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(EXAMPLES / f"{name}.py"), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False, cwd=cwd)


# The serial line

serial = example("serial_audio")


@settings(deadline=None)
@given(
    st.lists(st.lists(st.integers(-32768, 32767), max_size=40), max_size=6),
    st.lists(st.integers(1, 50), min_size=1),
)
def test_frames_are_found_in_any_pieces(blocks: list[list[int]], cuts: list[int]) -> None:
    stream = b"".join(serial.pack(np.array(block, np.int16)) for block in blocks)
    unpacker, at = serial.Unpacker(), 0
    found: list[list[int]] = []
    while at < len(stream):
        size = cuts[len(found) % len(cuts)]
        found += [each.tolist() for each in unpacker.feed(stream[at : at + size])]
        at += size
    assert found == blocks
    assert unpacker.broken == 0


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_after_noise_the_next_frames_are_found(rubbish: bytes) -> None:
    block = np.arange(-80, 80, dtype=np.int16)
    unpacker = serial.Unpacker()
    # Noise may look like the head of a frame of 4 kB: that much is lost with it, and no more.
    stream = rubbish + serial.pack(block) * 20
    found = list(unpacker.feed(stream))
    assert len(found) >= 6
    assert all(np.array_equal(each, block) for each in found[-6:])


class Board:
    """A board on a pseudo-terminal: with a clock, a microphone and a speaker."""

    def __init__(self, path: Path, hears: np.ndarray, *, speed: float) -> None:
        self.played: list[np.ndarray] = []
        self._path, self._hears = path, hears
        self._period = serial.BLOCK / serial.RATE / speed
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=each) for each in (self._send, self._receive)]

    def __enter__(self) -> Board:
        self._line, self._other_end = pty.openpty()
        tty.setraw(self._other_end)
        self._path.symlink_to(os.ttyname(self._other_end))
        for each in self._threads:
            each.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Unplug it."""
        self._stopping.set()
        for each in self._threads:
            each.join(5)
        self._path.unlink()
        os.close(self._line)
        os.close(self._other_end)

    def _send(self) -> None:
        due, at = time.monotonic(), 0
        while not self._stopping.wait(max(0.0, due - time.monotonic())):
            due += self._period
            block = self._hears[at : at + serial.BLOCK]
            at = (at + serial.BLOCK) % len(self._hears)
            frame = serial.pack(block)
            if at % (50 * serial.BLOCK) == 0:  # noise on the line
                frame = b"\xa5\x5a\x04\x00abcdX" + b"\x00\xa5" + frame
            os.write(self._line, frame)

    def _receive(self) -> None:
        unpacker = serial.Unpacker()
        while not self._stopping.is_set():
            if select.select([self._line], [], [], 0.05)[0]:
                self.played += unpacker.feed(os.read(self._line, 4096))


def call_through(board: Any, emulator: Emulator) -> Call:
    return Call(
        emulator.register(serial.AUDIO).call_id,
        url=emulator.url,
        audio=serial.AUDIO,
        microphone=board.microphone,
        speaker=board.speaker,
    )


async def test_a_board_behind_a_serial_line(tmp_path: Path) -> None:
    said, spoken = noise(1.0, serial.RATE), np.arange(1, 1601, dtype=np.int16)
    heard: list[np.ndarray] = []

    async def agent(session: Session) -> None:
        await session.send_audio(said)
        heard.extend([samples async for samples in session])

    path = tmp_path / "ttyUSB0"
    board = serial.SerialBoard(str(path))
    with Board(path, spoken, speed=4) as other:
        async with (
            Emulator(agent=agent) as emulator,
            call_through(board, emulator) as call,
            asyncio.timeout(20),
        ):
            async for event in call:
                if isinstance(event, AgentStopped):
                    await call.hang_up()
    played = np.concatenate(other.played)
    first = int(np.flatnonzero(played)[0])
    assert np.array_equal(played[first : first + len(said)], said)
    # What the board heard has arrived, sample after sample, in spite of the noise.
    steps = np.diff(np.concatenate(heard).astype(int))
    assert set(steps) <= {1, -1599}
    assert board.unpacker.broken > 0


async def test_a_board_that_is_unplugged_and_comes_back_goes_on(tmp_path: Path) -> None:
    path, spoken = tmp_path / "ttyUSB0", np.ones(1600, np.int16)
    board = serial.SerialBoard(str(path))
    devices: list[DeviceChanged] = []

    async def until(number: int, call: Call) -> None:
        while len(devices) < number:
            if isinstance(event := await anext(call), DeviceChanged):
                devices.append(event)

    with ExitStack() as plug:
        first = plug.enter_context(Board(path, spoken, speed=1))
        async with (
            Emulator(agent=says(noise(0.1), then_close=False)) as emulator,
            call_through(board, emulator) as call,
            asyncio.timeout(20),
        ):
            while not first.played:
                await anext(call)
            plug.close()
            await until(2, call)
            second = plug.enter_context(Board(path, spoken, speed=1))
            await until(4, call)
            while not second.played:
                await anext(call)
    assert {(each.side, each.state) for each in devices[:2]} == {
        ("near_end", "lost"),
        ("far_end", "lost"),
    }
    assert all("the serial line failed" in each.why for each in devices[:2])
    assert {(each.side, each.state) for each in devices[2:]} == {
        ("near_end", "back"),
        ("far_end", "back"),
    }


async def test_a_board_that_is_not_there_is_told_in_a_line(tmp_path: Path) -> None:
    board = serial.SerialBoard(str(tmp_path / "ttyUSB0"))
    async with Emulator(agent=says(noise(0.1))) as emulator:
        with pytest.raises(DeviceError, match="ttyUSB0 cannot be opened") as failure:
            await call_through(board, emulator).__aenter__()
    assert "plugged in" in failure.value.hint


# The others

avatar = example("avatar")


@settings(deadline=None)
@given(st.text(max_size=30), st.floats(0, 10))
def test_mouths_move_within_the_time_and_never_twice_the_same(text: str, duration: float) -> None:
    moves = avatar.mouths(text, duration)
    times = [at for at, _ in moves]
    assert times == sorted(times)
    assert all(0 <= at <= duration for at in times)
    assert all(a[1] != b[1] for a, b in itertools.pairwise(moves))


async def test_an_avatar_moves_with_the_voice_and_stops_with_it() -> None:
    faces: list[tuple[str, str]] = []
    moved = asyncio.Event()

    def draw(shape: str, text: str) -> None:
        faces.append((shape, text))
        if len(faces) == 4:
            moved.set()

    face = avatar.Avatar(draw)
    face.see(AgentStarted())
    face.see(Alignment(text="hello mom", duration=0.05))
    async with asyncio.timeout(5):
        await moved.wait()
    face.see(Alignment(text="and so on and on", duration=60.0))
    face.see(AgentStopped(interrupted=True))
    assert faces[0] == (avatar.OPEN, "")
    assert {shape for shape, _ in faces} == {avatar.OPEN, avatar.CLOSED, "(^O^)"}
    assert faces[-1] == (avatar.CLOSED, "hello mom and so on and on…")
    assert not face._moves


async def test_an_avatar_in_a_call(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(noise(0.3), "hello")

    quiet(monkeypatch, avatar)
    async with Emulator(agent=agent) as emulator:
        await avatar.main(emulator.register(AUDIO).call_id, emulator.url)
    assert "hello" in capsys.readouterr().out


async def test_several_calls(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    module = example("several_calls")
    say = tmp_path / "say.wav"
    file = WavWriter(say, RATE)
    file.write(noise(0.2))
    file.close()
    into = [tmp_path / f"{number}.wav" for number in range(4)]
    said = noise(0.4)
    async with Emulator(agent=says(said, then_close=False)) as emulator:
        call_ids = [emulator.register(AUDIO).call_id for _ in into[1:]]
        outcomes = await asyncio.gather(
            *(
                module.hold(call_id, emulator.url, AUDIO, say, path)
                for call_id, path in zip(["call_none", *call_ids], into, strict=True)
            )
        )
        monkeypatch.chdir(tmp_path)
        await module.main(emulator.url, [emulator.register(AUDIO).call_id], say, RATE)
    assert capsys.readouterr().out == "call 1: 0.4 s heard\n"
    assert (tmp_path / "agent-1.wav").exists()
    assert isinstance(outcomes[0].failure, ConnectError)
    for outcome, path in zip(outcomes[1:], into[1:], strict=True):
        assert outcome.failure is None
        assert outcome.answers == 1
        assert outcome.heard == pytest.approx(0.4)
        heard = read_wav(path)[0]
        assert np.array_equal(heard[heard != 0][: len(said)], said)


# Without an event loop: the emulator runs on a thread of its own


def test_a_call_without_asyncio(
    retell_emulator: Emulators, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    async def agent(session: Session) -> None:
        await session.send_audio(noise(0.2))
        await session.update((Utterance("agent", "Hello!"),), "agent")

    module = example("without_asyncio")

    def call(call_id: str, **options: Any) -> sync.Call:
        microphone, speaker = NullMicrophone(RATE), NullSpeaker(RATE)
        return sync.Call(call_id, audio=AUDIO, microphone=microphone, speaker=speaker, **options)

    monkeypatch.setattr(module, "Call", call)
    emulator = retell_emulator(agent=agent)
    module.main(emulator.register(AUDIO).call_id, emulator.url)
    assert capsys.readouterr().out == "agent: Hello!\nthe agent was heard for 0.2 s\n"
    with pytest.raises(SystemExit, match="no call of this call_id"):
        module.main("call_none", emulator.url)
