"""Values of the command line that typer leaves as they are.

It would check even what was not given, with pydantic, which takes longer to load than all else that
a command line needs.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any


class Unchecked:
    """Comes before typer's class of a command or of a group of them.

    What was not given is not checked, nor are the options named by the attribute ``rows`` of the
    function: the table of settings reads them.
    """

    callback: Any

    def get_params(self, ctx: Any) -> list[Any]:
        """Return the parameters, as the class of the parser does."""
        rows = getattr(self.callback, "rows", ())
        parameters: list[Any] = super().get_params(ctx)  # type: ignore[misc]  # of typer's class
        for each in parameters:
            if "process_value" not in vars(each):
                each.process_value = partial(_process, each, each.process_value, each.name in rows)
        return parameters


def _process(
    parameter: Any, process: Callable[..., Any], read_by_table: bool, context: Any, value: Any
) -> Any:
    if value is None and not parameter.required:
        call = parameter.callback
        return call(context, parameter, None) if call else None
    is_given = isinstance(value, str | bool | list | tuple)  # and no mark of click's
    return value if read_by_table and is_given else process(context, value)
