"""Web calls as they are today: created through the REST API, held over WebRTC."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Mapping
from typing import Any

from retell_voice.errors import ConfigError
from retell_voice.events import Event
from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.protocol.gateway import (
    CALLER,
    Admission,
    NotGateway,
    UnreadableAnswer,
    read_admission,
)
from retell_voice.rest.api import check_agent
from retell_voice.rest.calls import get_call
from retell_voice.rest.web_calls import create_web_call, stop_call
from retell_voice.secret import Secret, as_secret, mask
from retell_voice.transport.monitor import Monitor
from retell_voice.transport.webrtc.route import WebRtcRoute

_STOP_TIMEOUT = 1.0
_TIMEOUT = 5.0
_OVER = ("ended", "error")


class WebCall(WebRtcRoute):
    """What to dial for a web call, with Retell as it is today. It can be dialled once.

    ::

        async with Call(WebCall("agent_…", api_key=key)) as call: …
        async with Call(WebCall(admission)) as call: …   # one made elsewhere: needs no key

    It takes the extra ``webrtc``, and with an agent the extra ``register``. Entering the call
    creates and joins it, and raises ``RestError`` where it cannot be created. A call that is not
    entered after all, because that fails or is cancelled, is ended again.

    Args:
        call: the agent that is to answer; or the admission to a call that was created elsewhere:
            what ``create_web_call`` returned, or what the server answered to create-web-call.
        api_key: Retell's key, never shown. With it the transcript comes, too; with an agent there
            must be one.
        agent_version, metadata, dynamic_variables, agent_override, current_node_id, current_state:
            for an agent only; see ``create_web_call``.
        api_url: base of the REST API.
        transcript: follow the transcript; needs a key with the permission to write calls.
        polls: look the call up every five seconds while no transcript comes, in case nobody tells
            that it is over; needs a key. Without, it may go on in silence until you hang up.
        connect_timeout: seconds that the gateway may take to answer, and then to be connected.
        create: creates the call, as ``create_web_call`` does.

    Raises:
        ConfigError: the admission is not one, a key is missing, or the URL cannot be one.
    """

    def __init__(
        self,
        call: str | Admission | Mapping[str, Any],
        *,
        api_key: str | None = None,
        agent_version: int | str | None = None,
        metadata: Mapping[str, Any] | None = None,
        dynamic_variables: Mapping[str, str] | None = None,
        agent_override: Mapping[str, Any] | None = None,
        current_node_id: str | None = None,
        current_state: str | None = None,
        api_url: str = DEFAULT_API_URL,
        transcript: bool = True,
        polls: bool = True,
        connect_timeout: float = 10.0,
        create: Callable[..., Awaitable[Admission]] = create_web_call,
    ) -> None:
        key = None if api_key is None else as_secret("api_key", api_key)
        if not isinstance(call, str | Admission | Mapping):
            raise TypeError(
                "a web call takes an agent_id or what create-web-call answered, "
                f"not {type(call).__name__}"
            )
        for name, value in (("metadata", metadata), ("dynamic_variables", dynamic_variables)):
            if not isinstance(value, Mapping | None):
                raise TypeError(f"{name}= takes a mapping, not {type(value).__name__}")
        known: Admission | None = None
        options = {
            "agent_version": agent_version,
            "metadata": metadata,
            "dynamic_variables": dynamic_variables,
            "agent_override": agent_override,
            "current_node_id": current_node_id,
            "current_state": current_state,
        }
        given = {name: value for name, value in options.items() if value is not None}
        if isinstance(call, str):
            check_agent(call)
            label, agent_id = f"a web call with {call}", call
            if key is None:
                raise ConfigError(
                    "there is no API key to create a web call with",
                    "the key is in Retell's dashboard",
                )

            async def admit() -> Admission:
                return await create(agent_id, api_key=key, api_url=api_url, **given)

        else:
            admission = _admission(call)
            known, label = admission, mask(admission.call_id)
            if given:
                raise TypeError(f"the call has been created without these: {', '.join(given)}")

            async def admit() -> Admission:
                return admission

        async def stop(admission: Admission) -> None:
            # As a listener we were let into a call that is not ours.
            if key is not None and admission.identity == CALLER:
                await stop_call(
                    admission.call_id,
                    api_key=key,
                    api_url=api_url,
                    plain=True,  # there is no time to load the SDK
                    timeout=_STOP_TIMEOUT,
                )

        async def ended(admission: Admission) -> str | None:
            details = await get_call(
                admission.call_id, api_key=key or "", api_url=api_url, plain=True, timeout=_TIMEOUT
            )
            return (details.disconnection_reason or "ended") if details.status in _OVER else None

        def follow(call_id: str, clock: Callable[[], float]) -> AsyncIterable[Event]:
            return Monitor(call_id, api_key=key or "", api_url=api_url, clock=clock)

        super().__init__(
            label,
            admit,
            api_url=api_url,
            stop=stop,
            transcript=follow if transcript and key is not None else None,
            ended=ended if polls and key is not None else None,
            connect_timeout=connect_timeout,
        )
        self.admission = known

    @property
    def call_id(self) -> str | None:
        """The call's id, a secret; None before it is known."""
        return None if self.admission is None else self.admission.call_id


def _admission(call: Admission | Mapping[str, Any]) -> Admission:
    try:
        admission = call if isinstance(call, Admission) else read_admission(call)
    except NotGateway as error:
        raise ConfigError(str(error), "calls over LiveKit are not supported") from None
    except UnreadableAnswer as error:
        raise ConfigError(
            f"this is not what create-web-call answers: {error}",
            "give the server's answer to create-web-call, unchanged",
        ) from None
    return Admission(
        call_id=Secret(admission.call_id),
        access_token=Secret(admission.access_token),
        identity=admission.identity,
        ice_servers=admission.ice_servers,
        expires_at=admission.expires_at,
    )
