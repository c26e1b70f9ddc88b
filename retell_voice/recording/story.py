"""What is recorded of a call besides its sound: events as lines, and the transcript.

Each line of ``events.jsonl`` is as printed by ``talk --json``, with one difference: a
``transcript`` contains only the utterances that have changed, from number ``from`` on, so that a
long call does not rewrite its whole transcript with every word.
"""

from __future__ import annotations

import json
import math

from retell_voice.events import Event, Transcript, Utterance
from retell_voice.recording.jsonl import line, plain, to_json
from retell_voice.shown import clean, escape_json

_LONGEST = 1e6
"""Seconds; an utterance that begins later, according to its server, has no time."""


class Story:
    """Folds the events of a call into what is recorded."""

    def __init__(self) -> None:
        self.utterances: tuple[Utterance, ...] = ()
        """The transcript so far."""

    def tell(self, event: Event) -> str:
        """Return an event as a line, without its end; keeps track of the transcript."""
        if not isinstance(event, Transcript):
            return line(event)
        first = unchanged(self.utterances, event.utterances)
        self.utterances = event.utterances
        changed = event.utterances[first:]
        return to_json(
            {"event": "transcript", "at": event.at, "from": first, "utterances": changed}
        )


def unchanged(before: tuple[Utterance, ...], now: tuple[Utterance, ...]) -> int:
    """Return how many utterances from the start are unchanged."""
    same = (old == new for old, new in zip(before, now, strict=False))
    return next((index for index, each in enumerate(same) if not each), min(len(before), len(now)))


def as_json(utterances: tuple[Utterance, ...]) -> str:
    """Return a transcript in the form of ``transcript.json``."""
    body = plain({"utterances": utterances})
    return escape_json(json.dumps(body, indent=1, ensure_ascii=False, allow_nan=False)) + "\n"


def as_text(utterances: tuple[Utterance, ...]) -> str:
    """Return a transcript in the form of ``transcript.txt``: lines, with their time if known."""
    lines = []
    for each in utterances:
        said = " ".join(clean(each.content).split())
        start = each.words[0].start if each.words else math.nan
        known = math.isfinite(start) and abs(start) < _LONGEST
        time = f"{round(start) // 60:02}:{round(start) % 60:02}" if known else "     "
        lines.append(f"{time}  {clean(each.role)}: {said}\n")
    return "".join(lines)
