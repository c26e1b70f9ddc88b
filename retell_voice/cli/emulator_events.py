"""Server events of an emulator in this process, those that concern the person talking."""

from __future__ import annotations

from retell_voice.emulator import (
    LlmFailed,
    LlmLinkChanged,
    LlmMessageMalformed,
    LlmMessageUnknown,
    LlmRetrying,
    ResponseDropped,
    ResponseOverdue,
    ServerEvent,
    SpeechLost,
)
from retell_voice.engine.outcome import LLM_FAILED
from retell_voice.secret import mask_url


def is_warning(server_event: ServerEvent) -> bool:
    """Return whether it reports something that somebody should fix.

    Whatever ends the call is not: it is the error that the call ends with.
    """
    match server_event:
        case LlmMessageMalformed() | LlmMessageUnknown() | LlmRetrying() | ResponseOverdue():
            return True
        case SpeechLost():
            return True
        case LlmLinkChanged(state=state):
            return state == "lost"
        case ResponseDropped(asked=asked):
            return not asked
    return False


def hint(reason: str, llm: str | None, failed: LlmFailed | None = None) -> str:
    """Return what to try after the emulator closed a call with an error.

    Args:
        reason: the close reason.
        llm: URL of the LLM server, if there was one.
        failed: what the emulator reported about that server.
    """
    if llm is None or not reason.startswith(LLM_FAILED):
        return ""
    where = f"your LLM server at {mask_url(llm)}"
    if failed is not None and failed.hint:
        return f"{where}: {failed.hint}"
    return f"the log of {where} may say more"
