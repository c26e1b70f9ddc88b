"""What was said, turn by turn. Pure: time is an argument.

When the agent speaks again after a silence, or reminds you, a server may append that to the
agent's previous utterance, since you said nothing in between. For people these are two utterances.
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
    _before: tuple[Utterance, ...] = ()  # what was reported before that
    _ends: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    """The full text of an utterance, by its number, at the end of a turn of the agent."""
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
                return self._restarted(at)
        return self

    def _restarted(self, at: float) -> Turns:
        """Split what the agent says from now on from what it said before the silence."""
        # One message may report the turn and its first words; then the words come first.
        told = self._before if self._told_at == at else self._told
        number = len(told) - 1
        if not told or told[-1].role != "agent" or not told[-1].content.strip():
            return self
        ends = self._ends.get(number, ())
        if self._times.get((number, len(ends)), at) > self._silent_since:
            return self  # it is about to be heard
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
    """Split an utterance where turns ended, unless the server has changed its words since."""
    parts, begin = [], 0
    for end in ends:
        if utterance.content.startswith(end) and utterance.content[len(end) :].strip():
            parts.append(Utterance(utterance.role, utterance.content[begin : len(end)].strip()))
            begin = len(end)
    rest = utterance.content[begin:].strip()
    return [*parts, Utterance(utterance.role, rest)] if parts else [utterance]
