"""What the LLM server has the agent say: which of its messages count, and what becomes of them.

Pure. A ``response`` counts if it has the newest response_id, an ``agent_interrupt`` if it has the
newest interrupt_id, as long as the user has not interrupted it. An interrupt goes before
everything: what the agent says is cut, what it was about to say waits.
"""

from __future__ import annotations

from retell_voice.emulator.actions import Action, Cancel, Clear, HangUp, Report
from retell_voice.emulator.happenings import (
    AgentInterrupted,
    DigitPressed,
    ResponseDropped,
    TransferRequested,
)
from retell_voice.emulator.mouth import Answer, Mouth
from retell_voice.protocol.llm_messages import AgentInterrupt, Response


class Answers:
    """The LLM server's part of one call.

    Args:
        mouth: says it.
        rate: samples a second.

    Attributes:
        dropped: messages that did not count.
    """

    def __init__(self, mouth: Mouth, rate: int) -> None:
        self.dropped = 0
        self._mouth = mouth
        self._rate = rate
        self._newest = {False: 0, True: -1}  # of responses, of interrupts
        self._gone = {False: False, True: False}  # nothing more of the newest is to be said
        self._begun = False  # the begin message has begun to come
        self._reported: tuple[bool, int, str] | None = None
        mouth.expect(Answer(number=0))

    def ask(self, now: int) -> int:
        """Return the next response_id, whose response is expected from now on."""
        self._newest[False] += 1
        self._gone[False] = False
        self._mouth.expect(Answer(number=self._newest[False], news=now))
        return self._newest[False]

    @property
    def may_be_interrupted(self) -> bool:
        """Whether the LLM server lets the user interrupt what the agent says."""
        answers = self._mouth.answers
        return not (answers and answers[0].uninterruptible)

    def is_new(self, message: AgentInterrupt) -> bool:
        """Whether an interrupt begins with this message."""
        return message.interrupt_id > self._newest[True]

    def take(self, message: Response | AgentInterrupt, now: int) -> list[Action]:
        """Take a message; return what to do at once."""
        actions: list[Action] = []
        if isinstance(message, AgentInterrupt):
            number, interrupt = message.interrupt_id, True
            if self.is_new(message):
                actions = self._begin_interrupt(number, now)
        else:
            number, interrupt = message.response_id, False
            self._begun = self._begun or number == 0
        if number > self._newest[interrupt]:
            return self._drop_message(interrupt, number, "nobody asked for it")
        if number < self._newest[interrupt]:
            return self._drop_message(interrupt, number, "it is outdated")
        if self._gone[interrupt]:
            return self._drop_message(interrupt, number, "it was interrupted")
        answer = self._mouth.find(number, interrupt=interrupt)
        if answer is None:  # it was complete and has been heard, but there is more of it
            answer = Answer(number=number, interrupt=interrupt)
            self._mouth.expect(answer)
        return [*actions, *self._add(answer, message, now)]

    def _begin_interrupt(self, number: int, now: int) -> list[Action]:
        actions = self._fall_silent(now)
        for answer in self._mouth.answers:
            if answer.interrupt or answer.line is not None:
                actions += self._drop(answer)
        self._newest[True], self._gone[True] = number, False
        self._mouth.expect(Answer(number=number, interrupt=True), first=True)
        return actions

    def _add(self, answer: Answer, message: Response | AgentInterrupt, now: int) -> list[Action]:
        actions: list[Action] = []
        if message.no_interruption_allowed is not None:
            answer.uninterruptible = message.no_interruption_allowed
        answer.end_call = answer.end_call or message.end_call
        if message.transfer_number and message.transfer_number != answer.transfer:
            answer.transfer = message.transfer_number
            actions.append(Report(TransferRequested, {"number": answer.transfer}))
        if message.digit_to_press:
            actions.append(Report(DigitPressed, {"digits": message.digit_to_press}))
        self._mouth.add(answer, message.content, now, complete=message.content_complete)
        return actions

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
        self._gone[answer.interrupt] = True
        sentences = self._mouth.drop(answer)
        actions: list[Action] = [Cancel(sentences)] if sentences else []
        if why and answer.begun:
            actions += self._drop_message(answer.interrupt, answer.number, why)
        return actions

    def _drop_message(self, interrupt: bool, number: int, why: str) -> list[Action]:
        self.dropped += 1
        told, self._reported = self._reported, (interrupt, number, why)
        if told == self._reported:  # the rest of a stream need not be told chunk by chunk
            return []
        return [Report(ResponseDropped, {"interrupt": interrupt, "number": number, "why": why})]

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
        self._gone[False] = self._begun or self._newest[False] > 0
        self._newest[True] = -1
        return wanted


def farewell(answer: Answer) -> HangUp | None:
    """Return how the call ends with an answer that has been heard; None: it goes on."""
    if answer.transfer:
        return HangUp(f"transferred to {answer.transfer}", "call_transfer")
    if answer.end_call:
        return HangUp("the agent ended the call", "agent_hangup")
    return None
