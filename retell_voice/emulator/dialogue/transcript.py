"""What has been said in a call, in order, and the tools that were called in between.

Lines grow while they are spoken: whoever speaks holds a ``Piece`` of a line and fills it in.
A line with no words in it is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.llm import (
    ReminderRequired,
    ResponseRequired,
    Said,
    ToolCallInvocation,
    ToolCallResult,
    UpdateOnly,
)


class _Told(TypedDict):
    transcript: tuple[Utterance, ...]
    transcript_with_tool_calls: tuple[Said, ...] | None


@dataclass(eq=False)
class Piece:
    """A part of a line; joined with the others they give its content."""

    content: str = ""
    words: tuple[Word, ...] = ()


@dataclass(eq=False)
class Line:
    """What one speaker says in a row."""

    role: Role
    pieces: list[Piece] = field(default_factory=list)

    def add(self, content: str = "", words: tuple[Word, ...] = ()) -> Piece:
        """Append a piece and return it."""
        piece = Piece(content, words)
        self.pieces.append(piece)
        return piece

    def utterance(self) -> Utterance:
        """Return it as it is now."""
        content = "".join(piece.content for piece in self.pieces).strip()
        return Utterance(self.role, content, tuple(w for piece in self.pieces for w in piece.words))


class CallTranscript:
    """All lines of a call, and the messages that tell an LLM server of them.

    Attributes:
        tools_told: these messages also have the tools that were called.
    """

    def __init__(self) -> None:
        self.tools_told = False
        self._items: list[Line | ToolCallInvocation | ToolCallResult] = []

    def user_piece(self) -> Piece:
        """Return a piece for what the user says now.

        Of the same line as long as the agent has not been heard in between.
        """
        for item in reversed(self._items):
            if isinstance(item, Line) and item.role == "user":
                return item.add()
            if isinstance(item, Line) and item.utterance().content:
                break
        return self._line("user").add()

    def agent_line(self) -> Line:
        """Return a new line for what the agent says."""
        return self._line("agent")

    def _line(self, role: Role) -> Line:
        line = Line(role)
        self._items.append(line)
        return line

    def tool(self, item: ToolCallInvocation | ToolCallResult) -> None:
        """Note that a tool was called or has returned."""
        self._items.append(item)

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """What has been said."""
        return tuple(item for item in self.with_tool_calls if isinstance(item, Utterance))

    @property
    def with_tool_calls(self) -> tuple[Said, ...]:
        """What has been said, and the tools that were called."""
        shown = (each.utterance() if isinstance(each, Line) else each for each in self._items)
        return tuple(each for each in shown if not isinstance(each, Utterance) or each.content)

    def update_only(self, turn: Role | None = None) -> UpdateOnly:
        """Return the message that something has changed, and perhaps the turn."""
        return UpdateOnly(**self._as_told(), turn=turn)

    def required(
        self, response_id: int, *, reminder: bool = False
    ) -> ResponseRequired | ReminderRequired:
        """Return the message that asks for a response, or for a reminder."""
        kind = ReminderRequired if reminder else ResponseRequired
        return kind(response_id=response_id, **self._as_told())

    def _as_told(self) -> _Told:
        tools = self.with_tool_calls if self.tools_told else None
        return {"transcript": self.utterances, "transcript_with_tool_calls": tools}
