"""Tables: drawn on a terminal; elsewhere one line per row, columns separated by tabs."""

from __future__ import annotations

from collections.abc import Sequence

from retell_voice.program.stdout import is_terminal, put, say
from retell_voice.shown import clean


def print_table(columns: Sequence[str], rows: Sequence[Sequence[str]], none: str) -> None:
    """Print a table.

    Args:
        columns: their names, for people only.
        rows: the cells; may contain text from a server.
        none: what to print without rows.
    """
    cells = [[clean(cell) for cell in row] for row in rows]
    if not is_terminal():
        for row in cells:
            put("\t".join(row).rstrip() + "\n")
    elif not cells:
        say(none)
    else:
        _draw(columns, cells)


def _draw(columns: Sequence[str], cells: Sequence[Sequence[str]]) -> None:
    from rich.console import Console  # only for a terminal
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, header_style="bold", pad_edge=False)
    for name in columns:
        # An id is there to be copied.
        table.add_column(name, overflow="fold", no_wrap=name.endswith("_id"))
    for row in cells:
        table.add_row(*map(escape, row))
    Console(highlight=False).print(table)
