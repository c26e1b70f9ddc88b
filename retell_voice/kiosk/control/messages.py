"""What goes over a kiosk's control socket: JSON objects, one a line. Pure, and both sides of it.

::

    kiosk  ▶ {"event": "status", "state": "idle", …}          at once: all there is to know
    client ▶ {"do": "call", "id": 7}
    kiosk  ▶ {"reply": "call", "id": 7, "ok": true}
    kiosk  ▶ {"event": "look", "state": "dialling", …}        whenever it has changed
    kiosk  ▶ {"event": "call_ended", "source": …, …}

Over TCP a client says ``{"token": "…"}`` first, and gets nothing before it has.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

from retell_voice.errors import show
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.ports import Look
from retell_voice.protocol.lenient import load_json, tidy
from retell_voice.secret import Secret

LINE = 8192
"""Bytes that a line may have, its end included."""
MOST_CALLS = 1000

Do = Literal["call", "hang-up", "press", "mute", "volume", "sound", "reload", "status", "history"]
COMMANDS: tuple[str, ...] = get_args(Do)


@dataclass(frozen=True, slots=True)
class Command:
    """Something that a client wants.

    Attributes:
        do: what.
        id: what the answer has, too; any JSON.
        muted: of ``mute``; None: the other of the two.
        percent: of ``volume``, 0–200, or steps.
        relative: of ``volume``: ``percent`` are steps.
        file: of ``sound``: a WAV file of the kiosk's machine, or the name of one of its sounds.
        calls: of ``history``: how many.
        source: who wants it, for people; empty where that is not said.
    """

    do: Do
    id: Any = None
    muted: bool | None = None
    percent: int = 0
    relative: bool = False
    file: str = ""
    calls: int = 20
    source: str = ""


class BadCommand(ValueError):
    """A line wants nothing that there is; ``str`` is one line for people.

    Attributes:
        id: what it was called by its sender, if anything.
    """

    def __init__(self, why: str, given: Any = None) -> None:
        super().__init__(why)
        self.id = given


def read_command(line: bytes) -> Command:
    """Return what a line wants.

    Raises:
        BadCommand: nothing that there is.
    """
    given = None
    try:
        found = _read_object(line, LINE)
        given = found.get("id")
        return _command(found)
    except ValueError as error:
        raise BadCommand(str(error), given) from None


def _command(found: dict[str, Any]) -> Command:
    do, source = found.get("do"), found.get("source", "")
    if do not in COMMANDS:
        raise ValueError(f"do is {show(do)}, not one of {', '.join(COMMANDS)}")
    if not isinstance(source, str) or not source.isprintable() or len(source) > 80:
        raise ValueError("source is to be a name")
    command = Command(do, found.get("id"), source=source)
    match do:
        case "mute":
            return _with(command, muted=_checked(found, "on", bool, None))
        case "volume":
            relative = _checked(found, "relative", bool, False)
            percent = _checked(found, "percent", int)
            if not (-200 if relative else 0) <= percent <= 200:
                raise ValueError(f"percent is {show(percent)}, outside 0–200")
            return _with(command, percent=percent, relative=relative)
        case "sound":
            file = _checked(found, "file", str)
            if not file or "\0" in file:
                raise ValueError("file is to be the path of a WAV file")
            return _with(command, file=file)
        case "history":
            calls = _checked(found, "calls", int, 20)
            if not 1 <= calls <= MOST_CALLS:
                raise ValueError(f"calls is {show(calls)}, outside 1–{MOST_CALLS}")
            return _with(command, calls=calls)
    return command


def read_token(line: bytes) -> str:
    """Return the token that a client shows; raises ValueError if there is none."""
    token = _read_object(Secret(line.decode("utf-8", "replace")).encode(), LINE).get("token")
    if not isinstance(token, str) or not token:
        raise ValueError('say {"token": "…"} first')
    return Secret(token)


def read_message(line: bytes) -> dict[str, Any]:
    """Return what a kiosk says, as it came; raises ValueError if that is nothing to be read."""
    return _read_object(line, None)


def look_message(look: Look, event: str = "look", **more: Any) -> dict[str, Any]:
    """Return a message with how a kiosk looks."""
    return {"event": event, **asdict(look), "state": look.state.value, **more}


def account_message(account: Account) -> dict[str, Any]:
    """Return the message about a call that has ended."""
    fields = asdict(account)
    rounded = {
        name: round(value, 3) if isinstance(value, float) else value
        for name, value in fields.items()
    }
    return {"event": "call_ended", **rounded}


def reply(command: Command, error: str = "", **more: Any) -> dict[str, Any]:
    """Return the answer to a command; ``error``: one line, empty if it is done."""
    answer = {"reply": command.do, "ok": not error, **more}
    if command.id is not None:
        answer["id"] = command.id
    if error:
        answer["error"] = error
    return answer


def refusal(error: str, given: Any = None) -> dict[str, Any]:
    """Return the answer to what is no command; ``given``: what that was called."""
    answer = {"reply": None, "ok": False, "error": error}
    return answer if given is None else {**answer, "id": given}


def written(message: dict[str, Any]) -> bytes:
    """Return a message as a line."""
    return json.dumps(message, ensure_ascii=False, allow_nan=False).encode() + b"\n"


def _read_object(line: bytes, most: int | None) -> dict[str, Any]:
    if most is not None and len(line) > most:
        raise ValueError(f"the line is longer than {most} bytes")
    try:
        found = tidy(load_json(line.decode()))
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8") from None
    if not isinstance(found, dict):
        raise ValueError("it is no JSON object")
    return found


def _with(command: Command, **fields: Any) -> Command:
    return Command(command.do, command.id, source=command.source, **fields)


_MISSING = object()


def _checked(found: dict[str, Any], name: str, kind: type, default: Any = _MISSING) -> Any:
    value = found.get(name, default)
    if value is default and default is not _MISSING:
        return default
    if value is None and default is None:
        return None
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        given = "missing" if value is _MISSING else show(value)
        raise ValueError(f"{name} is {given}, which it cannot be")
    return value
