"""Retell's side of a call, on your own machine.

``Emulator`` serves register-call, get-call and the Audio WebSocket on one port. To test your
own hardware against a server of your making, give it an agent::

    async def agent(session: Session) -> None:
        await session.send_audio(samples, "Hello!")
        async for heard in session:                # until the caller hangs up
            ...

    async with Emulator(agent=agent, record=True) as emulator:
        call = emulator.register(AudioFormat(rate=16000))
        ...                                        # connect to f"{emulator.url}/{call.call_id}"
        await call.wait()
        print(len(call.received), call.disconnection_reason)
"""

from retell_voice.emulator.agents import Agent, parrot_agent, silent_agent
from retell_voice.emulator.calls import CallStatus, RegisteredCall
from retell_voice.emulator.happenings import (
    AgentInterrupted,
    AgentSpoke,
    CallEnded,
    CallJoined,
    CallRefused,
    CallRegistered,
    Happening,
    Happenings,
    UserSpoke,
)
from retell_voice.emulator.parrot import ParrotSettings
from retell_voice.emulator.recordings import CALLER, GREETING
from retell_voice.emulator.server import Emulator
from retell_voice.emulator.session import CallOver, Session
from retell_voice.emulator.speech.vad import DetectorSettings

__all__ = [
    "CALLER",
    "GREETING",
    "Agent",
    "AgentInterrupted",
    "AgentSpoke",
    "CallEnded",
    "CallJoined",
    "CallOver",
    "CallRefused",
    "CallRegistered",
    "CallStatus",
    "DetectorSettings",
    "Emulator",
    "Happening",
    "Happenings",
    "ParrotSettings",
    "RegisteredCall",
    "Session",
    "UserSpoke",
    "parrot_agent",
    "silent_agent",
]
