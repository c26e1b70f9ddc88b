"""The transcript of a call, and the tool calls in between.

Lines grow while they are spoken: the speaker's side holds a ``Piece`` of a line and fills it in.
A line without words is not shown.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypedDict

from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.llm import (
    Dtmf,
    ReminderRequired,
    ResponseRequired,
    Said,
    ToolCallInvocation,
    ToolCallResult,
    UpdateOnly,
)


class _Transcripts(TypedDict):
    transcript: tuple[Utterance, ...]
    transcript_with_tool_calls: tuple[Said, ...] | None


@dataclass(eq=False)
class Piece:
    """A part of a line; joined, the parts give its content."""

    content: str = ""
    words: tuple[Word, ...] = ()


@dataclass(eq=False)
class Line:
    """What one speaker says without the other in between."""

    role: Role
    pieces: list[Piece] = field(default_factory=list)

    def add(self, content: str = "", words: tuple[Word, ...] = ()) -> Piece:
        """Append a piece and return it."""
        piece = Piece(content, words)
        self.pieces.append(piece)
        return piece

    def utterance(self) -> Utterance:
        """Return the line as it is now."""
        content = "".join(piece.content for piece in self.pieces).strip()
        return Utterance(self.role, content, tuple(w for piece in self.pieces for w in piece.words))


class CallTranscript:
    """All lines of a call, and the messages that send them to an LLM server.

    Attributes:
        with_tools: whether these messages include ``transcript_with_tool_calls``.
    """

    def __init__(self) -> None:
        self.with_tools = False
        self._items: list[Line | ToolCallInvocation | ToolCallResult | Dtmf] = []

    def user_piece(self) -> Piece:
        """Return a piece for what the user says now.

        It belongs to the user's last line unless the agent has been heard since.
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
        """Add a tool call or its result."""
        self._items.append(item)

    def pressed(self, digit: str) -> None:
        """Add a DTMF digit that the user pressed."""
        self._items.append(Dtmf(digit))

    @property
    def utterances(self) -> tuple[Utterance, ...]:
        """The transcript without tool calls."""
        return tuple(item for item in self.with_tool_calls if isinstance(item, Utterance))

    @property
    def with_tool_calls(self) -> tuple[Said, ...]:
        """The transcript with tool calls."""
        shown = (each.utterance() if isinstance(each, Line) else each for each in self._items)
        return tuple(each for each in shown if not isinstance(each, Utterance) or each.content)

    def update_only(self, turn: Role | None = None) -> UpdateOnly:
        """Return the message that the transcript, and perhaps the turn, has changed."""
        return UpdateOnly(**self._transcripts(), turn=turn)

    def required(
        self, response_id: int, *, reminder: bool = False
    ) -> ResponseRequired | ReminderRequired:
        """Return the message that asks for a response, or for a reminder."""
        kind = ReminderRequired if reminder else ResponseRequired
        return kind(response_id=response_id, **self._transcripts())

    def _transcripts(self) -> _Transcripts:
        tools = self.with_tool_calls if self.with_tools else None
        return {"transcript": self.utterances, "transcript_with_tool_calls": tools}
