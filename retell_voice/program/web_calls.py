"""Web calls from the settings: created with the agent they name, or created elsewhere."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from retell_voice.engine.web_call import WebCall
from retell_voice.errors import ConfigError, TooManyRequests
from retell_voice.extras import how_to_install
from retell_voice.program.account import AGENT_ID, account, key_from
from retell_voice.program.call_fields import CallFields
from retell_voice.program.registration import registration_key, retry_when_busy
from retell_voice.protocol.gateway import Admission
from retell_voice.rest import create_web_call
from retell_voice.secret import wrap_secrets
from retell_voice.settings.load import find_key
from retell_voice.settings.schema import DEFAULT
from retell_voice.settings.tables.call import AgentCallSettings
from retell_voice.transport.webrtc.route import find_libraries

if TYPE_CHECKING:  # of no use where the call is with another server
    from retell_voice.emulator import Emulator

_OTHERS = (
    *("url", "encoding", "rate", "alignment", "text_heartbeat"),
    *("direction", "from_number", "to_number", "end_call_after_silence_ms"),
)
"""Settings that apply to the Audio WebSocket but not to web calls."""
_MOST = 1 << 20


def is_web_call(settings: AgentCallSettings) -> bool:
    """Return whether a call with the agent in the settings is a web call."""
    if settings.transport.value != "auto":
        return settings.transport.value == "webrtc"
    return settings.agent.value is not None and settings.url.source == DEFAULT


def new_web_call(
    settings: AgentCallSettings,
    told: CallFields,
    *,
    plain: bool = False,
    waiting: Callable[[TooManyRequests, float], None] = lambda _error, _seconds: None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> WebCall:
    """Return what to dial for a web call with the agent in the settings.

    Dialling looks the agent up if it is a name, and retries as ``retry_when_busy`` does.

    Args:
        settings: agent and server.
        told: what the call is told.
        plain: without Retell's SDK, but to look up a name.
        waiting: called before each wait with the reason and the seconds.
        sleep: sleeps this many seconds.

    Raises:
        ConfigError: no agent or no key, or an option that web calls do not support.
    """
    check_options(settings)
    key = registration_key(settings)

    async def create(agent: str, **more: Any) -> Admission:
        async def ask() -> Admission:
            return await create_web_call(found, plain=plain, **more)

        with key_from(key):
            is_id = AGENT_ID.fullmatch(agent)
            found = agent if is_id else await account(settings, key).agent_id(agent)
        return await retry_when_busy(ask, key, waiting=waiting, sleep=sleep)

    return WebCall(
        settings.agent.value or "",
        api_key=key.value,
        agent_version=told.agent_version,
        metadata=told.metadata,
        dynamic_variables=told.dynamic_variables,
        current_node_id=settings.node.value,
        current_state=settings.state.value,
        api_url=settings.api_url.value,
        transcript=settings.updates.value,
        create=create,
    )


def web_call_from(settings: AgentCallSettings, path: str) -> WebCall:
    """Return what to dial for a web call that was created elsewhere.

    Args:
        settings: where it was created, and the key for its transcript if there is one.
        path: of a file with what the server answered to create-web-call; ``-``: standard input.

    Raises:
        ConfigError: it cannot be read, or is not that.
    """
    check_options(settings)
    try:
        if path == "-":
            text = sys.stdin.read(_MOST)
        else:
            with open(os.path.expanduser(path), encoding="utf-8") as file:
                text = file.read(_MOST)
        answer = json.loads(text)
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"--web-call: {path} cannot be read: {why}") from None
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise ConfigError(
            f"--web-call: {'standard input' if path == '-' else path}: not a JSON object",
            "give the server's answer to create-web-call, unchanged",
        )
    return WebCall(
        wrap_secrets(answer),
        api_key=find_key(settings.api_key).value,
        api_url=settings.api_url.value,
        transcript=settings.updates.value,
    )


def web_call_of(emulator: Emulator, told: CallFields, key: str | None) -> WebCall:
    """Return what to dial for a web call with an emulator of this process.

    Args:
        emulator: with which.
        told: what the call is told.
        key: the emulator's API key; None: it takes any.

    Raises:
        RuntimeError: there are too many calls.
    """
    admission = emulator.create_web_call(**told.said())
    return WebCall(admission, api_key=key or "any", api_url=emulator.api_url)


def require_packages(agent: str) -> None:
    """See that all is installed that it takes to call an agent, given by id or name.

    Raises:
        ConfigError: something is missing; the hint installs all of it.
    """
    try:
        find_libraries()
        if not AGENT_ID.fullmatch(agent) and find_spec("retell") is None:
            raise ConfigError("Retell's SDK, which looks up an agent's name, is not installed")
    except ConfigError as error:
        raise ConfigError(str(error), how_to_install("retell")) from None


def check_options(settings: AgentCallSettings) -> None:
    """Raise ``ConfigError`` if the command line has options that web calls do not support."""
    given = [each.source for name in _OTHERS if (each := getattr(settings, name)).is_flag]
    if settings.frame_ms.is_flag and settings.frame_ms.value != 20:
        given.append(settings.frame_ms.source)
    if given:
        raise ConfigError(
            f"{' and '.join(given)}: not for web calls",
            "--transport websocket registers a call that has it, on an Audio WebSocket server",
        )
