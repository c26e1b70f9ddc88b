"""A call as lines of text, for pipes, logs and ``--plain``."""

from __future__ import annotations

import json

from retell_voice.cli.view import View, clean, clock, warn
from retell_voice.events import (
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
    Utterance,
)

_NAMES: dict[Role, str] = {"agent": "agent", "user": "you"}


class Lines:
    """Turns events into lines.

    The server repeats the whole transcript with every word. An utterance is printed once, when
    the next one has begun or the call ends; again only if the server corrects it later.
    """

    def __init__(self) -> None:
        self._heard: list[str] = []
        self._spoken: tuple[Utterance, ...] = ()
        self._printed: list[Utterance] = []

    def opening(self, view: View) -> list[str]:
        """Return what is said before the first event."""
        return [
            f"call {view.call_id} on {view.server}, {view.audio}",
            f"microphone: {view.microphone}; speaker: {view.speaker}",
        ]

    def history(self, utterances: tuple[Utterance, ...]) -> list[str]:
        """Return a whole transcript, one utterance a line."""
        return [_said(each) for each in utterances]

    def feed(self, event: Event) -> list[str]:
        """Return the lines that an event makes; mostly none."""
        return [f"{clock(event.at)}  {line}" for line in self._lines(event)]

    def _lines(self, event: Event) -> list[str]:  # noqa: PLR0911 - one return for each event
        match event:
            case Transcript(utterances=utterances):
                self._spoken = utterances
                return self._settled(len(utterances) - 1)
            case Alignment(text=text):
                self._heard.append(clean(text))
            case AgentStopped(interrupted=interrupted):
                return self._caption(" (interrupted)" if interrupted else "")
            case InputFinished():
                return ["the input is over"]
            case Metadata(metadata=metadata):
                return [f"metadata: {clean(json.dumps(metadata, ensure_ascii=False))}"]
            case StateChanged(state=CallState.LIVE):
                return ["connected"]
            case StateChanged(state=CallState.DRAINING):
                return ["the server has hung up; its last words are being played"]
            case Ended():
                # How it ended is for the summary.
                return self._caption("") + self._settled(len(self._spoken))
        warning = warn(event)
        return [f"warning: {warning}"] if warning else []

    def _caption(self, how: str) -> list[str]:
        text, self._heard = "".join(self._heard).strip(), []
        return [f"heard: {text}{how}"] if text else []

    def _settled(self, count: int) -> list[str]:
        lines = []
        for index, said in enumerate(self._spoken[: max(count, 0)]):
            if index == len(self._printed):
                self._printed.append(said)
                lines.append(_said(said))
            elif self._printed[index].content != said.content:
                self._printed[index] = said
                lines.append(f"corrected: {_said(said)}")
        return lines


def _said(utterance: Utterance) -> str:
    return f"{_NAMES[utterance.role]}: {clean(utterance.content)}"
