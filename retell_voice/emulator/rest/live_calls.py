"""Calls that are going on, in the REST API: listening in, taking over, steering. Pure.

::

    POST  /v2/listen-live-call/{id}       what lets its bearer listen
    POST  /v2/take-over-live-call/{id}    {"participant_id"}: puts a listener in the agent's place
    PATCH /v2/update-live-call/{id}       {"fields_to_override", "call_control"}: steers the agent
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Protocol

from retell_voice.emulator.calls import STORAGE, CallStatus, RegisteredCall
from retell_voice.emulator.rest.fields import Fields, parse_object
from retell_voice.emulator.rest.replies import HttpError
from retell_voice.protocol.gateway import Admission, admission_body

MAX_METADATA = 50_000
"""Longest metadata, bytes of JSON (Retell, "Update Call")."""

_SUCCESS = {"success": True}


class LiveCalls(Protocol):
    """Who has a hold on the calls that are going on. All raise ``HttpError`` where it cannot."""

    def create(self, call: RegisteredCall) -> Admission:
        """Register a web call and return what lets its caller join."""

    def stop(self, call: RegisteredCall) -> None:
        """End a call soon."""

    def listen(self, call: RegisteredCall) -> Admission:
        """Return what lets somebody listen."""

    def take_over(self, call: RegisteredCall, identity: str) -> None:
        """Put a listener in the agent's place."""

    def steer(self, call: RegisteredCall, context: str | None, respond: bool) -> None:
        """Give the agent context, and have it respond."""


def listen(call: RegisteredCall, live: LiveCalls) -> dict[str, Any]:
    """Answer ``POST /v2/listen-live-call``."""
    require_ongoing(call)
    body = admission_body(live.listen(call))
    del body["call_id"]
    return body | {"room_name": f"web_call_{call.number}"}


def take_over(call: RegisteredCall, body: bytes, live: LiveCalls) -> dict[str, Any]:
    """Answer ``POST /v2/take-over-live-call``."""
    identity = parse_object(body).string("participant_id", required=True)
    require_ongoing(call)
    live.take_over(call, identity)
    return _SUCCESS


def update_live(call: RegisteredCall, body: bytes, live: LiveCalls) -> dict[str, Any]:
    """Answer ``PATCH /v2/update-live-call``: all of it is done, or nothing."""
    read = parse_object(body)
    fields, control = read.inner("fields_to_override"), read.inner("call_control")
    changes = Overrides.read(call, fields) if fields is not None else None
    context = control.string("additional_context") if control is not None else None
    if control is not None and context == "":
        control.wrong("additional_context", "must not be empty")
    respond = bool(control is not None and control.boolean("trigger_response"))
    require_ongoing(call)
    if changes is not None:
        changes.apply(call)
    if context or respond:
        live.steer(call, context, respond)
    return _SUCCESS


def require_ongoing(call: RegisteredCall) -> None:
    """Refuse a call that is not going on: 422."""
    if call.status is not CallStatus.ONGOING:
        raise HttpError(422, f"call_id is of a call that is {call.status}, not ongoing")


@dataclass(frozen=True, slots=True)
class Overrides:
    """What a request changes of a call; None: nothing.

    Attributes:
        metadata, storage: as in the call.
        variables: override those of the call; empty: they no longer do.
    """

    metadata: dict[str, Any] | None
    storage: Any
    variables: dict[str, str] | None

    @classmethod
    def read(cls, call: RegisteredCall, read: Fields) -> Overrides:
        """Read the fields; raises ``HttpError`` 422, naming the one that is wrong."""
        name = "override_dynamic_variables"
        variables = read.map(name, str, "strings")
        return cls(
            read_metadata(read),
            read_storage(call, read),
            {} if variables is None and read.has(name) else variables,
        )

    def apply(self, call: RegisteredCall) -> None:
        """Change the call."""
        call.metadata = call.metadata if self.metadata is None else self.metadata
        call.storage = self.storage or call.storage
        if self.variables is not None:
            before = (call.dynamic_overrides or {}) if self.variables else {}
            call.dynamic_overrides = {**before, **self.variables} or None


def read_metadata(read: Fields) -> Any:
    """Return ``metadata``; None if it is absent."""
    metadata = read.object("metadata")
    if metadata is not None and len(json.dumps(metadata)) > MAX_METADATA:
        read.wrong("metadata", f"must not be longer than {MAX_METADATA} bytes")
    return metadata


def read_storage(call: RegisteredCall, read: Fields) -> Any:
    """Return ``data_storage_setting``, which only becomes stricter; None if it is absent."""
    storage = read.choice("data_storage_setting", STORAGE)
    if storage is not None and STORAGE.index(storage) < STORAGE.index(call.storage):
        read.wrong("data_storage_setting", f"cannot go back to {storage} from {call.storage}")
    return storage
