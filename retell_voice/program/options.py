"""Commands whose options are made from the table of settings."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Annotated, Any, TypeVar, get_type_hints

import typer

from retell_voice.devices.portaudio.stderr import native_stderr_silenced
from retell_voice.errors import ConfigError
from retell_voice.program.failure import complain, reported
from retell_voice.secret import Secret
from retell_voice.settings.load import (
    ConfigFile,
    environment,
    load,
    read_file,
    unknown_variables,
)
from retell_voice.settings.schema import Setting, Settings, table
from retell_voice.settings.tables.call import NEW

S = TypeVar("S", bound=Settings)
_Parameter = inspect.Parameter
_OTHER = "Other"
_FILE = "file"  # a parameter of this name is no option: it gets the config file that was read

_CONFIG = Annotated[
    Path | None,
    typer.Option(
        "--config",
        metavar="FILE",
        rich_help_panel=_OTHER,
        help="Config file (TOML). Without it: config.toml in your configuration directory, "
        "if there is one.",
    ),
]


def _pairs(flag: str, text: str) -> Any:
    return typer.Option(flag, metavar="NAME=VALUE", rich_help_panel=NEW, help=text)


Metadata = Annotated[list[str] | None, _pairs("--metadata", "Kept with the call; repeatable.")]
Variables = Annotated[
    list[str] | None,
    _pairs("--dynamic-variable", "Stands in the agent's prompt for {{NAME}}; repeatable."),
]
"""Fields of a new call that are not settings; ``program.call_fields`` reads both."""

Debug = Annotated[bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")]
"""For commands without settings; those that ``command`` makes have it in a panel of their own."""

_DEBUG = Annotated[
    bool,
    typer.Option("--debug", metavar="", rich_help_panel=_OTHER, help="Show tracebacks of errors."),
]


def json_option(text: str) -> Any:
    """Return the option ``--json`` with its help."""
    return typer.Option("--json", metavar="", help=text)


def of_setting(settings: type[Settings], name: str) -> Any:
    """Return the option of one setting, for a command that has only some of a table."""
    row = table(settings)[name]
    return typer.Option(row.flag, metavar=row.metavar, help=describe(row), show_default=False)


def describe(row: Setting) -> str:
    """Return the help of a setting, with what it accepts and its default."""
    text = row.help.replace("[", r"\[")  # which rich would take for a style
    if row.allowed:
        text += f" One of {row.allowed}." if row.choices else f" {row.allowed}."
    if row.kind is bool:
        text += f" Default: {'on' if row.default else 'off'}."
    elif row.default not in (None, ""):
        text += f" Default: {row.default}."
    return text


def command(
    settings: type[S], only: Collection[str] | None = None
) -> Callable[[Callable[..., int]], Callable[..., None]]:
    """Make a function a command with an option for every setting of a table, or for some of them.

    The function takes the loaded settings first and returns the exit code; parameters of its
    own, keyword-only and annotated for typer, become options too.
    """
    rows = {
        name: row
        for name, row in table(settings).items()
        if row.is_option and (only is None or name in only)
    }

    def decorate(function: Callable[..., int]) -> Callable[..., None]:
        hints = get_type_hints(function, include_extras=True)
        own = list(inspect.signature(function).parameters.values())[1:]
        wants_file = any(each.name == _FILE for each in own)
        own = [each for each in own if each.name != _FILE]
        parameters = [_parameter(name, row) for name, row in rows.items()]
        parameters += [each.replace(annotation=hints[each.name]) for each in own]
        parameters += [
            _Parameter("config", _Parameter.KEYWORD_ONLY, default=None, annotation=_CONFIG),
            _Parameter("debug", _Parameter.KEYWORD_ONLY, default=False, annotation=_DEBUG),
        ]

        def run(**given: Any) -> None:
            flags = {name: _masked(given.pop(name), row) for name, row in rows.items()}
            debug = given.pop("debug")
            file = ConfigFile()
            with (
                native_stderr_silenced(),
                reported(debug=debug, as_json=lambda: _wants_json(flags, rows, file)),
            ):
                file = read_file(given.pop("config"))
                environ = environment()
                for warning in (*file.warnings, *unknown_variables(environ)):
                    complain(warning)
                loaded = load(settings, file, environ, flags)
                if wants_file:
                    given[_FILE] = file
                code = function(loaded, **given)
            raise SystemExit(code)

        run.rows = frozenset(rows)  # type: ignore[attr-defined]  # see ``Unchecked``
        run.__doc__ = function.__doc__
        run.__name__ = function.__name__
        run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # mypy knows it not
        run.__annotations__ = {each.name: each.annotation for each in parameters}
        return run

    return decorate


def _masked(given: Any, row: Setting) -> Any:
    return Secret(given) if row.kind is Secret and given is not None else given


def _wants_json(flags: dict[str, Any], rows: dict[str, Setting], file: ConfigFile) -> bool:
    """Tell whether errors, too, are wanted as JSON, when not all settings may be readable."""
    if "json" not in rows:
        return False
    if flags["json"] is not None:
        return bool(flags["json"])
    try:
        if text := environment().get(rows["json"].env):
            return bool(rows["json"].parse(text, ""))
    except ConfigError:
        return False
    return ("", "json") in file.values and bool(file.values["", "json"].value)


def _parameter(name: str, row: Setting) -> _Parameter:
    """Return a setting as a parameter of a command; None is "not given"."""
    kind: Any = bool if row.kind is bool else list[str] if row.repeated else str
    info: Any
    if not row.flag.startswith("--"):
        info = typer.Argument(metavar=row.flag, help=describe(row), show_default=False)
    else:
        flag = f"{row.flag}/--no-{row.flag[2:]}" if row.kind is bool else row.flag
        info = typer.Option(
            flag,
            metavar="" if row.kind is bool else row.metavar,  # a flag takes no value
            help=describe(row),
            show_default=False,
            rich_help_panel=row.panel,
        )
    return _Parameter(
        name, _Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, info]
    )
