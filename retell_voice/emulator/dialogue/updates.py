"""Whose turn it is, and how the transcript goes: told to caller and LLM server alike. Pure."""

from __future__ import annotations

from retell_voice.emulator.actions import Action, Ask, Update
from retell_voice.emulator.dialogue.transcript import CallTranscript
from retell_voice.events import Role


class Updates:
    """Tells of every change once, and of a turn when it begins.

    Args:
        transcript: of the call; whoever changes it says so here.
    """

    def __init__(self, transcript: CallTranscript) -> None:
        self._transcript = transcript
        self._speaker: Role | None = None
        self._changed = False  # since it was last told

    def changed(self) -> None:
        """The transcript has changed."""
        self._changed = True

    def due(self, *, users_turn: bool) -> list[Action]:
        """Tell what has not been told; ``users_turn``: the user speaks, or is to be answered."""
        if users_turn and self._speaker != "user":
            self._speaker = "user"
            return self.tell("user")
        return self.tell() if self._changed else []

    def agent_speaks(self, *, begins: bool) -> list[Action]:
        """Tell of a sentence; ``begins``: it is the first of an answer."""
        self._speaker = "agent"
        return self.tell("agent" if begins else None)

    def tell(self, turn: Role | None = None) -> list[Action]:
        """Tell the transcript as it is now; ``turn``: whose turn has just begun."""
        self._changed = False
        utterances = self._transcript.utterances
        return [Update(utterances, turn), Ask(self._transcript.update_only(turn))]
