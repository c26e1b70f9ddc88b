"""Which call the WebSocket of a caller may join."""

from __future__ import annotations

import re

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.calls import CallStatus, RegisteredCall
from retell_voice.emulator.dialects import DIALECTS
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.replies import HttpError

_CALL_ID = re.compile(r"[\w.~-]{1,200}", re.ASCII)  # that may be made up by a caller


class Doors:
    """Lets callers in.

    Args:
        registry: where the calls are kept.
        unregistered: format of calls that nobody registered; None: those are not let in.
        dialect: in which those speak.
    """

    def __init__(
        self, registry: Registry, unregistered: AudioFormat | None, dialect: str = "web"
    ) -> None:
        self._registry = registry
        self._unregistered = unregistered
        self._dialect = dialect

    def call_at(self, segments: list[str]) -> RegisteredCall:
        """Return the call that a WebSocket at this path may join.

        Raises:
            HttpError: none at that path: 404; not of this dialect: 400; in use: 409; over: 410.
        """
        match segments:
            case ["audio-websocket", call_id] if call_id:
                pass
            case _:
                raise HttpError(404, "there is no WebSocket at this path")
        call = self._registry.find(call_id)
        if self._unregistered is not None:
            if call is not None and call.over:
                self._registry.forget(call)
                call = None
            if call is None and _CALL_ID.fullmatch(call_id):
                call = RegisteredCall(
                    call_id=call_id, protocol=self._dialect, audio=self._unregistered
                )
                if not self._registry.register(call):
                    raise HttpError(503, "too many calls are registered or ongoing")
        if call is None:
            raise HttpError(404, "there is no call of this call_id")
        if call.status is CallStatus.ONGOING:
            raise HttpError(409, "this call has been joined already")
        if call.over:
            raise HttpError(410, "this call is over, or was not joined in time")
        if call.protocol == "gateway":
            raise HttpError(400, "this is a web call: it is joined at /webrtc-proxy")
        if call.protocol not in DIALECTS:
            why = f"this call was registered for {call.protocol}, which is not spoken here"
            raise HttpError(400, why)
        return call
