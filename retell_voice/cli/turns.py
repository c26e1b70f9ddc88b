"""What was said, turn by turn. Pure: time is an argument.

A server may add what the agent says after a silence, or when it reminds you, to what it said
before: for the server all of it is one utterance, as you said nothing in between. For people
these are two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from retell_voice.events import AgentStopped, Event, Transcript, Turn, Utterance


@dataclass(frozen=True, slots=True)
class Turns:
    """The conversation so far.

    Attributes:
        said: what was said in each turn.
        began: when each of them appeared, call time, seconds.
    """

    said: tuple[Utterance, ...] = ()
    began: tuple[float, ...] = ()
    _told: tuple[Utterance, ...] = ()
    _told_at: float = 0.0
    _before: tuple[Utterance, ...] = ()  # what was told before that
    _ends: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """What an utterance, by its number, said in all when a turn of the agent was over."""
    _times: Mapping[tuple[int, int], float] = field(default_factory=dict)
    _silent_since: float = -1.0

    def after(self, event: Event) -> Turns:
        """Return the conversation after an event; itself if nothing has changed."""
        match event:
            case Transcript(utterances=utterances, at=at):
                told = replace(self, _told=utterances, _told_at=at, _before=self._told)
                return told._parted(at)
            case AgentStopped(silent_since=since):
                return replace(self, _silent_since=since)
            case Turn(speaker="agent", at=at):
                return self._begins_anew(at)
        return self

    def _begins_anew(self, at: float) -> Turns:
        """Part what the agent says from now on from what it said before it was silent."""
        # One message may tell of the turn and its first words; then the words come first.
        told = self._before if self._told_at == at else self._told
        number = len(told) - 1
        if not told or told[-1].role != "agent" or not told[-1].content.strip():
            return self
        ends = self._ends.get(number, ())
        if self._times.get((number, len(ends)), at) > self._silent_since:
            return self  # it is what is about to be heard
        ends = (*ends, told[-1].content)
        return replace(self, _ends={**self._ends, number: ends})._parted(at)

    def _parted(self, at: float) -> Turns:
        said: list[Utterance] = []
        began: list[float] = []
        times = dict(self._times)
        for number, utterance in enumerate(self._told):
            ends = self._ends.get(number)
            parts = _parts(utterance, ends) if ends else [utterance]
            said += parts
            began += [times.setdefault((number, part), at) for part in range(len(parts))]
        return replace(self, said=tuple(said), began=tuple(began), _times=times)


def _parts(utterance: Utterance, ends: tuple[str, ...]) -> list[Utterance]:
    """Part an utterance where turns ended; not where the server has changed its words since."""
    parts, begin = [], 0
    for end in ends:
        if utterance.content.startswith(end) and utterance.content[len(end) :].strip():
            parts.append(Utterance(utterance.role, utterance.content[begin : len(end)].strip()))
            begin = len(end)
    rest = utterance.content[begin:].strip()
    return [*parts, Utterance(utterance.role, rest)] if parts else [utterance]
