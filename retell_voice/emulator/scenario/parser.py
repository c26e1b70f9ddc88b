"""Parses a scenario's TOML into steps; everything is checked before a call begins. Pure.

::

    name = "an interruption"

    [[step]]
    say = "Hello there, this goes on for a while."

    [[step]]
    wait = {user_speaks = true, at_most_seconds = 10}

    [[step]]
    clear = true

``docs/scenarios.md`` describes every step; ``STEP_KINDS`` below is the list of them.
"""

from __future__ import annotations

import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from retell_voice.audio.format import MAX_RATE, MIN_RATE, Encoding
from retell_voice.emulator.scenario.around_calls import parse_after_call, parse_request_faults
from retell_voice.emulator.scenario.step_parsers import SIMPLE_STEPS
from retell_voice.emulator.scenario.steps import (
    BadMessage,
    Clear,
    Close,
    Drop,
    HalfOpen,
    Repeat,
    Reset,
    Scenario,
    Send,
    SendMetadata,
    Speak,
    Step,
    StepAction,
    Together,
    Update,
)
from retell_voice.emulator.scenario.table import Table
from retell_voice.errors import ConfigError, did_you_mean, show

_DEEPEST = 8  # steps within steps
_MOST = 1_000_000_000
_FOREVER = "forever"


def load_scenario(path: Path | str) -> Scenario:
    """Read a scenario; its recordings are looked up next to it.

    Raises:
        ConfigError: it cannot be read, or is not a scenario. Names step and key.
    """
    path = Path(path)
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror or error}") from None
    except UnicodeDecodeError:
        raise ConfigError(f"{path}: not a text file in UTF-8") from None
    return parse_scenario(text, str(path), folder=path.parent)


def parse_scenario(text: str, source: str = "scenario", *, folder: Path | str = ".") -> Scenario:
    """Return the scenario that a TOML text describes.

    Args:
        text: the TOML.
        source: where it comes from, for errors.
        folder: where relative paths of recordings start.

    Raises:
        ConfigError: it is not a scenario. Names step and key.
    """
    try:
        try:
            body = tomllib.loads(text)
        except ValueError as error:
            raise ConfigError(f"{source}: not TOML: {error}") from None
        return _scenario(body, source, Path(folder))
    except RecursionError:
        raise ConfigError(f"{source}: nested too deeply") from None


def _scenario(body: dict[str, Any], source: str, folder: Path) -> Scenario:
    encoding = rate = None
    with Table(source, body) as table:
        if "audio" in table:
            with table.table("audio") as audio:
                if "encoding" in audio:
                    encoding = audio.choice("encoding", tuple(Encoding))
                if "rate" in audio:
                    rate = audio.whole("rate", MIN_RATE, MAX_RATE, "Hz")
        return Scenario(
            name=table.text("name", Path(source).stem),
            description=table.text("description", ""),
            encoding=encoding,
            rate=rate,
            seed=table.whole("seed", -_MOST, _MOST, default=0),
            folder=folder,
            steps=_steps(table, source),
            request_faults=parse_request_faults(table),
            after_call=parse_after_call(table),
        )


class _Body(Table):
    """One step as it stands in the file."""

    def __init__(self, source: str, number: str, body: Any) -> None:
        self.source, self.place = source, number
        super().__init__(f"{source}, step {number}", body)


def _steps(table: Table, source: str, number: str = "") -> tuple[Step, ...]:
    bodies = table.tables("step")
    if not bodies:
        raise table.wrong("there is no [[step]]")
    if number.count(".") >= _DEEPEST:
        raise table.wrong(f"steps within steps, more than {_DEEPEST} deep")
    steps: list[Step] = []
    for index, body in enumerate(bodies, 1):
        step = _step(_Body(source, f"{number}.{index}" if number else str(index), body))
        if steps and _ends(steps[-1].action):
            raise table.wrong(
                f"step {step.number} is never reached: the {steps[-1].name} before it ends the call"
            )
        steps.append(step)
    return tuple(steps)


def _ends(action: StepAction) -> bool:
    if isinstance(action, Repeat):
        return action.times is None or _ends(action.steps[-1].action)
    return isinstance(action, (Close, Drop, Reset, HalfOpen))


def _step(body: _Body) -> Step:
    names = [name for name in STEP_KINDS if name in body]
    if not names:
        first = body.keys[0] if body.keys else ""
        raise body.wrong(
            f"unknown kind of step: {show(first)}" if first else "it is empty",
            did_you_mean(first, list(STEP_KINDS)),
        )
    if len(names) > 1:
        raise body.wrong(f"it does more than one thing: {', '.join(names)}", "one per step")
    (name,) = names
    with body:
        details = _brief(body.take(name))
        return Step(name=name, number=body.place, details=details, action=STEP_KINDS[name](body))


def _brief(value: Any) -> str:
    match value:
        case True:
            return ""
        case dict():
            text = ", ".join(f"{key} {_brief(item)}".rstrip() for key, item in value.items())
        case _:
            text = show(value)
    return text if len(text) <= 60 else f"{text[:59]}…"


def _repeat(body: _Body) -> StepAction:
    times = None
    if body.take("repeat") != _FOREVER:
        times = body.whole("repeat", 1, _MOST)
    return Repeat(times, _steps(body, body.source, body.place))


def _together(body: _Body) -> StepAction:
    body.flag("together")
    steps = _steps(body, body.source, body.place)
    for step in steps:
        action = step.action
        timed = isinstance(action, Speak) and action.delivery.timed
        if timed or not isinstance(action, (Speak, Clear, Update, SendMetadata, Send, BadMessage)):
            raise body.wrong(f"step {step.number}, {step.name}, takes time: not allowed in here")
    return Together(steps)


STEP_KINDS: Mapping[str, Callable[[_Body], StepAction]] = {
    **SIMPLE_STEPS,
    "repeat": _repeat,
    "together": _together,
}
"""What parses each kind of step, by the key that names it."""
