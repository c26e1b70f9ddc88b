"""Options that mean nothing without others."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from retell_voice.errors import ConfigError
from retell_voice.settings.schema import Sourced, table

_GO_WITH: Mapping[str, tuple[str, ...]] = {
    "input_format": ("input_file",),
    "input_loop": ("input_file",),
    "input_wait": ("input_file", "typed"),
    "output_format": ("output_file",),
    "record_minutes": ("record",),
    "levels": ("json",),
    "interruptible": ("local",),
}


def refuse_what_has_no_effect(settings: Any) -> None:
    """See that options of the command line have those they go with; others may be for other calls.

    Args:
        settings: an instance of a table of settings.

    Raises:
        ConfigError: one has none.
    """
    rows = table(type(settings))
    for name in (each for each in _GO_WITH if each in rows):
        given: Sourced[Any] = getattr(settings, name)
        if not given.is_flag or given.value == rows[name].default:
            continue
        others = [each for each in _GO_WITH[name] if each in rows]
        if not any(getattr(settings, each).value for each in others):
            flags = " or ".join(rows[each].flag for each in others)
            raise ConfigError(f"{given.source} goes with {flags}", "alone it does nothing")
