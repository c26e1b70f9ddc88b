"""Which call the WebSocket of a caller may join."""

from __future__ import annotations

import re
from collections.abc import Callable

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

    def call_at(
        self, segments: list[str], unproven: Callable[[RegisteredCall], str] = lambda _: ""
    ) -> RegisteredCall:
        """Return the call that a WebSocket at this path may join.

        Args:
            segments: of the path.
            unproven: returns what keeps the caller from having shown who it is; empty: nothing.
                A call that nobody registered is not kept for one who has not.

        Raises:
            HttpError: none at that path: 404; not of this dialect: 400; unproven: 403; in use: 409;
                over: 410; too many calls: 503.
        """
        match segments:
            case ["audio-websocket", call_id] if call_id:
                pass
            case _:
                raise HttpError(404, "there is no WebSocket at this path")
        call = self._registry.find(call_id)
        if self._unregistered is not None and (call is None or call.over):
            return self._made_up(call_id, self._unregistered, call, unproven)
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
        if why := unproven(call):
            raise HttpError(403, why)
        return call

    def _made_up(
        self,
        call_id: str,
        audio: AudioFormat,
        before: RegisteredCall | None,
        unproven: Callable[[RegisteredCall], str],
    ) -> RegisteredCall:
        if not _CALL_ID.fullmatch(call_id):
            raise HttpError(404, "there is no call of this call_id")
        call = RegisteredCall(call_id=call_id, protocol=self._dialect, audio=audio)
        if why := unproven(call):
            raise HttpError(403, why)
        if before is not None:
            self._registry.forget(before)
        if not self._registry.register(call):
            raise HttpError(503, "too many calls are registered or ongoing")
        return call
