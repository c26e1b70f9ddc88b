"""A call as lines of text, for pipes, logs and ``--plain``."""

from __future__ import annotations

import json

from retell_voice.cli.captions import Captions
from retell_voice.cli.turns import Turns
from retell_voice.cli.view import View
from retell_voice.events import (
    AgentStarted,
    AgentStopped,
    Alignment,
    CallState,
    Ended,
    Event,
    InputFinished,
    Metadata,
    Role,
    StateChanged,
    Transcript,
    Turn,
    Utterance,
)
from retell_voice.program.words import news, warn
from retell_voice.shown import clean, clock

_NAMES: dict[Role, str] = {"agent": "agent", "user": "you"}


def timed(line: str, at: float | None) -> str:
    """Return a line after its time in the call, where it has one."""
    return line if at is None else f"{clock(at)}  {line}"


class Lines:
    """Turns events into lines.

    The server repeats the whole transcript with every word. An utterance is printed once, when it
    is complete: the next one has begun, the agent has fallen silent, or the call has ended; again
    only if the server corrects it later. Its time is when it began, or that of the line before.
    """

    def __init__(self) -> None:
        self._heard = Captions()
        self._turns = Turns()
        self._printed: list[Utterance] = []
        self._agent_speaking = self._draining = False
        self._printed_at = 0.0

    def stamp(self, at: float) -> str:
        """Return the time for a line, never before that of an earlier one.

        An utterance is printed when it is complete, with the time when it began; and other lines
        may have come meanwhile.
        """
        self._printed_at = max(self._printed_at, at)
        return clock(self._printed_at)

    def opening(self, view: View) -> list[str]:
        """Return the lines before the first event."""
        return [
            f"call {view.call_id or f'with {view.callee}'} on {view.server}, {view.audio}",
            f"microphone: {view.microphone}; speaker: {view.speaker}",
        ]

    def history(self, view: View) -> list[str]:
        """Return a whole conversation, one utterance per line, with its start time."""
        return [
            f"{self.stamp(began)}  {_said(each)}"
            for began, each in zip(view.began, view.said, strict=True)
        ]

    def feed(self, event: Event) -> list[str]:
        """Return the lines for an event; mostly none."""
        self._turns = self._turns.after(event)
        lines = self._last_words(event) + self._lines(event)
        return self._transcript(event) + [f"{self.stamp(event.at)}  {line}" for line in lines]

    def _last_words(self, event: Event) -> list[str]:
        """Return a line, once, if the agent is still playing after the server has hung up."""
        was_heard = self._draining and self._agent_speaking
        match event:
            case AgentStarted():
                self._agent_speaking = True
            case AgentStopped():
                self._agent_speaking = False
            case StateChanged(state=state):
                self._draining = state is CallState.DRAINING
        if was_heard or not (self._draining and self._agent_speaking):
            return []
        return ["the server has hung up; its last words are playing"]

    def _lines(self, event: Event) -> list[str]:  # noqa: PLR0911 - one return for each event
        match event:
            case Alignment(at=at, text=text, duration=duration):
                self._heard = self._heard.heard(clean(text), at, duration)
            case AgentStopped(interrupted=interrupted, silent_since=since):
                self._heard = self._heard.stopped(since, interrupted=interrupted)
                return self._caption(since, " (interrupted)" if interrupted else "")
            case InputFinished():
                return ["end of the input file"]
            case Metadata(metadata=metadata):
                return [f"metadata: {clean(json.dumps(metadata, ensure_ascii=False))}"]
            case StateChanged(state=CallState.LIVE):
                return ["connected"]
            case Ended():
                return self._caption(event.at, "")  # the summary says how it ended
        if warning := warn(event):
            return [f"warning: {warning}"]
        return [line] if (line := news(event)) else []

    def _caption(self, now: float, how: str) -> list[str]:
        text, self._heard = self._heard.text(now), Captions()
        return [f"heard: {text}{how}"] if text else []

    def _transcript(self, event: Event) -> list[str]:
        """Return the completed utterances, with their start times."""
        said = self._turns.said
        match event:
            case Transcript() | Turn():
                count = len(said) - 1
            case AgentStopped() if said and said[-1].role == "agent":
                count = len(said)
            case Ended():
                count = len(said)
            case _:
                return []
        lines = []
        for index, each in enumerate(said[: max(count, 0)]):
            began = self._turns.began[index]
            if index == len(self._printed):
                self._printed.append(each)
                lines.append(f"{self.stamp(began)}  {_said(each)}")
            elif self._printed[index].content != each.content:
                self._printed[index] = each
                lines.append(f"{self.stamp(began)}  corrected: {_said(each)}")
        return lines


def _said(utterance: Utterance) -> str:
    return f"{_NAMES[utterance.role]}: {clean(utterance.content)}"
