"""Where ``talk`` shows its call: JSON, lines, or the live screen."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from retell_voice import __version__
from retell_voice.cli.dial import WEB_FRAME_MS, Target
from retell_voice.cli.output import JsonOutput, Output, PlainOutput
from retell_voice.errors import ConfigError
from retell_voice.program import stdout
from retell_voice.settings.tables.talk import TalkSettings

if TYPE_CHECKING:  # what draws and reads keys is of no use elsewhere
    from retell_voice.cli.live import ScreenOutput


def output_for(target: Target) -> tuple[Output, ScreenOutput | None]:
    """Return the output that the settings ask for, and that once more if it is the live screen."""
    settings, audio, phone = target.settings, target.audio, target.phone
    output: Output
    screen: ScreenOutput | None = None
    if settings.json.value:
        output = JsonOutput(
            {
                "transport": "webrtc" if target.is_web else "websocket",
                "encoding": "opus" if target.is_web else str(audio.encoding),
                "rate": audio.rate,
                "frame_ms": WEB_FRAME_MS if target.is_web else settings.frame_ms.value,
                "version": __version__,
                "dialect": settings.dialect.value,
                **({} if phone is None else {"call_id": "", "frame_ms": phone.frame_ms}),
            },
            levels=settings.levels.value,
        )
    elif _has_screen(settings):
        from retell_voice.cli.live import ScreenOutput  # as above

        output = screen = ScreenOutput()
    else:
        output = PlainOutput()
    return output, screen


def require_keys(settings: TalkSettings) -> None:
    """See that there is a keyboard, if one is needed; before a call is made for nothing.

    Raises:
        ConfigError: push-to-talk where there are no keys.
    """
    has_keyboard = sys.stdin is not None and sys.stdin.isatty()
    if settings.push_to_talk.value and not (_has_screen(settings) and has_keyboard):
        raise ConfigError(
            f"{settings.push_to_talk.source}: there are no keys without the live screen",
            "it needs a terminal for input and output, and neither --plain nor --json",
        )


def _has_screen(settings: TalkSettings) -> bool:
    is_dumb = os.environ.get("TERM", "") in ("dumb", "unknown")
    as_lines = settings.json.value or settings.plain.value or settings.typed.value
    return not as_lines and not is_dumb and stdout.is_terminal()


def wants_levels(settings: TalkSettings) -> bool:
    """Tell whether anything here uses them: JSON if asked to, the screen, the turns of files."""
    has_turns = settings.input_file.value is not None or settings.typed.value
    return has_turns or settings.levels.value or not settings.json.value
