"""The commands of ``retell-voice kiosk``. Heavy modules are imported inside them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperGroup

from retell_voice.errors import ConfigError
from retell_voice.kiosk import manual
from retell_voice.program.failure import reported
from retell_voice.program.options import Command, command
from retell_voice.settings.load import ConfigFile, environment, load, load_again, read_file
from retell_voice.settings.tables import KioskSettings

_RUN = "run"


class _Group(TyperGroup):
    """Runs a kiosk if no command is given."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        if not args or (args[0] not in self.commands and args[0] not in ("-h", "--help")):
            args = [_RUN, *args]
        rest: list[str] = super().parse_args(ctx, args)
        return rest


app = typer.Typer(name="kiosk", help=manual.ABOUT, cls=_Group, rich_markup_mode="rich")


@app.command(_RUN, help=manual.RUN, short_help="Run a kiosk, until a signal ends it.", cls=Command)
@command(KioskSettings)
def run(settings: KioskSettings, *, file: ConfigFile) -> int:
    """Run a kiosk."""
    if sys.platform == "win32":
        raise ConfigError("a kiosk needs Linux, or a system like it")
    from retell_voice.kiosk.journal import begin_logging, end_logging
    from retell_voice.kiosk.program import run

    handler = begin_logging()
    try:
        return run(settings, lambda: load_again(settings, file.path))
    finally:
        end_logging(handler)


_Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="The kiosk's config file (TOML).")
]
_Socket = Annotated[
    str | None, typer.Option("--socket", metavar="PATH", help="The kiosk's control socket.")
]
_Json = Annotated[bool, typer.Option("--json", metavar="", help="As JSON.")]
_Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")]


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
    debug: _Debug = False,
) -> None:
    """Show how it is."""
    with reported(debug=debug):
        from retell_voice.kiosk.ask import show_status

        show_status(_path(config, socket), as_json=as_json)


@app.command(help=manual.CALL, short_help="Make it call.")
def call(*, socket: _Socket = None, config: _Config = None, debug: _Debug = False) -> None:
    """Call."""
    _tell(config, socket, debug, "call")


@app.command("hang-up", help=manual.HANG_UP, short_help="Make it hang up.")
def hang_up(*, socket: _Socket = None, config: _Config = None, debug: _Debug = False) -> None:
    """Hang up."""
    _tell(config, socket, debug, "hang-up")


@app.command(help=manual.MUTE, short_help="Mute it, or unmute it.")
def mute(
    *,
    off: Annotated[bool, typer.Option("--off", metavar="", help="Unmute it.")] = False,
    socket: _Socket = None,
    config: _Config = None,
    debug: _Debug = False,
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
    debug: _Debug = False,
) -> None:
    """Set the volume."""
    with reported(debug=debug):
        try:
            number = int(percent)
        except ValueError:
            raise ConfigError(f"{percent!r} is not a volume: 80, +10 or -10") from None
    _tell(config, socket, debug, "volume", percent=number, relative=percent[:1] in "+-")


@app.command(help=manual.RELOAD, short_help="Make it reread its config file.")
def reload(*, socket: _Socket = None, config: _Config = None, debug: _Debug = False) -> None:
    """Reread the settings."""
    _tell(config, socket, debug, "reload")


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
    debug: _Debug = False,
) -> None:
    """Show calls."""
    with reported(debug=debug):
        from retell_voice.kiosk.ask import show_logs

        show_logs(_path(config, socket), calls, follow=follow, as_json=as_json)
