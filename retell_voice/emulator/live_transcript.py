"""The live transcript of a call: entries that keep their ids while what is said changes. Pure.

An agent hands over all that was said so far, again and again; what its watchers are sent are the
entries that are new or have changed. An entry is known by its place: one that an interruption took
back is left empty, and filled by what is said instead.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from retell_voice.events import TranscriptItem, Utterance
from retell_voice.protocol.llm import Said, transcript_item


@dataclass(frozen=True, slots=True)
class _Entry:
    item: TranscriptItem
    body: Mapping[str, Any]  # as in JSON; the item's own are not compared
    version: int


class LiveTranscript:
    """What was said and done in a call."""

    def __init__(self) -> None:
        self._said: list[_Entry] = []
        self._injected: list[_Entry] = []
        self._version = 0

    def update(self, said: Sequence[Said], at: float) -> bool:
        """Take all that was said so far; return whether that is news.

        Args:
            said: everything, in order.
            at: seconds since the call began; what begins now has this time.
        """
        self._version += 1
        changed = False
        for place, each in enumerate(said):
            before = self._said[place] if place < len(self._said) else None
            body = transcript_item(each)
            if before is not None and before.body == body:
                continue
            time = at if before is None else before.item.time
            if isinstance(each, Utterance) and each.words:
                time = each.words[0].start
            # What was said later is never sorted before what was said earlier.
            time = max(time, self._said[place - 1].item.time if place else 0.0)
            content = str(body.get("content", ""))
            item = TranscriptItem(f"said_{place}", body["role"], time, content, body)
            self._said[place : place + 1] = [_Entry(item, body, self._version)]
            changed = True
        for place, entry in enumerate(self._said[len(said) :], len(said)):
            if entry.body.get("content"):
                body = {**entry.body, "content": "", "words": []}
                item = replace(entry.item, content="", fields=body)
                self._said[place] = _Entry(item, body, self._version)
                changed = True
        return changed

    def inject(self, content: str, at: float) -> None:
        """Add text that the call's owner put in."""
        self._version += 1
        body = {"content": content}
        item = TranscriptItem(f"injected_{len(self._injected)}", "injected", at, content, body)
        self._injected.append(_Entry(item, body, self._version))

    def since(self, version: int) -> tuple[list[TranscriptItem], int]:
        """Return the entries that are newer than a version, sorted, and the version of now."""
        newer = [each for each in (*self._said, *self._injected) if each.version > version]
        return sorted((each.item for each in newer), key=lambda item: item.time), self._version
