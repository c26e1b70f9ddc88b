"""The commands of ``retell-voice config``. Heavy modules are imported inside them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retell_voice.cli import manual
from retell_voice.program import stdout
from retell_voice.program.commands import Program
from retell_voice.program.failure import reported
from retell_voice.program.options import Debug, command
from retell_voice.settings.load import ConfigFile, default_path
from retell_voice.settings.tables.talk import TalkSettings

app = Program(
    name="config",
    help="Show the settings and where they come from, or write a config file.",
    no_args_is_help=True,
)


@app.command(
    help=manual.SHOW,
    short_help="Show every setting, its value and where it came from.",
)
@command(TalkSettings)
def show(settings: TalkSettings, *, file: ConfigFile) -> int:
    """Show settings."""
    from retell_voice.cli import configure

    configure.show(settings, file)
    return 0


@app.command()
def path() -> None:
    """Print where the config file is looked for without --config."""
    stdout.say(str(default_path()))


@app.command(
    help=manual.INIT,
    short_help="Write a config file with every setting, for you to edit.",
)
def init(
    file: Annotated[
        Path | None,
        typer.Argument(metavar="FILE", help="Where to write it; by default the usual place."),
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Replace an existing file.")
    ] = False,
    debug: Debug = False,
) -> None:
    """Write a config file."""
    with reported(debug=debug):
        from retell_voice.cli import configure

        configure.init(file, force=force)
