"""The errors of a REST API, in words for people. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

from retell_voice.errors import FieldRefused, KeyRefused, NotFound, RestError, TooManyRequests
from retell_voice.net.http import error_words

_NO_PATH = re.compile(r"(?i)\b(path|route|endpoint|url)\b|^cannot (get|post|patch) /")
"""What servers say if a path of the URL is wrong, and not the id."""
_NOT_FOUND = re.compile(
    r"(?i)\b(cannot|can't|could not|couldn't) find\b|\bnot found\b|\bdoes not exist\b"
)
"""What servers say, often with 422, if they have nothing with that id."""


def refusal(
    status: int,
    body: Any,
    *,
    host: str,
    path: str,
    what: str,
    fields: Iterable[str],
    wait: float | None,
    hide: Callable[[str], str],
) -> RestError:
    """Return the error for a response.

    Args:
        status, body: of the response; the body as parsed JSON, or text.
        host, path: of the request, without secrets.
        what: what the request was about, for people.
        fields: names of the request's fields.
        wait: seconds that the response asks to wait, if it does.
        hide: removes secrets from a text.
    """
    said = hide(error_words(body))
    words = f": {said[:200]}" if said else ""
    error: RestError
    match status:
        case 401:
            error = KeyRefused(
                f"server: {host} does not accept the API key{words}",
                "check the key, and that it belongs to this server",
                status=status,
            )
        case 402:
            error = RestError(
                f"server: {host} requires payment{words}",
                "check credit and payment method in Retell's dashboard",
                status=status,
            )
        case 403:
            error = KeyRefused(
                f"server: {host} does not allow this API key to do that{words}",
                "check the key's permissions in Retell's dashboard",
                status=status,
            )
        case 404 if not isinstance(body, Mapping) or _NO_PATH.search(said):
            error = NotFound(
                f"server: {host} has nothing at {path}",
                "check the URL of the API (--api-url)",
                status=status,
            )
        case 400 | 404 | 422 if status == 404 or _NOT_FOUND.search(said):
            error = NotFound(
                f"server: {host} knows no {what}{words}",
                "check the id and the URL, and that the id belongs to the API key's account",
                status=status,
            )
        case 400 | 422:
            field = next((name for name in fields if re.search(rf"\b{name}\b", said)), "")
            error = FieldRefused(
                f"server: {host} does not accept {field or 'the request'}{words}",
                status=status,
                field=field,
            )
        case 429:
            error = TooManyRequests(
                f"server: {host} has too many requests or calls{words}",
                "wait a little" if wait is None else f"wait {wait:.0f} s",
                status=status,
                retry_after=wait,
            )
        case _:
            phrase = HTTPStatus(status).phrase if status in set(HTTPStatus) else ""
            error = RestError(
                f"server: {host} answered HTTP {status} {phrase}".rstrip() + words,
                "redirects are not followed: name the server" if 300 <= status < 400 else "",
                status=status,
            )
    return error
