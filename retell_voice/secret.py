"""Text that must not be shown: the call_id and the API key."""

from __future__ import annotations

import re
from typing import Any, Self, SupportsIndex


class Secret(str):
    """Text whose ``repr`` shows only its end.

    So tracebacks with local variables, dataclasses and logged containers do not leak it.
    Formatting, joining and JSON give plain text: do that only where it leaves the program, in a
    URL or a request. Inside the program, derive from it by slicing and stripping, or wrap it again.
    """

    __slots__ = ()

    def __repr__(self) -> str:
        return repr(mask(self))

    def __getitem__(self, key: SupportsIndex | slice) -> Secret:
        # rich cuts long strings before it asks for their repr.
        return _Part(super().__getitem__(key))

    def strip(self, chars: str | None = None, /) -> Self:
        """Return it stripped, as ``str.strip`` does, still a secret."""
        return type(self)(super().strip(chars))


class _Part(Secret):
    """A piece of a secret, whose end is not the secret's."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "'…'"


def mask(secret: str) -> str:
    """Return a secret (call_id, API key) in a form that may be shown: its last four characters.

    A secret of fewer than twelve characters is hidden completely.
    """
    return f"…{secret[-4:]}" if len(secret) >= 12 else "…"


def mask_url(url: str) -> str:
    """Return a URL without its possibly secret parts: user, password, query, fragment."""
    scheme, mark, rest = re.split(r"[?#]", url, maxsplit=1)[0].rpartition("://")
    host, slash, path = rest.partition("/")
    return f"{scheme}{mark}{host.rpartition('@')[2]}{slash}{path}"


def wrap_secrets(body: Any) -> Any:
    """Return parsed JSON with everything that lets one join or hear a call as ``Secret``."""
    if isinstance(body, dict):
        return {
            name: Secret(value)
            if isinstance(value, str) and (name in _NAMES or name.endswith("_url"))
            else wrap_secrets(value)
            for name, value in body.items()
        }
    return [wrap_secrets(each) for each in body] if isinstance(body, list) else body


_NAMES = ("call_id", "access_token")
