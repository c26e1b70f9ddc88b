"""Retell's side of a call, on your own machine.

``Emulator`` serves register-call, get-call and the Audio WebSocket on one port. To test your
hardware against a server that does what you want, give it an agent::

    async def agent(session: Session) -> None:
        await session.send_audio(samples, "Hello!")
        async for heard in session:                # until the caller hangs up
            ...

    async with Emulator(agent=agent, record=True) as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        ...                                        # connect to f"{emulator.url}/{call.call_id}"
        await call.wait()
        print(len(call.received), call.disconnection_reason)

Ready-made agents: ``parrot_agent``, ``silent_agent``, ``scenario_agent`` (a TOML file) and
``llm_agent`` (your LLM server, with the TTS and ASR of ``open_engines``).
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from retell_voice.emulator.agents import Agent, parrot_agent, silent_agent
    from retell_voice.emulator.calls import CallStatus, RegisteredCall
    from retell_voice.emulator.dialogue.settings import DialogueSettings
    from retell_voice.emulator.llm.agent import llm_agent
    from retell_voice.emulator.llm.dial import LinkSettings
    from retell_voice.emulator.llm.server_events import (
        AgentReconfigured,
        DigitPressed,
        LlmAsked,
        LlmFailed,
        LlmLinkChanged,
        LlmMessageMalformed,
        LlmMessageUnknown,
        LlmRetrying,
        LlmStatistics,
        MetadataForwarded,
        ResponseDropped,
        ResponseOverdue,
        SpeechLost,
        ToolCalled,
        ToolReturned,
        TransferRequested,
        UserTyped,
    )
    from retell_voice.emulator.parrot import ParrotSettings
    from retell_voice.emulator.recordings import CALLER, GREETING
    from retell_voice.emulator.scenario import scenario_agent
    from retell_voice.emulator.server import Emulator
    from retell_voice.emulator.server_events import (
        AgentInterrupted,
        AgentSpoke,
        CallEnded,
        CallerFrames,
        CallerMalformed,
        CallExpired,
        CallJoined,
        CallRefused,
        CallRegistered,
        ListenerJoined,
        ScenarioFailed,
        ScenarioStep,
        ServerEvent,
        ServerEvents,
        UserPressed,
        UserSpoke,
        WebhookFailed,
        WebhookSent,
    )
    from retell_voice.emulator.session import CallOver, Session
    from retell_voice.emulator.speech.engines import Engines, open_engines
    from retell_voice.emulator.speech.vad import DetectorSettings

__all__ = [
    "CALLER",
    "GREETING",
    "Agent",
    "AgentInterrupted",
    "AgentReconfigured",
    "AgentSpoke",
    "CallEnded",
    "CallExpired",
    "CallJoined",
    "CallOver",
    "CallRefused",
    "CallRegistered",
    "CallStatus",
    "CallerFrames",
    "CallerMalformed",
    "DetectorSettings",
    "DialogueSettings",
    "DigitPressed",
    "Emulator",
    "Engines",
    "LinkSettings",
    "ListenerJoined",
    "LlmAsked",
    "LlmFailed",
    "LlmLinkChanged",
    "LlmMessageMalformed",
    "LlmMessageUnknown",
    "LlmRetrying",
    "LlmStatistics",
    "MetadataForwarded",
    "ParrotSettings",
    "RegisteredCall",
    "ResponseDropped",
    "ResponseOverdue",
    "ScenarioFailed",
    "ScenarioStep",
    "ServerEvent",
    "ServerEvents",
    "Session",
    "SpeechLost",
    "ToolCalled",
    "ToolReturned",
    "TransferRequested",
    "UserPressed",
    "UserSpoke",
    "UserTyped",
    "WebhookFailed",
    "WebhookSent",
    "llm_agent",
    "open_engines",
    "parrot_agent",
    "scenario_agent",
    "silent_agent",
]

_ROOMS = {
    "Agent": "agents",
    "AgentInterrupted": "server_events",
    "AgentReconfigured": "llm.server_events",
    "AgentSpoke": "server_events",
    "CALLER": "recordings",
    "CallEnded": "server_events",
    "CallExpired": "server_events",
    "CallJoined": "server_events",
    "CallOver": "session",
    "CallRefused": "server_events",
    "CallRegistered": "server_events",
    "CallStatus": "calls",
    "CallerFrames": "server_events",
    "CallerMalformed": "server_events",
    "DetectorSettings": "speech.vad",
    "DialogueSettings": "dialogue.settings",
    "DigitPressed": "llm.server_events",
    "Emulator": "server",
    "Engines": "speech.engines",
    "GREETING": "recordings",
    "LinkSettings": "llm.dial",
    "ListenerJoined": "server_events",
    "LlmAsked": "llm.server_events",
    "LlmFailed": "llm.server_events",
    "LlmLinkChanged": "llm.server_events",
    "LlmMessageMalformed": "llm.server_events",
    "LlmMessageUnknown": "llm.server_events",
    "LlmRetrying": "llm.server_events",
    "LlmStatistics": "llm.server_events",
    "MetadataForwarded": "llm.server_events",
    "ParrotSettings": "parrot",
    "RegisteredCall": "calls",
    "ResponseDropped": "llm.server_events",
    "ResponseOverdue": "llm.server_events",
    "ScenarioFailed": "server_events",
    "ScenarioStep": "server_events",
    "ServerEvent": "server_events",
    "ServerEvents": "server_events",
    "Session": "session",
    "SpeechLost": "llm.server_events",
    "ToolCalled": "llm.server_events",
    "ToolReturned": "llm.server_events",
    "TransferRequested": "llm.server_events",
    "UserPressed": "server_events",
    "UserSpoke": "server_events",
    "UserTyped": "llm.server_events",
    "WebhookFailed": "server_events",
    "WebhookSent": "server_events",
    "llm_agent": "llm.agent",
    "open_engines": "speech.engines",
    "parrot_agent": "agents",
    "scenario_agent": "scenario",
    "silent_agent": "agents",
}
"""The public names and the modules they are in, which are loaded on first use: the worker of an
engine needs none of them."""


def __getattr__(name: str) -> Any:
    if name not in _ROOMS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = getattr(import_module(f"{__name__}.{_ROOMS[name]}"), name)
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
