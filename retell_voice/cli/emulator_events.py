"""What an emulator in this process tells, as far as it is for whoever talks."""

from __future__ import annotations

from retell_voice.emulator import (
    LlmFailed,
    LlmLinkChanged,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    ResponseDropped,
    ResponseOverdue,
    ScenarioFailed,
    ServerEvent,
    SpeechLost,
)
from retell_voice.emulator.llm.dial import HUNG_UP
from retell_voice.engine.outcome import LLM_FAILED, LLM_NOT_REACHED
from retell_voice.secret import mask_url


def is_warning(server_event: ServerEvent) -> bool:
    """Tell whether it is of something that somebody ought to mend."""
    match server_event:
        case LlmMessageMalformed() | LlmMessageUnknown() | LlmRetrying() | ResponseOverdue():
            return True
        case SpeechLost() | ScenarioFailed():
            return True
        case LlmLinkChanged(state=state):
            return state == "lost"
        case LlmFailed(why=why):
            return why != HUNG_UP
        case ResponseDropped(asked=asked):
            return not asked
    return False


def hint(reason: str, llm: str | None) -> str:
    """Return what to try where the emulator closed a call with an error.

    Args:
        reason: its words.
        llm: URL of the LLM server, if there was one.
    """
    if llm is None or not reason.startswith(LLM_FAILED):
        return ""
    where = f"your LLM server at {mask_url(llm)}"
    if reason.startswith(LLM_NOT_REACHED):
        return f"is {where} running?"
    return f"{where} may say more of it"
