"""What is written down of a call beside its sound: events as lines, and the transcript.

Each line of ``events.jsonl`` is as ``talk --json`` prints it, with one difference: a
``transcript`` holds only the utterances that have changed, from number ``from`` on, so that a
long call does not write its whole transcript again with every word.
"""

from __future__ import annotations

import json
from typing import Any

from retell_voice.events import Event, Transcript, Utterance
from retell_voice.recording.jsonl import line, to_json


class Story:
    """Folds the events of a call into what is written down."""

    def __init__(self) -> None:
        self.utterances: tuple[Utterance, ...] = ()
        """The transcript so far."""

    def tell(self, event: Event) -> str:
        """Return an event as a line, without its end; takes note of the transcript."""
        if not isinstance(event, Transcript):
            return line(event)
        first = unchanged(self.utterances, event.utterances)
        self.utterances = event.utterances
        changed = event.utterances[first:]
        return to_json(
            {"event": "transcript", "at": event.at, "from": first, "utterances": changed}
        )


def unchanged(before: tuple[Utterance, ...], now: tuple[Utterance, ...]) -> int:
    """Return how many utterances from the start on are the same."""
    same = (old == new for old, new in zip(before, now, strict=False))
    return next((index for index, each in enumerate(same) if not each), min(len(before), len(now)))


def as_json(utterances: tuple[Utterance, ...]) -> str:
    """Return a transcript as ``transcript.json`` has it."""
    listed: list[dict[str, Any]] = []
    for each in utterances:
        words = [{"word": w.word, "start": w.start, "end": w.end} for w in each.words]
        listed.append({"role": each.role, "content": each.content, "words": words})
    return json.dumps({"utterances": listed}, indent=1, ensure_ascii=False) + "\n"


def as_text(utterances: tuple[Utterance, ...]) -> str:
    """Return a transcript as ``transcript.txt`` has it: a line each, with its time if known."""
    lines = []
    for each in utterances:
        said = " ".join(each.content.split())
        start = round(each.words[0].start) if each.words else None
        time = "     " if start is None else f"{start // 60:02}:{start % 60:02}"
        lines.append(f"{time}  {each.role}: {said}\n")
    return "".join(lines)
