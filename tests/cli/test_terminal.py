"""The program in a terminal: the live screen, Ctrl-C, and what it leaves behind."""

from __future__ import annotations

import base64
import hashlib
import os
import re
import signal
import socket
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from support.pipes import patched
from support.terminal import Terminal

from retell_voice.devices.files import read_wav
from retell_voice.emulator import CALLER

FILES = ("--input-file", str(CALLER), "--output-file", os.devnull)
LOCAL = ("talk", "--local", *FILES)
SOON = 3.0
"""Seconds: half a one, and what a busy machine takes. A library left to itself takes ten."""


@contextmanager
def server(*, greets: bool) -> Iterator[str]:
    """A server that takes connections and, if it ``greets``, opens the WebSocket; then nothing.

    It never says a word and never answers a close.
    """
    with socket.create_server(("127.0.0.1", 0)) as listening:
        connections = []

        def serve() -> None:
            with suppress(OSError):
                connection, _ = listening.accept()
                connections.append(connection)
                if not greets:
                    return
                request = b""
                while b"\r\n\r\n" not in request:
                    request += connection.recv(4096)
                key = re.search(rb"(?i)sec-websocket-key: (\S+)", request)
                assert key is not None
                guid = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
                accept = base64.b64encode(hashlib.sha1(key[1] + guid).digest())
                connection.sendall(
                    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                    b"Connection: Upgrade\r\nSec-WebSocket-Accept: " + accept + b"\r\n\r\n"
                )
                while connection.recv(65536):
                    pass

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"ws://127.0.0.1:{listening.getsockname()[1]}/x"
        finally:
            with suppress(OSError):
                listening.shutdown(socket.SHUT_RDWR)
            for connection in connections:
                with suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
                connection.close()
            thread.join()


def check_restored(terminal: Terminal) -> None:
    """The main page is back, the cursor is visible, the line discipline as it was."""
    raw = terminal.raw
    for mode in (b"1049", b"25", b"7", b"2004"):
        ours, theirs = (b"l", b"h") if mode in (b"25", b"7") else (b"h", b"l")
        # Where the screen was never drawn, there is neither.
        assert raw.rfind(b"\x1b[?" + mode + theirs) >= raw.rfind(b"\x1b[?" + mode + ours)
    assert terminal.modes_after == terminal.modes


def after_the_screen(terminal: Terminal) -> str:
    left = terminal.raw.rpartition(b"\x1b[?1049l")[2].decode().replace("\r\n", "\n")
    return re.sub(r"\x1b\[[?0-9;]*[a-z]", "", left)


def test_a_conversation(env: dict[str, str]) -> None:
    with Terminal(*LOCAL, "--alignment", "--speed", "4", env=env) as terminal:
        terminal.wait_for("agent speaks")
        terminal.wait_for(lambda seen: re.search(r"^● agent █+.* dB  null", seen.text, re.M))
        terminal.wait_for(lambda seen: heard(seen).startswith("Hello!"))
        terminal.wait_for("agent Hello! I am the parrot.")
        terminal.wait_for(lambda seen: re.search(r"^● you   █+.* dB  caller.wav", seen.text, re.M))
        terminal.wait_for("you   (2.6 s of speech)")
        assert terminal.lines[0].startswith(" LIVE  00:0")
        assert "the emulator s16le 24000 Hz …" in terminal.lines[0]
        assert terminal.lines[-1].startswith("q hang up   ? help   m mute")
        assert re.search(
            r"(good|fair|poor)   (round trip \d+ ms   )?jitter \d+ ms   gaps \d+",
            terminal.lines[-2],
        )
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)
    left = after_the_screen(terminal)
    assert len(re.findall(r"^\d\d:\d\d  agent: Hello!", left, re.MULTILINE)) == 1
    assert re.search(
        r"\d\d:\d\d  you hung up \(1000\)\n +length 00:\d\d\n +you spoke \d+ s \(\d+ %.*\n"
        r" +sent \d+ frames",
        left,
    )


REMINDED = """
step = [
    {update = {turn = "agent", transcript = []}},
    {say = "Hello."},
    {update = {transcript = [{role = "agent", content = "Hello."}]}},
    {wait = {heard = true}},
    {wait = {seconds = 0.3}},
    {update = {turn = "agent"}},
    {say = "Are you there?"},
    {update = {transcript = [{role = "agent", content = "Hello. Are you there?"}]}},
    {wait = {caller_leaves = true}},
]
"""


def test_a_reminder_is_a_line_of_its_own(env: dict[str, str], tmp_path: Path) -> None:
    path = tmp_path / "reminded.toml"
    path.write_text(REMINDED)
    more = {"RETELL_VOICE_EMULATOR_TTS": "mumble"}
    with Terminal(*LOCAL, "--scenario", str(path), env={**env, **more}) as terminal:
        terminal.wait_for("agent Hello.")
        terminal.wait_for("agent Are you there?")
        terminal.press("c")
        assert terminal.wait() == 0
    left = after_the_screen(terminal)
    assert re.search(r"agent: Hello\.\n\d\d:\d\d  agent: Are you there\?\n", left)


def test_captions_follow_the_voice(env: dict[str, str]) -> None:
    """Piece by piece, though a busy machine may be too late to draw some of them."""
    captions: list[str] = []

    def all_heard(seen: Terminal) -> bool:
        if (caption := heard(seen)) not in captions[-1:]:
            captions.append(caption)
        return caption.endswith("say it back.")

    with Terminal(*LOCAL, "--alignment", env=env) as terminal:
        terminal.wait_for(all_heard)
        terminal.press("c")
        assert terminal.wait() == 0
    assert captions[0] == ""
    whole = captions[-1].split()
    assert all(caption.split() == whole[: len(caption.split())] for caption in captions)
    assert len(captions) > len(whole) / 2
    assert sorted(captions, key=len) == captions, "and none of them twice"


def heard(terminal: Terminal) -> str:
    found = re.search(r"^heard (.*)$", terminal.text, re.MULTILINE)
    return found[1].rstrip() if found else ""


def test_the_agent_is_turned_down_and_up(env: dict[str, str], tmp_path: Path) -> None:
    agent = tmp_path / "agent.wav"
    files = ("--input-file", str(CALLER), "--output-file", str(agent))
    with Terminal("talk", "--local", *files, env=env) as terminal:
        terminal.wait_for("agent speaks")
        terminal.type("-" * 10)
        terminal.wait_for("the agent's volume: 0 %")
        terminal.wait_for(" vol 0 %")
        terminal.wait_for("silence")
        terminal.wait_for("agent speaks")
        quiet_until = agent.stat().st_size // 2
        terminal.type("+" * 11)
        terminal.wait_for(" vol 110 %")
        loud_from = agent.stat().st_size // 2
        terminal.wait_for(lambda seen: agent.stat().st_size // 2 > loud_from + 24000 // 2)
        terminal.press("c")
        assert terminal.wait() == 0
    samples, rate = read_wav(agent)
    assert samples[: 2 * rate].any()
    assert not samples[quiet_until - rate // 2 : quiet_until - rate // 10].any()
    assert samples[loud_from:].any()


OTHERS = """
import time

import retell_voice.cli.choose as choose
from retell_voice.cli.controls import Choice
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.errors import DeviceError

def choices(microphone, speaker):
    time.sleep(0.5)  # as it takes its time; a key may come before
    names = {"near_end": ("Webcam",), "far_end": ("Broken", "Headset")}
    used = microphone.name, speaker.name
    return tuple(
        Choice(side, name, "ALSA", name in used) for side in names for name in names[side]
    )

def find_speaker(choice, audio):
    if choice.name == "Broken":
        raise DeviceError("speaker 'Broken' failed to open: it is busy")
    return NullSpeaker(44100, name=choice.name)

choose.choices, choose.find_speaker = choices, find_speaker
choose.find_microphone = lambda choice, audio: NullMicrophone(48000, name=choice.name)
"""


def test_other_devices_are_chosen_and_one_does_not_work(
    env: dict[str, str], tmp_path: Path
) -> None:
    more = patched(tmp_path, OTHERS)
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        terminal.wait_for("agent Hello!")
        terminal.type("d")
        terminal.wait_for("  2  Broken")
        terminal.type("2")
        terminal.wait_for("speaker 'Broken' failed to open: it is busy")
        assert terminal.lines[2].endswith("dB  null")
        terminal.type("d")
        terminal.wait_for("  3  Headset")
        terminal.type("3")
        terminal.wait_for("Headset is in use now")
        assert terminal.lines[2].endswith("dB  Headset")
        assert "the speaker is now: Headset" in terminal.text
        terminal.type("d1")  # before there is a list
        terminal.wait_for("no device number 1")
        terminal.wait_for(lambda seen: re.search("3  Headset +ALSA  in use", seen.text))
        terminal.type("1")
        terminal.wait_for("Webcam is in use now")
        assert terminal.lines[1].endswith("dB  Webcam")
        assert terminal.lines[0].startswith(" LIVE ")
        terminal.type("q")
        assert terminal.wait() == 0
    check_restored(terminal)
    left = after_the_screen(terminal)
    assert "you hung up (1000)" in left


STUCK = """
import threading

class Stuck(NullSpeaker):
    def start(self, source):
        threading.Event().wait()

choose.find_speaker = lambda choice, audio: Stuck(name=choice.name)
"""


def test_a_device_that_never_opens_does_not_hold_up_the_end(
    env: dict[str, str], tmp_path: Path
) -> None:
    more = patched(tmp_path, OTHERS + STUCK)
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        terminal.wait_for("agent Hello!")
        terminal.type("d")
        terminal.wait_for("  3  Headset")
        terminal.type("3")
        terminal.wait_for("switching to Headset")
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)


def test_the_devices_there_are(env: dict[str, str]) -> None:
    """Whatever this machine has: the list comes, or a word about why it does not."""
    with Terminal(*LOCAL, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        terminal.type("d")
        terminal.wait_for("Speakers")
        terminal.type("\x1b")
        terminal.wait_for("agent Hello!")
        terminal.type("q")
        assert terminal.wait() == 0


def test_another_size(env: dict[str, str]) -> None:
    with Terminal(*LOCAL, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        for lines, columns in ((4, 18), (10, 40), (2, 18), (60, 200), (24, 80)):
            terminal.resize(lines, columns)
            terminal.wait_for(lambda seen: seen.lines[-1].startswith("q hang up"))
            terminal.wait_for(lambda seen: seen.lines[0].startswith(" LIVE"))
            if columns == 200:
                terminal.wait_for("─" * 200)
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)


def test_only_what_changed_is_drawn_and_all_of_it_at_once(env: dict[str, str]) -> None:
    with Terminal(*LOCAL, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        begun = len(terminal.raw)
        terminal.wait_for(" 00:03")
        sent = terminal.raw[begun:]
        terminal.press("c")
        assert terminal.wait() == 0
    assert b"\x1b[2J" not in sent
    assert b"Hello!" not in sent, "a line that stays is not drawn again"
    pictures = re.findall(rb"\x1b\[\?2026h(.*?)\x1b\[\?2026l", sent, re.DOTALL)
    assert len(pictures) > 10
    assert b"".join(pictures) in sent.replace(b"\x1b[?2026h", b"").replace(b"\x1b[?2026l", b"")


def test_who_scribbles_on_the_screen_is_heard_afterwards(
    env: dict[str, str], tmp_path: Path
) -> None:
    more = patched(
        tmp_path,
        "import retell_voice.cli.live as live, sys\n"
        "before = live.ScreenOutput.show\n"
        "def show(*args):\n    print('scribble', file=sys.stderr)\n    before(*args)\n"
        "live.ScreenOutput.show = show\n",
    )
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        terminal.wait_for("agent Hello!")
        assert "scribble" not in terminal.text
        terminal.press("c")
        assert terminal.wait() == 0
    assert "scribble" in after_the_screen(terminal)


def test_a_crash_of_the_screen_leaves_the_terminal_as_it_was(
    env: dict[str, str], tmp_path: Path
) -> None:
    more = patched(
        tmp_path,
        "import retell_voice.cli.screen as screen\n"
        "before, count = screen.render, []\n"
        "def render(*args):\n"
        "    count.append(1)\n"
        "    return 1 / (len(count) < 9) and before(*args)\n"
        "screen.render = render\n",
    )
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        assert terminal.wait() == 1
    check_restored(terminal)
    assert "this is a defect of retell-voice" in after_the_screen(terminal)


def test_ctrl_c_hangs_up_soon(env: dict[str, str]) -> None:
    with Terminal(*LOCAL, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        begun = time.monotonic()
        terminal.press("c")
        assert terminal.wait() == 0
        assert time.monotonic() - begun < SOON
    check_restored(terminal)
    assert "you hung up (1000)" in after_the_screen(terminal)


def test_ctrl_c_hangs_up_soon_whatever_the_server_does(env: dict[str, str]) -> None:
    with (
        server(greets=True) as url,
        Terminal("talk", "--url", url, *FILES, "call_0123456789", env=env) as terminal,
    ):
        terminal.wait_for(" LIVE ")
        begun = time.monotonic()
        terminal.press("c")
        assert terminal.wait() == 0
        assert time.monotonic() - begun < SOON
    check_restored(terminal)
    assert b"call_0123456789" not in terminal.raw


def test_a_second_ctrl_c_exits_at_once(env: dict[str, str]) -> None:
    with (
        server(greets=True) as url,
        Terminal("talk", "--url", url, *FILES, "call_0123456789", env=env) as terminal,
    ):
        terminal.wait_for(" LIVE ")
        terminal.press("c")
        terminal.wait_for(" HANGING UP ")
        terminal.press("c")
        assert terminal.wait() == 130
    check_restored(terminal)


def test_ctrl_c_while_connecting(env: dict[str, str]) -> None:
    with (
        server(greets=False) as url,
        Terminal("talk", "--url", url, *FILES, "call_0123456789", env=env) as terminal,
    ):
        terminal.wait_for(" CONNECTING ")
        begun = time.monotonic()
        terminal.press("c")
        assert terminal.wait() == 130
        assert time.monotonic() - begun < SOON
    check_restored(terminal)


HANGING = """
import threading
from retell_voice.devices.files import WavSpeaker

WavSpeaker.start = lambda self, source: threading.Event().wait()
"""


def test_ctrl_c_while_a_device_hangs(env: dict[str, str], tmp_path: Path) -> None:
    more = patched(tmp_path, HANGING)
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        terminal.wait_for(" CONNECTING ")
        terminal.press("c")
        assert terminal.wait() == 130
    check_restored(terminal)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_other_signals_hang_up_too(env: dict[str, str], number: int, code: int) -> None:
    with Terminal(*LOCAL, env=env) as terminal:
        terminal.wait_for(" LIVE ")
        terminal.signal(number)
        assert terminal.wait() == code
    check_restored(terminal)
    assert "you hung up (1000)" in after_the_screen(terminal)


def test_an_error_is_below_the_screen(env: dict[str, str]) -> None:
    arguments = ("talk", "--url", "ws://no-such-host.invalid/x", *FILES, "call_0123456789")
    with Terminal(*arguments, env=env) as terminal:
        assert terminal.wait() == 4
    check_restored(terminal)
    assert "retell-voice: " in after_the_screen(terminal)


def test_a_terminal_without_unicode_or_colours(env: dict[str, str]) -> None:
    more = {"PYTHONIOENCODING": "ascii", "NO_COLOR": "1"}
    with Terminal(*LOCAL, env={**env, **more}) as terminal:
        terminal.wait_for(lambda seen: re.search(r"^\* agent #+\.", seen.text, re.M))
        terminal.press("c")
        assert terminal.wait() == 0
    assert terminal.raw.isascii()
    assert not re.search(rb"\x1b\[(\d+;)*3\dm", terminal.raw), "a colour"


def test_plain_on_a_terminal(env: dict[str, str]) -> None:
    with Terminal(*LOCAL, "--plain", env=env) as terminal:
        terminal.wait_for("connected")
        terminal.press("c")
        assert terminal.wait() == 0
    assert b"\x1b" not in terminal.raw
    assert "you hung up (1000)" in terminal.text


def test_a_terminal_that_stands_still_does_not_hold_up_the_call(
    env: dict[str, str], tmp_path: Path
) -> None:
    """Nothing is read from the terminal, so its buffer fills and writing to it blocks."""
    agent = tmp_path / "agent.wav"
    arguments = ("--input-file", str(CALLER), "--output-file", str(agent), "--speed", "20")
    with Terminal("talk", "--local", *arguments, env=env, size=(60, 250)) as terminal:
        sizes, whole = [-1], 24000 * 2 * 26
        # The file grows for as long as the call goes on, which ends when all has been said.
        for _ in range(50):
            threading.Event().wait(0.3)
            sizes.append(agent.stat().st_size if agent.exists() else 0)
            if sizes[-1] == sizes[-2] > whole:
                break
        assert sizes[-1] > whole, "the call stands still"
        assert sizes[-1] == sizes[-2], "the call has not ended"
        assert terminal.wait() == 0


def test_a_second_signal_exits_at_once_though_the_terminal_stands_still(
    env: dict[str, str], tmp_path: Path
) -> None:
    agent = tmp_path / "agent.wav"
    arguments = ("--input-file", str(CALLER), "--output-file", str(agent), "--speed", "4")
    with Terminal("talk", "--local", *arguments, env=env, size=(60, 250)) as terminal:
        while not agent.exists() or agent.stat().st_size < 24000 * 2 * 6:
            threading.Event().wait(0.1)
        terminal.signal(signal.SIGTERM)
        sizes: list[int] = []
        while len(sizes) < 6 or sizes[-6] != sizes[-1]:
            threading.Event().wait(0.1)  # for the call to end; it is the terminal that does not
            sizes.append(agent.stat().st_size)
        begun = time.monotonic()
        terminal.signal(signal.SIGTERM)
        assert terminal.exit_code() == 130
        assert time.monotonic() - begun < 2.0


def test_what_is_typed_is_said(env: dict[str, str], tmp_path: Path) -> None:
    (silence := tmp_path / "silence.raw").write_bytes(b"\x80" * 8000 * 60)
    files = ("--input-file", str(silence), "--input-format", "u8:8000")
    arguments = ("talk", "--local", *files, "--output-file", os.devnull)
    with Terminal(*arguments, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        terminal.type("\r")
        terminal.wait_for(lambda seen: seen.lines[-1].startswith("say"))
        terminal.type("quiez\x7ft\x1b[200~ room\nqm\x1b[201~ é!")
        terminal.wait_for("say   quiet room qm é!")
        terminal.type("\r")
        terminal.wait_for("you   quiet room qm é!")
        terminal.wait_for("agent quiet room qm é!")
        terminal.type("\rnever\x1b")
        terminal.wait_for(lambda seen: seen.lines[-1].startswith("q hang up"))
        assert "never" not in terminal.text
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)
