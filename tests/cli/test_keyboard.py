"""The space bar held to talk, in terminals that tell when it comes up and in others."""

from __future__ import annotations

import os
import re
import signal
import sys
import time
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("Windows has no pseudo-terminals", allow_module_level=True)

from support.pipes import patched
from support.terminal import KittyTerminal, Terminal

from retell_voice.cli.controls import FIRST_HOLD
from retell_voice.emulator import CALLER

TALK = ("talk", "--local", "--input-file", str(CALLER), "--output-file", os.devnull)
HELD = (*TALK, "--push-to-talk")
SOON = 3.0


def ready(terminal: KittyTerminal) -> None:
    terminal.wait_for("MUTED")
    terminal.wait_for(" LIVE ")
    terminal.wait_for(lambda seen: seen.tells_releases and seen.focus)


def check_restored(terminal: KittyTerminal) -> None:
    assert (terminal.keyboard, terminal.focus) == ([], False)
    assert b"\x1b[<u" in terminal.raw
    assert b"\x1b[<u" not in terminal.raw.rpartition(b"\x1b[?1049l")[2], "on the page it is of"
    assert terminal.modes_after == terminal.modes


def test_heard_for_as_long_as_the_key_is_down_and_not_a_moment_longer(
    env: dict[str, str],
) -> None:
    with KittyTerminal(*HELD, env=env) as terminal:
        ready(terminal)
        terminal.down(" ")
        terminal.wait_for("TALKING")
        began = time.monotonic()
        terminal.wait_for(lambda _: time.monotonic() - began > 2 * FIRST_HOLD)
        assert "TALKING" in terminal.text, "though nothing repeats"
        terminal.up(" ")
        released = time.monotonic()
        terminal.wait_for("MUTED")
        assert time.monotonic() - released < FIRST_HOLD, "not when a timer ends"
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)


def test_muted_where_another_window_takes_the_keyboard(env: dict[str, str]) -> None:
    with KittyTerminal(*HELD, env=env) as terminal:
        ready(terminal)
        terminal.down(" ")
        terminal.wait_for("TALKING")
        terminal.type("\x1b[O")
        terminal.wait_for("MUTED")
        terminal.down("?")
        terminal.wait_for("the agent's volume")
        assert "does not report key releases" not in terminal.text
        terminal.down("q")
        assert terminal.wait() == 0
    check_restored(terminal)


@pytest.mark.parametrize("known", [0b00001, 0b01011])
def test_a_terminal_that_can_half_of_it(env: dict[str, str], known: int) -> None:
    with KittyTerminal(*HELD, known=known, env=env) as terminal:
        terminal.wait_for(lambda seen: b"\x1b[<u" in seen.raw)
        assert (terminal.keyboard, terminal.focus) == ([], False)
        terminal.down(" ")
        terminal.wait_for("TALKING")
        terminal.wait_for("MUTED")
        terminal.press("c")
        assert terminal.wait() == 0
    assert (terminal.keyboard, terminal.focus) == ([], False)


def test_a_terminal_that_does_not_answer(env: dict[str, str]) -> None:
    with Terminal(*HELD, env=env) as terminal:
        terminal.wait_for(lambda seen: b"\x1b[?u" in seen.raw)
        terminal.type(" ")
        terminal.wait_for("TALKING")
        terminal.wait_for("MUTED")
        terminal.type("?")
        terminal.wait_for("does not report key releases")
        terminal.press("c")
        assert terminal.wait() == 0
    assert b"\x1b[>" not in terminal.raw


def test_nobody_is_asked_where_nobody_is_muted(env: dict[str, str]) -> None:
    with KittyTerminal(*TALK, env=env) as terminal:
        terminal.wait_for("agent Hello!")
        assert b"\x1b[?u" not in terminal.raw
        terminal.down("m")
        terminal.wait_for(lambda seen: seen.tells_releases)
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)


def test_ctrl_backslash_is_a_signal_still(env: dict[str, str]) -> None:
    with KittyTerminal(*HELD, env=env) as terminal:
        ready(terminal)
        terminal.press("\\")
        assert terminal.wait() == -signal.SIGQUIT
    check_restored(terminal)


def test_ctrl_c_is_a_signal_still_though_the_call_stands_still(
    env: dict[str, str], tmp_path: Path
) -> None:
    more = patched(
        tmp_path,
        "import pathlib, time, retell_voice.engine.call as call\n"
        "async def hang_up(self):\n"
        f"    pathlib.Path({str(tmp_path)!r}, 'stuck').touch()\n"
        "    time.sleep(60)\n"
        "call.Call.hang_up = hang_up\n",
    )
    with KittyTerminal(*HELD, env={**env, **more}) as terminal:
        ready(terminal)
        terminal.press("c")
        terminal.type("\x1b[99;5:2u" * 5)  # held down: that is not pressing it again
        terminal.wait_for(lambda _: (tmp_path / "stuck").exists())
        terminal.press("c")
        began = time.monotonic()
        assert terminal.wait() == 130
        assert time.monotonic() - began < SOON
    check_restored(terminal)


def test_ctrl_z_gives_the_keyboard_back_and_takes_it_again(env: dict[str, str]) -> None:
    with KittyTerminal(*HELD, env=env, under_shell=True) as terminal:
        ready(terminal)
        terminal.down(" ")
        terminal.wait_for("TALKING")
        terminal.press("z")
        terminal.wait_for("[stopped]")
        assert (terminal.keyboard, terminal.focus) == ([], False)
        terminal.type("fg\n")
        ready(terminal)  # muted: the key may have come up meanwhile
        terminal.down(" ")
        terminal.wait_for("TALKING")
        terminal.press("c")
        assert terminal.wait() == 0
    check_restored(terminal)


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129), (signal.SIGINT, 0)]
)
def test_the_keyboard_is_given_back_after_signals(
    env: dict[str, str], number: int, code: int
) -> None:
    with KittyTerminal(*HELD, env=env) as terminal:
        ready(terminal)
        terminal.signal(number)
        assert terminal.wait() == code
    check_restored(terminal)


def test_the_keyboard_is_given_back_after_a_crash(env: dict[str, str], tmp_path: Path) -> None:
    more = patched(
        tmp_path,
        "import retell_voice.cli.screen as screen\n"
        "before = screen.render\n"
        "def render(view, controls, *args):\n"
        "    return 1 / (controls.volume > 90) and before(view, controls, *args)\n"
        "screen.render = render\n",
    )
    with KittyTerminal(*HELD, env={**env, **more}) as terminal:
        ready(terminal)
        terminal.down("-")
        assert terminal.wait() == 1
    check_restored(terminal)
    assert re.search(rb"this is a defect of retell-voice", terminal.raw)
