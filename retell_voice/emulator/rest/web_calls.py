"""Web calls in the REST API: creating one. Pure."""

from __future__ import annotations

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.rest.fields import parse_object

AUDIO = AudioFormat(rate=24000)
"""What an agent exchanges with the caller of a web call; on its way it is Opus."""

V2_REFUSED = (
    "v2 web calls run on LiveKit, which the emulator does not speak, and Retell has deprecated "
    "them: POST /v3/create-web-call"
)


def parse_web_call(body: bytes) -> RegisteredCall:
    """Read the body of ``POST /v3/create-web-call``; fields it does not know are ignored.

    ``agent_override``, ``current_node_id`` and ``current_state`` are checked, and mean nothing to
    the agents here.

    Raises:
        HttpError: 400 when it is not a JSON object, 422 naming the field that is wrong.
    """
    read = parse_object(body)
    agent_id = read.string("agent_id", required=True)
    if not agent_id:
        read.wrong("agent_id", "must not be empty")
    for name in ("current_node_id", "current_state"):
        read.string(name)
    read.object("agent_override")
    return RegisteredCall(
        agent_id=agent_id,
        agent_version=read.version("agent_version"),
        protocol="gateway",
        audio=AUDIO,
        metadata=read.object("metadata"),
        dynamic_variables=read.map("retell_llm_dynamic_variables", str, "strings"),
    )
