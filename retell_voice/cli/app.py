"""The commands of ``retell-voice`` and their help. Whatever is heavy is imported inside them."""

from __future__ import annotations

import os
from typing import Annotated

import typer

from retell_voice import __version__
from retell_voice.cli.failure import EXIT_CODES, reported
from retell_voice.cli.options import command
from retell_voice.config import ConfigFile, default_path, load
from retell_voice.tables import EmulatorSettings, TalkSettings

_CODES = "\n".join(
    ["", "", "Exit codes:", *(f"  {code:3}  {meaning}" for code, meaning in EXIT_CODES.items())]
)
_ABOUT = """\
Talk to a Retell voice agent over its Audio WebSocket: your microphone, its voice.

Without an account, against the built-in emulator:
  retell-voice talk --local

With a call that you registered:
  retell-voice talk --url wss://your-server/audio-websocket CALL_ID"""
_TALK = """\
Hold a spoken conversation with a voice agent.

Ctrl-C hangs up; Ctrl-C again exits at once.

Examples:
  retell-voice talk --local
  retell-voice talk --url wss://host/audio-websocket --rate 16000 CALL_ID
  register-my-call | retell-voice talk -
  retell-voice talk --local --input-file me.wav --output-file agent.wav --json

Every option but the last panel's can stand in the config file (rate = 16000) and in the \
environment (RETELL_VOICE_RATE=16000). The command line goes before the environment, that \
before the file."""
_EMULATOR = """\
Serve what Retell's servers do: register-call, get-call and the Audio WebSocket.

Its agent is a parrot: it greets you, listens, says back what you said, and falls silent \
when you talk over it. Needs no account and no network.

Settings also from section [emulator] of the config file and RETELL_VOICE_EMULATOR_…"""
_DEVICES = """\
List microphones and speakers: host API, channels, rates, and which is the default and why.

On a pipe: one line each, columns parted by tabs."""
_SETTINGS = "Show every setting, its value and where that came from."

app = typer.Typer(
    help=_ABOUT + _CODES,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"retell-voice {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    pass


@app.command(help=_TALK + _CODES)
@command(TalkSettings)
def talk(
    settings: TalkSettings,
    *,
    speed: Annotated[float, typer.Option(hidden=True, min=0.1, max=100.0)] = 1.0,
) -> int:
    """Hold a call."""
    from retell_voice.cli.talk import talk  # noqa: PLC0415

    return talk(settings, speed)


@app.command(help=_EMULATOR.replace("[emulator]", r"\[emulator]"))
@command(EmulatorSettings)
def emulator(settings: EmulatorSettings) -> int:
    """Serve calls."""
    from retell_voice.cli.serve import serve  # noqa: PLC0415

    return serve(settings)


@app.command(help=_DEVICES)
def devices(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON: an array of objects.")] = False,
    debug: Annotated[bool, typer.Option("--debug", help="Show tracebacks of errors.")] = False,
) -> None:
    """List sound devices."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.cli.listing import list_all  # noqa: PLC0415

        list_all(as_json=as_json)


@app.command(help=_SETTINGS, name="settings")
@command(TalkSettings)
def show_settings(
    settings: TalkSettings,
    *,
    file: ConfigFile,
    example: Annotated[
        bool, typer.Option("--example", help="Print a config file with every default instead.")
    ] = False,
) -> int:
    """Show settings."""
    from retell_voice.cli import reference  # noqa: PLC0415

    if example:
        print(reference.example(), end="")
        return 0
    print(f"# config file, unless --config names another: {default_path()}")
    emulator = load(EmulatorSettings, file, os.environ, {})
    rows = [*reference.in_force(settings), *reference.in_force(emulator)]
    width = max(len(f"{key} = {value}") for key, value, _ in rows)
    for key, value, source in rows:
        print(f"{f'{key} = {value}':{width}}  # {source}")
    return 0
