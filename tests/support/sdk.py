"""Retell's SDK, loaded when a test first uses it.

Loading it takes a second, which each of the processes that collect tests would need.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import retell as retell  # noqa: PLC0414 - for others
else:

    class _Later:
        def __getattr__(self, name: str) -> Any:
            if name.startswith("_"):  # pytest looks whether it is a test
                raise AttributeError(name)
            return getattr(import_module("retell"), name)

    retell = _Later()


def verify(body: str, api_key: str, signature: str) -> bool:
    """Whether a webhook's signature is right, as the SDK sees it."""
    return bool(import_module("retell.lib").verify(body, api_key, signature))
