"""Would the agent hear itself, and what would a call do about it?"""

from __future__ import annotations

from retell_voice.devices.echo_path import choose_for
from retell_voice.devices.ports import Microphone, Speaker
from retell_voice.doctor.findings import Finding, Verdict
from retell_voice.echo.choice import Choice, Method
from retell_voice.errors import ConfigError

_LOUD = -35.0
"""dB relative to what is played; servers take a fainter echo for silence."""
_OPEN = "use headphones, or --echo webrtc or half-duplex"


def judge_way(asked: str, microphone: Microphone, speaker: Speaker) -> tuple[Choice, Finding]:
    """Judge which method of echo control a call would use with these devices."""
    try:
        choice = choose_for(Method(asked), microphone, speaker)
    except ConfigError as error:
        failed = Finding("sound", "echo control", Verdict.FAIL, str(error), error.hint, code=2)
        return Choice(Method.OFF, str(error), error.hint), failed
    verdict = Verdict.WARN if choice.hint else Verdict.PASS
    says = f"{choice.method}: {choice.why}"
    return choice, Finding("sound", "echo control", verdict, says, choice.hint)


def judge_echo(levels: list[float | None], choice: Choice) -> Finding:
    """Judge how loud the microphone hears the speaker.

    Args:
        levels: of each chime, dB relative to what was played, None if it was not heard.
        choice: what a call would do about it.
    """
    heard = sorted(level for level in levels if level is not None)
    if not heard:
        return Finding("sound", "echo", Verdict.PASS, "the microphone does not hear the speaker")
    level = heard[len(heard) // 2]
    figures = {"echo_db": round(level, 1)}
    says = f"the microphone hears the speaker, {level:+.0f} dB relative to what is played"
    if choice.method is not Method.OFF:
        return Finding("sound", "echo", Verdict.PASS, f"{says}; {choice.method}", "", figures)
    if level < _LOUD:
        return Finding("sound", "echo", Verdict.PASS, f"{says}: too faint to matter", "", figures)
    says += ": the agent would hear itself"
    return Finding("sound", "echo", Verdict.WARN, says, choice.hint or _OPEN, figures)
