"""Calls that others hold, and that we hear: joined over WebRTC as a listener."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable

from retell_voice.errors import ConfigError
from retell_voice.events import Event
from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.protocol.gateway import Admission
from retell_voice.rest.web_calls import listen_live, take_over
from retell_voice.secret import Secret, mask
from retell_voice.transport.monitor import Monitor
from retell_voice.transport.webrtc.route import WebRtcRoute


class ListenCall(WebRtcRoute):
    """What to dial to hear a call that is going on. It can be dialled once.

    ::

        listening = ListenCall("call_…", api_key=key)
        async with Call(listening, microphone=NullMicrophone()) as call: …
            await listening.take_over()  # now the caller talks to our microphone

    Both voices of the call come as the agent's, mixed; ``Transcript`` tells them apart. Nothing is
    sent, and leaving ends nothing but the listening, until the call has been taken over. It takes
    the extras ``webrtc`` and ``register``. Entering the call raises ``RestError`` where it cannot
    be listened to.

    Args:
        call_id: the call; a secret.
        api_key: Retell's key, with the permission to write calls; never shown.
        api_url: base of the REST API.
        transcript: follow the transcript.
        connect_timeout: seconds that the gateway may take to answer, and then to be connected.
        admit: asks to listen, as ``listen_live`` does.

    Raises:
        ConfigError: the URL cannot be one.
    """

    def __init__(
        self,
        call_id: str,
        *,
        api_key: str,
        api_url: str = DEFAULT_API_URL,
        transcript: bool = True,
        connect_timeout: float = 10.0,
        admit: Callable[..., Awaitable[Admission]] = listen_live,
    ) -> None:
        call_id, key = Secret(call_id), Secret(api_key)

        async def ask() -> Admission:
            return await admit(call_id, api_key=key, api_url=api_url)

        def follow(_: str, clock: Callable[[], float]) -> AsyncIterable[Event]:
            return Monitor(call_id, api_key=key, api_url=api_url, clock=clock)

        # Nothing stops the call if it cannot be joined: it is not ours.
        super().__init__(
            f"listening to {mask(call_id)}",
            ask,
            api_url=api_url,
            transcript=follow if transcript else None,
            connect_timeout=connect_timeout,
            speaks=False,
        )
        self._key, self._api_url = key, api_url
        self.call_id = call_id
        self.is_agents_place_ours = False
        """Whether the server has put us in the agent's place: leaving ends the call then."""
        self.taken_over = False
        """Whether it is us who talk to the caller now."""

    async def take_over(self) -> None:
        """Take the agent's place, for good: the caller hears us, and leaving ends the call.

        Raises:
            ConnectError: the server was not reached, or the gateway does not take our voice.
            RestError: the server refuses.
        """
        if self.admission is None:
            raise ConfigError("the call has not been joined yet")
        if self.taken_over:
            return
        if not self.is_agents_place_ours:
            await take_over(
                self.call_id, self.admission.identity, api_key=self._key, api_url=self._api_url
            )
            self.is_agents_place_ours = True
        await self.speak()
        self.taken_over = True
