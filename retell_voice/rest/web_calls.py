"""Web calls: create one, or listen to an ongoing one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from retell_voice.errors import ConfigError, RestError
from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.protocol.gateway import (
    Admission,
    NotGateway,
    UnreadableAnswer,
    create_body,
    read_admission,
)
from retell_voice.rest.api import TIMEOUT, Api, check_agent
from retell_voice.secret import Secret, as_secret, mask

CREATE_TIMEOUT = 10.0
"""Seconds that creating a call may take."""


async def create_web_call(
    agent_id: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    agent_version: int | str | None = None,
    metadata: Mapping[str, Any] | None = None,
    dynamic_variables: Mapping[str, str] | None = None,
    agent_override: Mapping[str, Any] | None = None,
    current_node_id: str | None = None,
    current_state: str | None = None,
    plain: bool = False,
    timeout: float = CREATE_TIMEOUT,  # noqa: ASYNC109 - of the one try
) -> Admission:
    """Create a web call; the result lets its bearer join, once, within half a minute.

    Never retried: a second request would create a second call.

    Args:
        agent_id: the agent that answers.
        api_key: Retell's key; never shown.
        api_url: base of the REST API; ``http://`` to another machine gets a warning in the log.
        agent_version: a number, a tag, ``latest`` or ``latest_published``.
        metadata: stored with the call, any JSON object.
        dynamic_variables: substituted in the agent's prompt.
        agent_override: fields of the agent that are different for this call.
        current_node_id: node at which a conversation flow starts.
        current_state: state in which an agent with states starts.
        plain: without Retell's SDK, which need not be installed then.
        timeout: seconds that the server may take.

    Raises:
        ConfigError: the SDK is not installed, or the key or URL is invalid.
        ConnectError: the server was not reached.
        KeyRefused, NotFound, FieldRefused, TooManyRequests: as documented.
        RestError: the server answered with another error, or with a call of another kind.
    """
    api_key = as_secret("api_key", api_key)
    check_agent(agent_id)
    api = Api(api_url, api_key, timeout, what=f"agent {agent_id}", plain=plain)
    body = create_body(
        agent_id,
        agent_version=agent_version,
        metadata=metadata,
        dynamic_variables=dynamic_variables,
        agent_override=agent_override,
        current_node_id=current_node_id,
        current_state=current_state,
    )
    answer = await api.send("POST", "/v3/create-web-call", body, tries=1)
    return _admission(answer, api)


async def stop_call(
    call_id: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    plain: bool = False,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of one try
) -> None:
    """End an ongoing call; arguments and errors as for ``create_web_call``.

    Raises:
        FieldRefused: the call is not ongoing.
    """
    api, path = _about(call_id, "/v2/stop-call", api_key, api_url, timeout, plain=plain)
    await api.send("POST", path)


async def listen_live(
    call_id: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of the one try
) -> Admission:
    """Ask to listen to an ongoing call; arguments and errors as for ``create_web_call``.

    Returns:
        What lets its bearer join as a silent listener; its ``identity`` is what ``take_over``
        needs.
    """
    api, path = _about(call_id, "/v2/listen-live-call", api_key, api_url, timeout)
    return _admission(await api.send("POST", path, {}, tries=1), api, call_id)


async def take_over(
    call_id: str,
    identity: str,
    *,
    api_key: str,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of the one try
) -> None:
    """Put a listener in the agent's place, for good; errors as for ``create_web_call``.

    Args:
        call_id: the call.
        identity: of the listener, as ``listen_live`` returned it.
        api_key, api_url, timeout: as for ``create_web_call``.
    """
    api, path = _about(call_id, "/v2/take-over-live-call", api_key, api_url, timeout)
    _check_success(await api.send("POST", path, {"participant_id": identity}, tries=1), api)


async def update_live(
    call_id: str,
    *,
    api_key: str,
    additional_context: str | None = None,
    trigger_response: bool = False,
    metadata: Mapping[str, Any] | None = None,
    dynamic_variables: Mapping[str, str] | None = None,
    data_storage_setting: str | None = None,
    api_url: str = DEFAULT_API_URL,
    timeout: float = TIMEOUT,  # noqa: ASYNC109 - of the one try
) -> None:
    """Control an ongoing call; whatever is None stays unchanged.

    Args:
        call_id: the call.
        additional_context: text for the agent's next response; enters the transcript.
        trigger_response: make the agent respond now, interrupting itself; has no effect while the
            user speaks.
        metadata: replaces that of the call, 50 kB at most.
        dynamic_variables: override those of the call; others are kept.
        data_storage_setting: ``everything``, ``everything_except_pii`` or
            ``basic_attributes_only``; can only become stricter.
        api_key, api_url, timeout: as for ``create_web_call``; errors, too.

    Raises:
        ConfigError: nothing to change.
    """
    control: dict[str, Any] = {}
    if additional_context:
        control["additional_context"] = additional_context
    if trigger_response:
        control["trigger_response"] = True
    override = {
        "metadata": metadata,
        "override_dynamic_variables": dynamic_variables,
        "data_storage_setting": data_storage_setting,
    }
    override = {name: value for name, value in override.items() if value is not None}
    body: dict[str, Any] = {}
    if control:
        body["call_control"] = control
    if override:
        body["fields_to_override"] = override
    if not body:
        raise ConfigError("there is nothing to change in the call")
    api, path = _about(call_id, "/v2/update-live-call", api_key, api_url, timeout)
    _check_success(await api.send("PATCH", path, body, tries=1), api)


def _about(
    call_id: str, path: str, api_key: str, api_url: str, timeout: float, *, plain: bool = False
) -> tuple[Api, str]:
    call_id, api_key = as_secret("call_id", call_id), as_secret("api_key", api_key)
    what = f"call {mask(call_id)}"
    api = Api(api_url, api_key, timeout, what=what, call_id=call_id, plain=plain)
    return api, Secret(f"{path}/{quote(call_id, safe='')}")


def _admission(answer: Any, api: Api, call_id: str | None = None) -> Admission:
    try:
        return read_admission(api.object(answer), call_id)
    except NotGateway as error:
        raise RestError(
            f"server: {error}", "calls over LiveKit are not supported", status=200
        ) from None
    except UnreadableAnswer as error:
        raise api.senseless(str(error)) from None


def _check_success(answer: Any, api: Api) -> None:
    if api.object(answer).get("success") is not True:
        raise api.senseless("it does not say that it was done")
