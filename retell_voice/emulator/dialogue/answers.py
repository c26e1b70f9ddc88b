"""The LLM server's messages in a call: which ones count, and what is done about them.

Pure. A ``response`` counts if it has the newest response_id, an ``agent_interrupt`` if it has the
newest interrupt_id, until it is complete or the user has interrupted it. An interrupt drops what
the agent is saying or about to say; a response that has not started to come is spoken after it.
Hanging up, transferring, pressing a digit (one per answer) happens once the answer has been heard.
Source: Retell's "LLM WebSocket" reference and guides, see ``protocol.llm``.
"""

from __future__ import annotations

from typing import Literal

from retell_voice.emulator.actions import Action, Cancel, Clear, HangUp, Measure, Report
from retell_voice.emulator.dialogue.agent_speech import AgentSpeech, Answer
from retell_voice.emulator.dialogue.questions import Questions
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

_OVERDUE = 10.0
"""Seconds without anything of an answer after which that is reported."""

_SOON = 1.0
"""The same where the next turn or the end of the call puts an end to the wait: so long must
nothing have come, ..."""

_WRONG = 0.5
"""... something with another response_id, ..."""

_STALLED = 5.0
"""... or, of an answer that has started, no more: a tool may be at work."""


class Answers:
    """The LLM server's part of one call.

    Args:
        speech: speaks the answers.
        rate: samples per second.
    """

    def __init__(self, speech: AgentSpeech, rate: int) -> None:
        self._dropped = 0
        self._speech = speech
        self._rate = rate
        self._questions = Questions(rate)
        self._interrupts: list[int] = []  # every interrupt_id so far
        self._reported: tuple[bool, int, str] | None = None
        speech.expect(Answer(number=0))

    def ask(self, now: int) -> int:
        """Return the next response_id, whose response is expected from now on."""
        number = self._questions.ask(now)
        self._speech.expect(Answer(number=number, updated_at=now))
        return number

    def is_new(self, message: AgentInterrupt) -> bool:
        """Whether this is the first message of an interrupt."""
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
            number, interrupt, newest = message.response_id, False, self._questions.newest
            if number != newest:
                self._questions.wrong_id(number)
            if not 0 <= number <= newest:
                why = f"it was not requested; the newest response_id is {newest}"
                return self._drop_message(interrupt, number, why, asked=False)
        answer = self._speech.find(number, interrupt=interrupt)
        if answer is None or answer.complete:
            why = "it was complete or interrupted" if number == newest else "it is outdated"
            return self._drop_message(interrupt, number, why)
        return [*actions, *self._add(answer, message, now)]

    def _begin_interrupt(self, number: int, now: int) -> list[Action]:
        actions = self._fall_silent(now, "agent_interrupt")
        for answer in self._speech.answers:
            if answer.started:
                actions += self._drop(answer, "the agent interrupts itself")
        self._interrupts.append(number)
        self._speech.expect(Answer(number=number, interrupt=True, updated_at=now), first=True)
        return actions

    def _add(self, answer: Answer, message: Response | AgentInterrupt, now: int) -> list[Action]:
        actions: list[Action] = []
        if not answer.interrupt:
            waited = self._questions.answered(now, answer.number, words=bool(message.content))
            actions = [] if waited is None else [Measure("llm", waited)]
            if isinstance(message, Response) and message.show_transferee_as_caller is not None:
                answer.show_transferee = message.show_transferee_as_caller
        answer.end_call = answer.end_call or message.end_call
        answer.transfer = message.transfer_number or answer.transfer
        answer.digits = message.digit_to_press or answer.digits
        self._speech.add(
            answer,
            message.content,
            now,
            complete=message.content_complete,
            protected=bool(message.no_interruption_allowed),
        )
        return actions

    def barge_in(self, now: int) -> list[Action]:
        """The user interrupts: silence the agent and drop what it was about to say."""
        return [*self._fall_silent(now, "user"), *self.drop(now)]

    def _fall_silent(self, now: int, by: Literal["user", "agent_interrupt"]) -> list[Action]:
        if not self._speech.playing(now):
            return []
        unheard = self._speech.cut(now) / self._rate
        return [Clear(), Report(AgentInterrupted, {"unheard": unheard, "by": by})]

    def drop(self, now: int, why: str = "") -> list[Action]:
        """Drop everything the agent was about to say; ``why`` if that is worth reporting."""
        return [
            action
            for answer in self._speech.answers
            for action in (
                *self._cut_short(answer, now, "the next turn began"),
                *self._drop(answer, why),
            )
        ]

    def _drop(self, answer: Answer, why: str = "") -> list[Action]:
        sentences = self._speech.drop(answer)
        actions: list[Action] = [Cancel(sentences)] if sentences else []
        if why and answer.started:
            actions += self._drop_message(answer.interrupt, answer.number, why)
        return actions

    def _drop_message(
        self, interrupt: bool, number: int, why: str, *, asked: bool = True
    ) -> list[Action]:
        self._dropped += 1
        before, self._reported = self._reported, (interrupt, number, why)
        if before == self._reported:  # no need to report a stream chunk by chunk
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
        """Report once each answer that has stopped coming, though it is not complete."""
        actions: list[Action] = []
        for answer in self._speech.answers:
            if self._owed(answer) and now - answer.updated_at >= _OVERDUE * self._rate:
                actions += self._report_overdue(answer, _OVERDUE)
        return actions

    def _cut_short(self, answer: Answer, now: int, cut_short: str) -> list[Action]:
        """Report an answer that will never come, as the wait for it ends before it is overdue."""
        waited = (now - answer.updated_at) / self._rate
        if answer.started:
            least = _STALLED
        else:
            least = _WRONG if self._questions.wrong_ids and not answer.interrupt else _SOON
        if not self._owed(answer) or waited < least:
            return []
        return self._report_overdue(answer, waited, cut_short)

    @staticmethod
    def _owed(answer: Answer) -> bool:
        return not (answer.complete or answer.overdue)

    def _report_overdue(self, answer: Answer, seconds: float, cut_short: str = "") -> list[Action]:
        answer.overdue = True
        details = {
            "number": answer.number,
            "interrupt": answer.interrupt,
            "begun": answer.started,
            "seconds": seconds,
            "cut_short": cut_short,
            "other_ids": () if answer.interrupt else self._questions.wrong_ids,
        }
        return [Report(ResponseOverdue, details)]

    def start_again(self, now: int) -> bool:
        """The connection is a new one: nothing more comes of what has started to come.

        Returns:
            Whether an answer must be requested again. The begin message comes by itself.
        """
        wanted = False
        for answer in self._speech.answers:
            if answer.started and not answer.complete:
                self._speech.add(answer, "", now, complete=True)
                wanted = wanted or not answer.interrupt
            elif not answer.started and answer.number > 0:
                self._speech.drop(answer)
                wanted = True
        self._interrupts.clear()
        return wanted

    def end(self, now: int) -> None:
        """Nothing more will come."""
        self.start_again(now)
        for answer in self._speech.answers:
            if not answer.started:
                self._speech.drop(answer)

    def summary(self, now: int) -> list[Action]:
        """Report at the end of the call what never came, and how quickly the rest did."""
        owed = [
            action
            for answer in self._speech.answers
            for action in self._cut_short(answer, now, "the call ended")
        ]
        return [*owed, *self._questions.summary()]


def after_playback(answer: Answer) -> list[Action]:
    """Return what to do about an answer once it has been heard."""
    if answer.end_call:
        return [HangUp("the agent ended the call", "agent_hangup")]
    if answer.transfer:
        details = {
            "number": answer.transfer,
            "show_transferee_as_caller": answer.show_transferee,
        }
        transferred = HangUp(f"transferred to {answer.transfer}", "call_transfer")
        return [Report(TransferRequested, details), transferred]
    if answer.digits:
        return [Report(DigitPressed, {"digits": answer.digits})]
    return []


def report(message: LlmMessage) -> list[Action]:
    """Return what to report of a message that is not spoken."""
    match message:
        case ToolCallInvocation(tool_call_id=call, name=name, arguments=arguments):
            details = {"tool_call_id": call, "name": name, "arguments": arguments}
            return [Report(ToolCalled, details)]
        case ToolCallResult(tool_call_id=call, content=content, successful=successful):
            returned = {"tool_call_id": call, "content": content, "successful": successful}
            return [Report(ToolReturned, returned)]
        case LlmMetadata(metadata=metadata):
            return [Report(MetadataForwarded, {"metadata": metadata})]
        case UnknownLlmMessage(message=text):
            return [Report(LlmMessageUnknown, {"message": text})]
    return []
