"""Retell's REST API: create, register, look up and control calls; agents and voices.

::

    admission = await create_web_call("agent_…", api_key=key)
    details = await get_call(admission.call_id, api_key=key)

It goes through Retell's own SDK, which comes with ``pip install 'retell-voice[register]'`` and
is loaded by the first request.
"""

from retell_voice.net.http import DEFAULT_API_URL
from retell_voice.rest.account import (
    Agent,
    AgentDetails,
    NoSuchName,
    Voice,
    find_agent,
    get_agent,
    get_concurrency,
    list_agents,
    list_calls,
    list_voices,
    similar_agents,
)
from retell_voice.rest.calls import CallDetails, Registration, get_call, register_call
from retell_voice.rest.web_calls import (
    create_web_call,
    listen_live,
    stop_call,
    take_over,
    update_live,
)

__all__ = [
    "DEFAULT_API_URL",
    "Agent",
    "AgentDetails",
    "CallDetails",
    "NoSuchName",
    "Registration",
    "Voice",
    "create_web_call",
    "find_agent",
    "get_agent",
    "get_call",
    "get_concurrency",
    "list_agents",
    "list_calls",
    "list_voices",
    "listen_live",
    "register_call",
    "similar_agents",
    "stop_call",
    "take_over",
    "update_live",
]
