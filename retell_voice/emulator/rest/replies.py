"""Requests, replies and errors of the REST API. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

_STATUSES = {status.value for status in HTTPStatus}


@dataclass(frozen=True)
class Request:
    """One HTTP request; header names in lower case."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


@dataclass(frozen=True)
class Reply:
    """One HTTP response; ``body`` is any JSON value, of which a 204 has none, or the text of
    another content type."""

    status: int
    body: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    content_type: str = "application/json"

    def encode(self) -> bytes:
        """Return the body as it is sent."""
        is_json = self.content_type == "application/json"
        return (json.dumps(self.body) if is_json else str(self.body)).encode()


class HttpError(Exception):
    """Refuses a request, with a status and a message."""

    def __init__(self, status: int, message: str, **headers: str) -> None:
        super().__init__(message)
        self.reply = error_reply(status, message, headers)


def error_reply(status: int, message: str, headers: Mapping[str, str] | None = None) -> Reply:
    """Return an error in the form of Retell's REST API."""
    body = {"status": "error", "message": message, "error_message": message}
    return Reply(status, body, headers or {})


def phrase(status: int) -> str:
    """Return the reason phrase of a status, empty if it has none."""
    return HTTPStatus(status).phrase if status in _STATUSES else ""
