"""A call's live transcript as lines of text. Pure."""

from __future__ import annotations

from retell_voice.events import Event, Transcript, TranscriptItem
from retell_voice.program.words import news, warn
from retell_voice.protocol.monitor import TAKE_OVER, CallEnded
from retell_voice.shown import clean, clock

_SPEECH = {"agent": "agent", "user": "user", "transfer_target": "third party"}


class LiveTranscript:
    """Turns what a monitor tells, or a call that is listened to, into lines.

    An entry becomes a line once it is complete: another one follows, or it is not speech, or the
    call has ended; and again if the server corrects it later.

    Attributes:
        speaking: the last, incomplete entry; empty if there is none.
    """

    def __init__(self) -> None:
        self.speaking = ""
        self._shown: dict[str, str] = {}  # what was shown of each entry, by id
        self._last: TranscriptItem | None = None
        self._warning: str | None = None  # the last one; not repeated

    def feed(self, event: Event) -> list[str]:
        """Return the lines for an event; mostly none."""
        match event:
            case Transcript(items=items, pre_session=before):
                lines = [line for each in before for line in self._over(each, "before  ")]
                for item in items:
                    if item is not items[-1] or item.role not in _SPEECH:
                        lines += self._over(item)
                self._warning = None
                self._last = items[-1] if items and items[-1].role in _SPEECH else None
                self.speaking = "" if self._last is None else _line(self._last)
                return lines
            case CallEnded(reason=reason):
                over = f"the call has ended: {clean(reason)}" if reason else "the call has ended"
                if reason == TAKE_OVER:
                    over = "somebody took the call over: it can no longer be followed"
                return [*self.end(), over]
        if warning := warn(event):
            told, self._warning = self._warning, warning
            return [f"warning: {warning}"] if warning != told else []
        return [line] if (line := news(event)) else []

    def end(self) -> list[str]:
        """Return the lines of what was still being said."""
        last, self._last, self.speaking = self._last, None, ""
        return [] if last is None else self._over(last)

    def _over(self, item: TranscriptItem, when: str = "") -> list[str]:
        line = _line(item, when)
        shown = self._shown.get(item.id)
        self._shown[item.id] = line
        if shown == line:
            return []
        return [line if shown is None else f"{line} (corrected)"]


def _line(item: TranscriptItem, when: str = "") -> str:
    at = when or f"{clock(item.time) if 0 <= item.time < 1e6 else '  ?  '}  "
    who = _SPEECH.get(item.role, item.role.replace("_", " "))
    return f"{at}{clean(who)}: {clean(item.content)}"
