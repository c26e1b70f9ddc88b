"""What the LLM server has the agent say: which of its messages count, and what becomes of them.

Pure. A ``response`` counts if it has the newest response_id, an ``agent_interrupt`` if it has the
last interrupt_id, until it is complete or the user has interrupted it. An interrupt drops what
the agent says or is about to say; a response of which nothing has come yet is spoken after it.
What goes with an answer (hang up, transfer, press a digit: one of them) is done when it has been
heard. Source: Retell's "LLM WebSocket" reference and guides, see ``protocol.llm``.
"""

from __future__ import annotations

from retell_voice.emulator.actions import Action, Cancel, Clear, HangUp, Measure, Report
from retell_voice.emulator.dialogue.mouth import Answer, Mouth
from retell_voice.emulator.llm.server_events import (
    DigitPressed,
    LlmMessageUnknown,
    MetadataForwarded,
    ResponseDropped,
    ResponseOverdue,
    ToolCalled,
    ToolReturned,
    TransferRequested,
)
from retell_voice.emulator.server_events import AgentInterrupted
from retell_voice.protocol.llm import (
    AgentInterrupt,
    LlmMessage,
    LlmMetadata,
    Response,
    ToolCallInvocation,
    ToolCallResult,
    UnknownLlmMessage,
)

_ANSWER_TIMEOUT = 10.0
"""Seconds without anything of an answer after which whoever watches is told."""


class Answers:
    """The LLM server's part of one call.

    Args:
        mouth: says it.
        rate: samples a second.
    """

    def __init__(self, mouth: Mouth, rate: int) -> None:
        self._dropped = 0
        self._mouth = mouth
        self._rate = rate
        self._response = 0  # the newest response_id
        self._interrupts: list[int] = []  # every interrupt_id so far
        self._reported: tuple[bool, int, str] | None = None
        mouth.expect(Answer(number=0))

    def ask(self, now: int) -> int:
        """Return the next response_id, whose response is expected from now on."""
        self._response += 1
        self._mouth.expect(Answer(number=self._response, news=now))
        return self._response

    def is_new(self, message: AgentInterrupt) -> bool:
        """Whether an interrupt begins with this message."""
        return message.interrupt_id not in self._interrupts

    def take(self, message: Response | AgentInterrupt, now: int) -> list[Action]:
        """Take a message; return what to do at once."""
        actions: list[Action] = []
        if isinstance(message, AgentInterrupt):
            number, interrupt = message.interrupt_id, True
            if self.is_new(message):
                actions = self._begin_interrupt(number, now)
            newest = self._interrupts[-1]
        else:
            number, interrupt, newest = message.response_id, False, self._response
            if not 0 <= number <= newest:
                why = f"nobody asked for it; the newest is {newest}"
                return self._drop_message(interrupt, number, why, asked=False)
        answer = self._mouth.find(number, interrupt=interrupt)
        if answer is None or answer.complete:
            why = "it was complete or interrupted" if number == newest else "it is outdated"
            return self._drop_message(interrupt, number, why)
        return [*actions, *self._add(answer, message, now)]

    def _begin_interrupt(self, number: int, now: int) -> list[Action]:
        actions = self._fall_silent(now)
        for answer in self._mouth.answers:
            if answer.begun:
                actions += self._drop(answer, "the agent interrupts itself")
        self._interrupts.append(number)
        self._mouth.expect(Answer(number=number, interrupt=True), first=True)
        return actions

    def _add(self, answer: Answer, message: Response | AgentInterrupt, now: int) -> list[Action]:
        first = message.content and not answer.begun and not answer.interrupt and answer.number
        waited = (now - answer.news) / self._rate * 1000
        answer.end_call = answer.end_call or message.end_call
        answer.transfer = message.transfer_number or answer.transfer
        answer.digits = message.digit_to_press or answer.digits
        self._mouth.add(
            answer,
            message.content,
            now,
            complete=message.content_complete,
            guarded=bool(message.no_interruption_allowed),
        )
        return [Measure("llm", waited)] if first else []

    def cut(self, now: int) -> list[Action]:
        """Silence the agent in the middle of what it says, and forget what it was to say."""
        return [*self._fall_silent(now), *self.drop()]

    def _fall_silent(self, now: int) -> list[Action]:
        if not self._mouth.sounding(now):
            return []
        unheard = self._mouth.cut(now) / self._rate
        return [Clear(), Report(AgentInterrupted, {"unheard": unheard})]

    def drop(self, why: str = "") -> list[Action]:
        """Forget everything the agent was to say; ``why``, if this is worth to be told."""
        return [action for answer in self._mouth.answers for action in self._drop(answer, why)]

    def _drop(self, answer: Answer, why: str = "") -> list[Action]:
        sentences = self._mouth.drop(answer)
        actions: list[Action] = [Cancel(sentences)] if sentences else []
        if why and answer.begun:
            actions += self._drop_message(answer.interrupt, answer.number, why)
        return actions

    def _drop_message(
        self, interrupt: bool, number: int, why: str, *, asked: bool = True
    ) -> list[Action]:
        self._dropped += 1
        told, self._reported = self._reported, (interrupt, number, why)
        if told == self._reported:  # the rest of a stream need not be told chunk by chunk
            return []
        details = {
            "interrupt": interrupt,
            "number": number,
            "why": why,
            "so_far": self._dropped,
            "asked": asked,
        }
        return [Report(ResponseDropped, details)]

    def overdue(self, now: int) -> list[Action]:
        """Tell once of each answer of which nothing has come for long, though more is to come."""
        actions: list[Action] = []
        for answer in self._mouth.answers:
            late = now - answer.news >= _ANSWER_TIMEOUT * self._rate
            if late and not (answer.complete or answer.overdue):
                answer.overdue = True
                details = {
                    "number": answer.number,
                    "interrupt": answer.interrupt,
                    "begun": answer.begun,
                    "seconds": _ANSWER_TIMEOUT,
                }
                actions.append(Report(ResponseOverdue, details))
        return actions

    def start_again(self, now: int) -> bool:
        """The connection is a new one: nothing more comes of what has begun to come.

        Returns:
            Whether an answer must be asked for again. The begin message comes by itself.
        """
        wanted = False
        for answer in self._mouth.answers:
            if answer.begun and not answer.complete:
                self._mouth.add(answer, "", now, complete=True)
                wanted = wanted or not answer.interrupt
            elif not answer.begun and answer.number > 0:
                self._mouth.drop(answer)
                wanted = True
        self._interrupts.clear()
        return wanted

    def end(self, now: int) -> None:
        """Nothing more comes of anything."""
        self.start_again(now)
        for answer in self._mouth.answers:
            if not answer.begun:
                self._mouth.drop(answer)


def afterwards(answer: Answer) -> list[Action]:
    """Return what is to be done with an answer that has been heard."""
    if answer.end_call:
        return [HangUp("the agent ended the call", "agent_hangup")]
    if answer.transfer:
        told = Report(TransferRequested, {"number": answer.transfer})
        return [told, HangUp(f"transferred to {answer.transfer}", "call_transfer")]
    if answer.digits:
        return [Report(DigitPressed, {"digits": answer.digits})]
    return []


def told(message: LlmMessage) -> list[Action]:
    """Return what whoever watches is told of a message that is not spoken."""
    match message:
        case ToolCallInvocation(tool_call_id=call, name=name, arguments=arguments):
            details = {"tool_call_id": call, "name": name, "arguments": arguments}
            return [Report(ToolCalled, details)]
        case ToolCallResult(tool_call_id=call, content=content):
            return [Report(ToolReturned, {"tool_call_id": call, "content": content})]
        case LlmMetadata(metadata=metadata):
            return [Report(MetadataForwarded, {"metadata": metadata})]
        case UnknownLlmMessage(message=text):
            return [Report(LlmMessageUnknown, {"message": text})]
    return []
