"""The lifecycle of an emulator's calls: each change is kept, reported, and sent to the webhook.

::

    register ──▶ join ──▶ end     call_started once joined, call_ended once over, and
        │                         call_analyzed where there is an analysis
        └──────▶ expire           call_ended only: the call never began

Runs in the emulator's event loop; a timer ends the calls that nobody joins.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from retell_voice.emulator.after_call import NOTHING_MADE_UP, AfterCall
from retell_voice.emulator.calls import Calls, RegisteredCall
from retell_voice.emulator.server_events import (
    CallExpired,
    CallRegistered,
    ServerEvent,
    ServerEvents,
)
from retell_voice.emulator.webhooks import Webhooks

_LEAST_WAIT = 0.001  # the loop's clock and that of the calls may differ by this


class Registry:
    """Keeps calls and reports what happens to them.

    Args:
        calls: where they are kept.
        server_events: where to report.
        now: the clock of the calls, Unix seconds.
        webhooks: sends webhooks, given what tells of them; None: nothing does.
        after_call: what calls have once they are over.

    Raises:
        ConfigError: webhooks cannot be sent.
    """

    def __init__(
        self,
        calls: Calls,
        server_events: ServerEvents,
        now: Callable[[], float],
        *,
        webhooks: Callable[[Callable[..., None]], Webhooks] | None = None,
        after_call: AfterCall = NOTHING_MADE_UP,
    ) -> None:
        self.calls = calls
        self._server_events = server_events
        self._now = now
        self._webhooks = webhooks(self._tell) if webhooks else None
        self._after_call = after_call
        self._loop: asyncio.AbstractEventLoop | None = None
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Start the timer that expires calls."""
        self._loop = asyncio.get_running_loop()
        self._sweep()

    async def stop(self) -> None:
        """Stop the timer; wait for webhooks that are still to be sent, a second at most."""
        self._loop = None
        if self._timer is not None:
            self._timer.cancel()
        if self._webhooks is not None:
            await self._webhooks.stop()

    def register(self, call: RegisteredCall) -> bool:
        """Add a new call; False if too many are registered or ongoing."""
        self._sweep()
        if not self.calls.add(call, self._now()):
            return False
        self._tell(CallRegistered, call, format=call.format)
        self._sweep()
        return True

    def find(self, call_id: str) -> RegisteredCall | None:
        """Return a call by its call_id, or None; it has expired if it was not joined in time."""
        self._sweep()
        return self.calls.get(call_id)

    def join(self, call: RegisteredCall) -> None:
        """Note that the caller is connected."""
        call.join(self._now())
        self._send("call_started", call)

    def end(self, call: RegisteredCall, why: str) -> None:
        """Note that a call is over; ``why`` is its ``disconnection_reason``."""
        after, has_begun = self._after_call, call.started_at is not None
        if has_begun:
            call.recording_url, call.public_log_url = after.recording_url, after.public_log_url
        call.end(self._now(), why)
        self._send("call_ended", call)
        if has_begun and after.call_analysis is not None:
            call.call_analysis = after.call_analysis
            self._send("call_analyzed", call)
        self.calls.weigh(call)

    def transcript_updated(self, call: RegisteredCall) -> None:
        """Note that more was said in a call."""
        self._send("transcript_updated", call)

    def changed(self, call: RegisteredCall) -> None:
        """Note that a call holds more than before."""
        self.calls.weigh(call)

    def forget(self, call: RegisteredCall) -> None:
        """Remove a call, so that its call_id can be used again; end it if it is not over."""
        if not call.over:
            self.end(call, "manual_stopped")
        self.calls.remove(call)

    def _sweep(self) -> None:
        for call in self.calls.expire(self._now()):
            self._tell(CallExpired, call, expiry=self.calls.expiry_of(call))
            self._send("call_ended", call)
        due = self.calls.next_expiry()
        if self._timer is None and self._loop is not None and due is not None:
            wait = max(due - self._now(), _LEAST_WAIT)
            self._timer = self._loop.call_later(wait, self._time_is_up)

    def _time_is_up(self) -> None:
        self._timer = None
        self._sweep()

    def _send(self, event: str, call: RegisteredCall) -> None:
        if self._webhooks is not None:
            self._webhooks.send(event, call)

    def _tell(self, kind: type[ServerEvent], call: RegisteredCall, **details: Any) -> None:
        at = 0.0 if call.started_at is None else self._now() - call.started_at
        self._server_events.tell(kind(call=call.name, at=at, **details))
