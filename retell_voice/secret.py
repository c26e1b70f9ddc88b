"""Text that must not be shown: the call_id and the API key."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from functools import lru_cache
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


def as_secret(name: str, value: str) -> Secret:
    """Return an argument as a secret.

    Raises:
        TypeError: it is no text; names it.
    """
    if not isinstance(value, str):
        raise TypeError(f"{name}= takes text, not {type(value).__name__}")
    return Secret(value)


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


def hiding(secrets: Iterable[str]) -> Callable[[str], str]:
    """Return what masks these secrets in any text from outside, however they are written there.

    As they are, in capitals, and with any of their characters escaped as in a URL (also more than
    once), in JSON or in HTML. One of fewer than eight characters is hidden where it stands alone.
    """
    # The longest first: one may be the beginning of another.
    found = [(each.lower(), each) for each in sorted(set(secrets), key=len, reverse=True) if each]

    def hide(text: str) -> str:
        escaped = any(mark in text for mark in _MARKS) and _ESCAPED.search(text) is not None
        lowered = text.lower()
        for low, secret in found:
            if escaped or low in lowered:
                text = _pattern(secret).sub(mask(secret), text)
                lowered = text.lower()
        return text

    return hide


_ESCAPED = re.compile(r"%[0-9a-fA-F]{2}|\\+[ux]|&#")
_MARKS = ("%", "\\u", "\\x", "&#")
"""What there must be of it, which is found fifty times as fast: servers repeat long texts."""


@lru_cache(64)  # 10 kB each, and a few milliseconds; hardly any text needs one
def _pattern(secret: str) -> re.Pattern[str]:
    """Return what finds a secret with any of its characters escaped."""
    each = "".join(map(_escaped, secret))
    return re.compile(each if len(secret) >= 8 else rf"(?<!\w){each}(?!\w)", re.IGNORECASE)


def _escaped(character: str) -> str:
    code = ord(character)
    url = "".join(f"%(?:25)*{byte:02x}" for byte in character.encode("utf-8", "replace"))
    json = rf"\\+(?:u{code:04x}|x{code:02x}|{re.escape(character)})"
    return rf"(?:{re.escape(character)}|{url}|{json}|&#(?:0*{code}|x0*{code:x});)"


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
