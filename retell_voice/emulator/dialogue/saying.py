"""Sends what the agent says, and measures how long the user has waited for it. Pure."""

from __future__ import annotations

from retell_voice.emulator.actions import Action, Measure, Report, Say
from retell_voice.emulator.dialogue.agent_speech import AgentSpeech, Answer
from retell_voice.emulator.dialogue.transcript import CallTranscript
from retell_voice.emulator.dialogue.updates import Updates
from retell_voice.emulator.server_events import AgentSpoke


class Saying:
    """Takes sentences that are ready from the agent's queue, and sends them in chunks.

    Times are samples of the caller's audio.

    Args:
        agent: what it says.
        transcript: where that is written.
        updates: who is told.
        rate: samples per second.
        chunk: length of the chunks of audio, samples.

    Attributes:
        awaited_since: end of the user's speech that the next answer is measured from; None: it
            answers nothing that was said.
    """

    def __init__(
        self,
        agent: AgentSpeech,
        transcript: CallTranscript,
        updates: Updates,
        *,
        rate: int,
        chunk: int,
    ) -> None:
        self.awaited_since: int | None = None
        self._agent = agent
        self._transcript = transcript
        self._updates = updates
        self._rate = rate
        self._chunk = chunk

    def say(self, answer: Answer, now: int) -> list[Action]:
        """Say the next sentence of an answer that is ``AgentSpeech.ready``."""
        first = answer.line is None
        speech = self._agent.say(self._transcript, now)
        if answer.line is not None:
            self._updates.changed()
        if speech is None or not len(speech.samples):
            return []
        actions = self._updates.agent_speaks(begins=first)
        between = "" if first else " "
        for samples, text in speech.chunks(self._chunk):
            actions.append(Say(samples, between + text if text else ""))
            between = "" if text else between
        if self.awaited_since is not None and not answer.interrupt:
            waited = (now - self.awaited_since) / self._rate * 1000
            actions.append(Measure("e2e", waited))
            self.awaited_since = None
        details = {"duration": speech.duration, "content": speech.content}
        return [*actions, Report(AgentSpoke, details)]
