"""``retell-voice`` without a command: which step comes next."""

from __future__ import annotations

import ctypes
import os
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from retell_voice.extras import how_to_install
from retell_voice.settings.load import environment, find_key, load, read_file
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import as_argument

WEB_CALLS = ("aiortc", "httpx", "opuslib_next", "retell")
"""What the extra ``retell`` brings."""
CALLER = Path(__file__).parents[1] / "emulator" / "recordings" / "caller.wav"
"""The emulator's own, without loading it."""
_STAND_INS = ("local", "llm", "scenario", "dialect")
"""Settings with which ``talk`` needs no account."""
_ALIGNED = 40
_NO_LIBRARY = (
    "PortAudio, which sound needs, is not installed",
    "sudo apt install libportaudio2",
    "or whatever your system calls it",
)
_NO_SOUND = (
    "There is no microphone and no speaker, or no sound server to reach them",
    "retell-voice doctor --only sound",
    "says what is missing",
)


@dataclass(frozen=True, slots=True)
class Situation:
    """What is there of what a call takes.

    Attributes:
        has_key: an API key.
        agent: the agent that the settings name.
        by: what names it, or something in its place that ``talk`` can call.
        has_web_calls: what the extra ``retell`` brings.
        no_sound: why there can be no sound, and what to do; empty if there may be.
    """

    has_key: bool = False
    agent: str | None = None
    by: str = ""
    has_web_calls: bool = True
    no_sound: tuple[str, str, str] | tuple[()] = ()


def next_step(found: Situation) -> list[str]:
    """Return what to do next, in lines: headings, and commands below them."""
    lines: list[str] = []
    for heading, *commands in _steps(found):
        lines += ["", f"{heading}:"] if lines else [f"{heading}:"]
        lines += [f"  {what:{_ALIGNED}}  {words}".rstrip() for what, words in commands]
    return [*lines, "", "All commands: retell-voice --help"]


def _steps(found: Situation) -> Iterator[tuple[str, *tuple[tuple[str, str], ...]]]:
    if found.no_sound:
        why, remedy, words = found.no_sound
        yield why, (remedy, words)
        files = "--output-file agent.wav --input-file"
        yield (
            "Without sound, files can talk: a recorded caller's, or yours",
            (f"retell-voice talk --local {files} {as_argument(str(CALLER))}", ""),
            (f"retell-voice talk --local {files} me.wav", ""),
        )
    elif found.agent is None and found.by:
        yield f"Whom to call is set ({found.by})", ("retell-voice talk", "calls")
    elif found.has_key and not found.has_web_calls:
        yield "Calls to Retell need some more packages", (how_to_install("retell"), "")
    elif found.has_key and found.agent is not None:
        yield f"Your agent is {found.agent} ({found.by})", ("retell-voice talk", "calls it")
    elif found.has_key:
        yield (
            "There is an API key",
            ("retell-voice agents", "lists your agents"),
            ("retell-voice talk --agent NAME", "calls one of them"),
        )
    else:
        yield "Without an account", ("retell-voice talk --local", "calls the built-in emulator")
        after = ("retell-voice agents", "lists your agents")
        if found.agent is not None:
            after = ("retell-voice talk", f"calls {found.agent} ({found.by})")
        yield "With the API key from Retell's dashboard", (_export("RETELL_API_KEY"), ""), after


def look() -> Situation:
    """Return what is there. Opens no device, and reads only files and the keyring.

    Raises:
        ConfigError: the settings cannot be used.
    """
    settings = load(TalkSettings, read_file(None), environment(), {})
    given = [settings.agent, *(getattr(settings, name) for name in _STAND_INS)]
    by = next((each.source for each in given if each.value not in (None, False, "web")), "")
    return Situation(
        has_key=find_key(settings.api_key).value is not None,
        agent=settings.agent.value,
        by=by,
        has_web_calls=all(find_spec(name) for name in WEB_CALLS),
        no_sound=no_sound(os.environ),
    )


def no_sound(
    environ: Mapping[str, str], root: Path = Path("/")
) -> tuple[str, str, str] | tuple[()]:
    """Tell what Linux lacks for sound; other systems bring it along."""
    if sys.platform != "linux":
        return ()
    try:
        ctypes.CDLL("libportaudio.so.2")
    except OSError:
        return _NO_LIBRARY
    folder = Path(environ.get("XDG_RUNTIME_DIR") or root / f"run/user/{os.getuid()}")
    servers = (folder / "pipewire-0", folder / "pulse/native")
    cards = root / "proc/asound/pcm"
    is_there = any(each.exists() for each in servers) or (cards.exists() and cards.read_text())
    return () if is_there or environ.get("PULSE_SERVER") else _NO_SOUND


def _export(variable: str) -> str:
    return f'$env:{variable} = "…"' if sys.platform == "win32" else f"export {variable}=…"
