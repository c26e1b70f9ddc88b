"""Commands whose help and errors look alike."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any, TypeVar

import typer
from typer.core import TyperCommand, TyperGroup

from retell_voice.program.unchecked import Unchecked

F = TypeVar("F", bound=Callable[..., Any])


class _Help:
    """Help that breaks what is too long for its column instead of cutting it off, but no names."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from rich.columns import Columns
        from rich.table import Table
        from rich.text import Text
        from typer import rich_utils

        class Whole(Table):
            def add_row(self, *cells: Any, **options: Any) -> None:
                *others, last = cells
                if isinstance(last, Columns) and all(isinstance(t, Text) for t in last.renderables):
                    texts: list[Any] = last.renderables
                    last = Text(" ").join(texts)  # columns would cut it off themselves
                super().add_row(*_simplified(others), last, **options)
                for column in self.columns[:-1]:
                    column.no_wrap = True
                self.columns[-1].overflow = "fold"

        drawing: Any = rich_utils  # typer has no setting for it
        given, drawing.Table = drawing.Table, Whole
        try:
            super().format_help(ctx, formatter)  # type: ignore[misc]  # of the class beside it
        finally:
            drawing.Table = given


def _simplified(cells: list[Any]) -> list[Any]:
    """Return an option's cells with --name and --no-name as --[no-]name, and without the types of
    Python: nobody needs <bool> beside --help."""
    from rich.text import Text

    names = [cell.plain if isinstance(cell, Text) else "" for cell in cells]
    for number, name in enumerate(names):
        negative = f"--no-{name[2:]}"
        if name.startswith("--") and negative in names:
            cells[number] = Text(f"--[no-]{name[2:]}", style="bold cyan")
            cells[names.index(negative)] = Text()
        elif re.fullmatch(r"<\w+(\[\w+\])?>", name):
            cells[number] = Text()
    return cells


class Commands(_Help, Unchecked, TyperGroup):
    """A group of commands."""


class Command(_Help, Unchecked, TyperCommand):
    """A command that suggests none of the options that its help does not show."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        try:
            rest: list[str] = super().parse_args(ctx, args)
        except Exception as error:  # NoSuchOption and others, which typer keeps to itself
            if getattr(error, "ctx", ctx) is None:  # its parser forgets whose options they are
                error.ctx = ctx  # type: ignore[attr-defined]  # typer has no types for it
            if similar := getattr(error, "possibilities", None):
                hidden = {o for p in self.params if getattr(p, "hidden", False) for o in p.opts}
                error.possibilities = [each for each in similar if each not in hidden]  # type: ignore[attr-defined]  # typer has no types for it
            raise
        return rest


class Program(typer.Typer):
    """Commands whose help and errors look alike."""

    def __init__(self, *, cls: type[TyperGroup] = Commands, **more: Any) -> None:
        super().__init__(cls=cls, rich_markup_mode="rich", **more)

    def command(self, name: str | None = None, **more: Any) -> Callable[[F], F]:
        """Add a command, as typer does."""
        return super().command(name, cls=Command, **more)
