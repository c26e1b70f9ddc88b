"""Retell's REST API as far as a caller needs it: register a call, look one up.

::

    call = await register_call("agent_…", api_key=key, audio=AudioFormat(rate=16000))
    async with Call(call.call_id, audio=call.audio) as conversation:
        ...
    details = await get_call(call.call_id, api_key=key)

It goes through Retell's own SDK, which comes with ``pip install 'retell-voice[register]'`` and
is loaded by the first request.
"""

from retell_voice.rest.api import DEFAULT_API_URL
from retell_voice.rest.calls import CallDetails, Registration, get_call, register_call

__all__ = ["DEFAULT_API_URL", "CallDetails", "Registration", "get_call", "register_call"]
