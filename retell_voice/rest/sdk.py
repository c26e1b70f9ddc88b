"""Loads Retell's SDK, without the part that takes most of its time."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from functools import cache
from importlib.machinery import ModuleSpec, PathFinder
from importlib.util import LazyLoader
from types import ModuleType
from typing import Any

from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install


class _LazyTypes:
    """Makes ``retell.types`` load when first used: it takes more than a second, for nothing.

    The SDK imports it at once; its models describe answers, which we take as plain JSON.
    """

    @staticmethod
    def find_spec(
        name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        spec = PathFinder.find_spec(name, path, target) if name == "retell.types" else None
        if spec is not None and spec.loader is not None:
            spec.loader = LazyLoader(spec.loader)
        return spec


@cache
def load_sdk() -> Any:
    """Return the SDK; takes a quarter of a second or more the first time.

    Raises:
        ConfigError: it is not installed.
    """
    sys.meta_path.insert(0, _LazyTypes)
    try:
        import retell  # noqa: PLC0415 - slow, and only needed for requests
    except ImportError:
        raise ConfigError("Retell's SDK is not installed", how_to_install("register")) from None
    finally:
        sys.meta_path.remove(_LazyTypes)
    return retell
