"""Webhooks: what becomes of calls, posted to the developer's server as Retell posts it.

::

    POST {url}      X-Retell-Signature: v=<Unix ms>,d=<hex HMAC-SHA256 of body + Unix ms>
    {"event": one of ``EVENTS``, "call": {as get-call shows it}, "data": {the same}}

Those of one call are sent in their order, each up to four times until it is answered with
2xx within ten seconds; one that fails does not keep the next from being sent (Retell,
"Webhook Overview"). ``data`` is what servers of earlier years read. ``transcript_updated`` is sent
to those who ask for it only; one that still waits is replaced by the next, which says all of it
again.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any, Literal, cast, get_args

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.http_post import HttpPoster, PostError
from retell_voice.emulator.javascript import stringify
from retell_voice.emulator.rest.call_json import call_body
from retell_voice.emulator.server_events import WebhookFailed, WebhookSent
from retell_voice.errors import ConfigError

WebhookName = Literal["call_started", "call_ended", "call_analyzed", "transcript_updated"]
EVENTS: tuple[WebhookName, ...] = get_args(WebhookName)
"""What webhooks tell: in that order, but ``transcript_updated``."""

DEFAULT_EVENTS = EVENTS[:3]
"""Those that are sent unless it is said otherwise, as Retell's are."""

TIMEOUT = 10.0
"""Seconds within which a webhook must be answered."""

PAUSES = (1.0, 2.0, 4.0)
"""Seconds before the second try, the third and the fourth."""

MAX_WAITING = 1000
"""Webhooks that may wait to be sent; one more is dropped, and told."""

_AT_ONCE = 50  # connections
_REPLACED = "transcript_updated"
_STOP = 1.0  # seconds for those that wait when the emulator stops


class Webhooks:
    """Sends webhooks and tells what became of them.

    Args:
        url: where to.
        key: the API key that signs.
        tell: takes what happened, a kind of server_event with the call and details.
        events: those that are sent.
        now: the clock of the signatures, Unix seconds.
        timeout: seconds within which one must be answered.
        pauses: seconds before each further try.

    Raises:
        ConfigError: nothing can be sent to that URL, or there is no key.
    """

    def __init__(
        self,
        url: str,
        key: str | None,
        tell: Callable[..., None],
        *,
        events: Iterable[str] = DEFAULT_EVENTS,
        now: Callable[[], float] = time.time,
        timeout: float = TIMEOUT,
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        if not key:
            raise ConfigError(
                "a webhook is signed with the API key, and there is none",
                "give the key that your server verifies with",
            )
        self._poster = HttpPoster(url)
        self._key = key.encode()
        self._tell = tell
        self._events = frozenset(events)
        self._now = now
        self._timeout = timeout
        self._pauses = pauses
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._queues: dict[RegisteredCall, deque[tuple[str, bytes]]] = {}
        self._senders: set[asyncio.Task[None]] = set()
        self._waiting = 0

    def send(self, event: str, call: RegisteredCall) -> None:
        """Send a call as it is now, after what is still to be sent of it; returns at once."""
        if event not in self._events:
            return
        body = webhook_body(event, call_body(call))
        queue = self._queues.setdefault(call, deque())
        if event == _REPLACED and len(queue) > 1 and queue[-1][0] == event:
            queue[-1] = event, body  # the first of the queue is on its way
            return
        if self._waiting >= MAX_WAITING:
            if not queue:
                del self._queues[call]
            why = f"{MAX_WAITING} are waiting already"
            self._tell(WebhookFailed, call, event=event, why=why)
            return
        self._waiting += 1
        queue.append((event, body))
        if len(queue) == 1:
            sender = asyncio.create_task(self._send_all(call, queue))
            self._senders.add(sender)
            sender.add_done_callback(self._senders.discard)

    async def stop(self) -> None:
        """Wait a second at most for those that are still to be sent, and drop the rest."""
        if senders := set(self._senders):
            await asyncio.wait(senders, timeout=_STOP)
            for sender in senders:
                sender.cancel()
            await asyncio.gather(*senders, return_exceptions=True)

    async def _send_all(self, call: RegisteredCall, queue: deque[tuple[str, bytes]]) -> None:
        try:
            while queue:
                await self._send(call, *queue[0])
                queue.popleft()
                self._waiting -= 1
        finally:
            del self._queues[call]
            self._waiting -= len(queue)
            for event, _ in queue:
                self._tell(WebhookFailed, call, event=event, why="the emulator stopped")

    async def _send(self, call: RegisteredCall, event: str, body: bytes) -> None:
        for pause in (*self._pauses, None):
            try:
                async with self._slots:
                    signature = {"X-Retell-Signature": sign(body, self._key, self._now())}
                    status = await self._poster.post(body, signature, self._timeout)
            except PostError as error:
                again = pause is not None
                self._tell(WebhookFailed, call, event=event, why=str(error), again=again)
                await asyncio.sleep(pause or 0)
            else:
                self._tell(WebhookSent, call, event=event, status=status)
                return


def parse_events(text: str) -> tuple[WebhookName, ...]:
    """Read names of webhooks, separated by commas.

    Raises:
        ValueError: one is none; says what there is.
    """
    names = text.replace(",", " ").split()
    for name in names:
        if name not in EVENTS:
            raise ValueError(f"{name} is not one of {', '.join(EVENTS)}")
    return cast(tuple[WebhookName, ...], tuple(names))


def sign(body: bytes, key: bytes, now: float) -> str:
    """Return ``X-Retell-Signature`` of a body; ``now`` in Unix seconds."""
    stamp = str(round(now * 1000))
    return f"v={stamp},d={hmac.new(key, body + stamp.encode(), hashlib.sha256).hexdigest()}"


def webhook_body(event: str, call: dict[str, Any]) -> bytes:
    """Return the body of a webhook, as JavaScript writes it."""
    return stringify({"event": event, "call": call, "data": call}).encode()
