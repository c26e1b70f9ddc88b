"""The commands of ``retell-voice kiosk``. Heavy modules are imported inside them."""

from __future__ import annotations

import functools
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from retell_voice.errors import ConfigError
from retell_voice.kiosk import manual
from retell_voice.program.commands import Commands, Program
from retell_voice.program.failure import reported
from retell_voice.program.options import Debug, command, json_option
from retell_voice.settings.load import ConfigFile, environment, load, read_file
from retell_voice.settings.tables.kiosk import KioskSettings

_RUN = "run"
_LOUDEST = 200


class _Group(Commands):
    """Runs a kiosk if no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0].startswith("-") and args[0] not in ("-h", "--help")):
            args = [_RUN, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


app = Program(name="kiosk", help=manual.ABOUT, cls=_Group)


class _HandOver(BaseException):
    """What comes next is another program, once everything of this one is as it was."""

    def __init__(self, arguments: list[str]) -> None:
        super().__init__()
        self.arguments = arguments


@command(KioskSettings)
def _check(settings: KioskSettings, *, file: ConfigFile) -> int:
    """Run a kiosk."""
    if sys.platform == "win32":
        raise ConfigError("a kiosk needs Linux, or a system like it")
    from retell_voice.kiosk.handed_over import words
    from retell_voice.program.companions import refuse_what_has_no_effect

    refuse_what_has_no_effect(settings)
    raise _HandOver([*words(settings, file.path)])


@functools.wraps(_check)
def _run(**given: Any) -> None:
    try:
        _check(**given)
    except _HandOver as over:
        debug = ["debug=1"] if given.get("debug") else []
        python = [sys.executable, "-m", "retell_voice.kiosk", *over.arguments, *debug]
        sys.stdout.flush()
        os.execv(sys.executable, python)  # noqa: S606 - this Python


app.command(_RUN, help=manual.RUN, short_help="Run a kiosk, until a signal ends it.")(_run)


_Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The kiosk's config file (TOML).")
]
_Socket = Annotated[
    str | None, typer.Option("--socket", metavar="PATH", help="The kiosk's control socket.")
]
_Json = Annotated[bool, json_option("As JSON.")]


def _path(config: Path | None, socket: str | None) -> Path:
    from retell_voice.kiosk.places import find_socket

    settings = load(KioskSettings, read_file(config), environment(), {"socket": socket})
    return find_socket(settings)


def _tell(config: Path | None, socket: str | None, debug: bool, do: str, **fields: Any) -> None:
    with reported(debug=debug):
        from retell_voice.kiosk.ask import tell

        tell(_path(config, socket), do, **fields)


@app.command(help=manual.STATUS, short_help="Show the kiosk's status.")
def status(
    *,
    as_json: _Json = False,
    socket: _Socket = None,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Show how it is."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.kiosk.ask import show_status

        show_status(_path(config, socket), as_json=as_json)


@app.command(help=manual.CALL, short_help="Make it call.")
def call(*, socket: _Socket = None, config: _Config = None, debug: Debug = False) -> None:
    """Call."""
    with reported(debug=debug):
        from retell_voice.kiosk.ask import call as call_

        call_(_path(config, socket))


@app.command("hang-up", help=manual.HANG_UP, short_help="Make it hang up.")
def hang_up(*, socket: _Socket = None, config: _Config = None, debug: Debug = False) -> None:
    """Hang up."""
    _tell(config, socket, debug, "hang-up")


@app.command(help=manual.MUTE, short_help="Mute it, or unmute it.")
def mute(
    *,
    off: Annotated[bool, typer.Option("--off", metavar="", help="Unmute it.")] = False,
    socket: _Socket = None,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Mute."""
    _tell(config, socket, debug, "mute", on=not off)


@app.command(
    help=manual.VOLUME,
    short_help="Set its volume.",
    context_settings={"ignore_unknown_options": True},  # -10 is a number
)
def volume(
    percent: Annotated[str, typer.Argument(metavar="PERCENT", help="0–200, +10 or -10.")],
    *,
    socket: _Socket = None,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Set the volume."""
    with reported(debug=debug):
        try:
            number = int(percent)
        except ValueError:
            raise ConfigError(f"{percent!r} is not a volume: 80, +10 or -10") from None
        relative = percent[:1] in "+-"
        if not relative and number > _LOUDEST:
            raise ConfigError(f"{number} is outside 0–{_LOUDEST} %")
    _tell(config, socket, debug, "volume", percent=number, relative=relative)


@app.command(help=manual.RELOAD, short_help="Make it reread its config file.")
def reload(*, socket: _Socket = None, config: _Config = None, debug: Debug = False) -> None:
    """Reread the settings."""
    _tell(config, socket, debug, "reload")


_System = Annotated[
    bool | None,
    typer.Option(
        "--system/--user",
        metavar="",
        help="A system unit, which has the sound card to itself, or a unit of your user, beside "
        "PipeWire. Default: your user's if PipeWire or PulseAudio runs for you.",
    ),
]
_Dry = Annotated[bool, typer.Option("--dry-run", metavar="", help="Only show what would be done.")]


@app.command(help=manual.INSTALL, short_help="Install it as a systemd service.")
def install(
    *,
    system: _System = None,
    dry_run: _Dry = False,
    no_start: Annotated[
        bool, typer.Option("--no-start", metavar="", help="Start it only at the next boot.")
    ] = False,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Install it."""
    with reported(debug=debug):
        from retell_voice.kiosk.service import commands

        commands.install(config, system=system, dry_run=dry_run, start=not no_start)


@app.command(help=manual.UNINSTALL, short_help="Remove that service.")
def uninstall(*, system: _System = None, dry_run: _Dry = False, debug: Debug = False) -> None:
    """Remove it."""
    with reported(debug=debug):
        from retell_voice.kiosk.service import commands

        commands.uninstall(system=system, dry_run=dry_run)


@app.command(help=manual.DOCTOR, short_help="Check what a kiosk needs.")
def doctor(*, as_json: _Json = False, config: _Config = None, debug: Debug = False) -> None:
    """Examine."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.kiosk.examining import commands

        code = commands.doctor(config, as_json=as_json)
    raise SystemExit(code)


@app.command(help=manual.LOGS, short_help="Show its last calls.")
def logs(
    *,
    calls: Annotated[
        int, typer.Option(min=1, max=1000, metavar="N", help="Number of calls to show.")
    ] = 20,
    follow: Annotated[
        bool, typer.Option("--follow", metavar="", help="Keep printing new calls.")
    ] = False,
    as_json: _Json = False,
    socket: _Socket = None,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Show calls."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.kiosk.ask import show_logs

        show_logs(_path(config, socket), calls, follow=follow, as_json=as_json)
