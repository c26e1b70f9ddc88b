"""An avatar that moves with the voice: python examples/avatar.py CALL_ID URL

With alignment, each piece of audio comes with its text, and the event comes when that piece is
*heard*. So the mouth can be moved word by word, and stops when the agent is interrupted, not when
the last byte has arrived.
"""

import argparse
import asyncio
from collections.abc import Callable
from contextlib import suppress

from retell_voice import AgentStarted, AgentStopped, Alignment, Call, Event

OPEN, CLOSED = "(^o^)", "(^-^)"
WIDE, ROUND, SHUT = "aeiäy", "ouöüw", "bmp"
MOUTHS = {
    **dict.fromkeys(WIDE, "(^O^)"),
    **dict.fromkeys(ROUND, OPEN),
    **dict.fromkeys(SHUT, CLOSED),
}


def mouths(text: str, duration: float) -> list[tuple[float, str]]:
    """Return after how many seconds the mouth takes which shape; letters share the time."""
    letters = [letter for letter in text.lower() if letter.isalpha()]
    step = duration / max(1, len(letters))
    shapes: list[tuple[float, str]] = []
    for place, letter in enumerate(letters):
        shape = MOUTHS.get(letter)
        if shape is not None and (not shapes or shapes[-1][1] != shape):
            shapes.append((place * step, shape))
    return shapes


class Avatar:
    """A face that events move.

    Args:
        draw: shows a face and what it says.
    """

    def __init__(self, draw: Callable[[str, str], None]) -> None:
        self._draw = draw
        self._text = ""
        self._moves: list[asyncio.TimerHandle] = []

    def see(self, event: Event) -> None:
        """Take an event of the call."""
        match event:
            case Alignment(text=text, duration=duration):
                self._text = f"{self._text} {text}".strip()
                self._move(text, duration)
            case AgentStarted():
                self._text = ""
                self._draw(OPEN, "")
            case AgentStopped(interrupted=interrupted):
                self._still()
                self._draw(CLOSED, f"{self._text}…" if interrupted else self._text)

    def _move(self, text: str, duration: float) -> None:
        self._still()
        loop = asyncio.get_running_loop()
        for after, shape in mouths(text, duration):
            self._moves.append(loop.call_later(after, self._draw, shape, self._text))

    def _still(self) -> None:
        for move in self._moves:
            move.cancel()
        self._moves.clear()


def show(face: str, text: str) -> None:
    """Draw on one line of the terminal."""
    print(f"\r\x1b[K{face}  {text[-60:]}", end="", flush=True)


async def main(call_id: str, url: str) -> None:
    """Hold a call with a face."""
    avatar = Avatar(show)
    async with Call(call_id, url=url, alignment=True) as call:
        async for event in call:
            avatar.see(event)
    print()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="An avatar that moves with the voice.")
    parser.add_argument("call_id", metavar="CALL_ID")
    parser.add_argument("url", metavar="URL")
    with suppress(KeyboardInterrupt):  # it hangs up
        asyncio.run(main(**vars(parser.parse_args())))
