"""The program ``retell-voice``: its commands, of which it loads what it is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer

from retell_voice import __version__
from retell_voice.cli import manual
from retell_voice.program import stdout
from retell_voice.program.commands import Program
from retell_voice.program.failure import reported


def program(arguments: Sequence[str] = ()) -> typer.Typer:
    """Return the program with the one command that these arguments ask for, or else all of it.

    Typer builds every command it has before it runs one, which takes a tenth of a second, and
    loading them all takes half as long.
    """
    name = arguments[0] if arguments else ""
    app = Program(
        help=manual.ABOUT,
        invoke_without_command=True,
        pretty_exceptions_enable=False,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_program)
    if name == "--version":
        return app
    from retell_voice.cli.talk_command import talk

    app.command(help=manual.TALK)(talk)
    if name == "talk":
        return app
    from retell_voice.cli import account_commands, commands, config_commands
    from retell_voice.kiosk.commands import app as kiosk

    app.registered_commands += commands.app.registered_commands
    account_commands.add_to(app)
    app.add_typer(kiosk)
    app.add_typer(config_commands.app)
    one = [
        each
        for each in app.registered_commands
        if name in (each.name, getattr(each.callback, "__name__", None))
    ]
    group = [
        each
        for each in app.registered_groups
        if each.typer_instance and name == each.typer_instance.info.name
    ]
    if one or group:
        app.registered_commands, app.registered_groups = one, group
    return app


def _version(wanted: bool) -> None:
    if wanted:
        stdout.say(f"retell-voice {__version__}")
        raise typer.Exit


def _program(
    context: typer.Context,
    version: Annotated[  # noqa: ARG001 - its callback shows it
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        with reported():
            from retell_voice.cli.start import look, next_step

            stdout.say("\n".join(next_step(look())))
