"""Asking a kiosk that runs, from the command line."""

from __future__ import annotations

import asyncio
import json
from contextlib import suppress
from dataclasses import fields as dataclass_fields
from datetime import datetime
from pathlib import Path
from typing import Any

from retell_voice.errors import CallFailed, ConfigError, ConnectError
from retell_voice.kiosk.account import Account, in_words
from retell_voice.kiosk.control.client import ControlClient
from retell_voice.kiosk.states import LIMITS, State
from retell_voice.program import stdout
from retell_voice.program.failure import remark
from retell_voice.shown import clean, escape_json

_FIELDS = tuple(each.name for each in dataclass_fields(Account))
_ON_THE_WAY = State.DIALLING.value, State.WRAPPING_UP.value
"""Of a call that is asked for: it may come about, or it is given up, and why is told then."""
_RESULTS = {"over": "ended"}
"""Results of calls, for people, where they are not the words of the protocol."""
_CALL_SECONDS = LIMITS[State.DIALLING] + LIMITS[State.WRAPPING_UP]


def tell(path: Path, do: str, **fields: Any) -> None:
    """Have a command carried out, and say how the kiosk is then, or what the command has set.

    Raises:
        ConnectError: no kiosk listens there.
        ConfigError: it refuses.
    """
    answer = asyncio.run(_ask(path, do, fields))
    if do == "mute" and "muted" in answer:
        stdout.say("muted" if answer["muted"] else "not muted")
    elif do == "volume" and "volume" in answer:
        stdout.say(f"volume {answer['volume']} %")
    elif "state" in answer:
        stdout.say(str(answer["state"]))


def call(path: Path) -> None:
    """Make the kiosk call, and wait until the call is up.

    Raises:
        ConnectError: no kiosk listens there.
        CallFailed: there is no call; says why.
        ConfigError: the kiosk refuses.
    """
    stdout.say(asyncio.run(_called(path)))


def show_status(path: Path, *, as_json: bool) -> None:
    """Print how the kiosk is; raises ConnectError where there is none."""
    status = asyncio.run(_ask(path, "status", {}))["status"]
    if as_json:
        stdout.say(escape_json(json.dumps(status)))
        return
    stdout.say("\n".join(map(clean, status_lines(status))))


def show_logs(path: Path, calls: int, *, follow: bool, as_json: bool) -> None:
    """Print the last calls, and go on with what happens.

    Raises:
        ConnectError: no kiosk listens there.
        ConfigError: there are no calls, as the kiosk cannot keep them.
    """
    asyncio.run(_logs(path, calls, follow=follow, as_json=as_json))


def status_lines(status: dict[str, Any]) -> list[str]:
    """Return the lines that show a snapshot to people."""
    flags = [name for name in ("muted", "speaking") if status.get(name)]
    state = ", ".join([str(status.get("state")), *flags])
    results = ", ".join(
        f"{count} {_RESULTS.get(name, name)}" for name, count in status.get("results", {}).items()
    )
    minutes = status.get("talked", 0.0) / 60
    rows = {
        "state": state,
        "trouble": status.get("why"),
        "microphone": status.get("microphone"),
        "speaker": status.get("speaker"),
        "echo": status.get("echo"),
        "volume": f"{status.get('volume')} %",
        "calls": f"{status.get('calls')}{f' ({results})' if results else ''}, {minutes:.1f} min",
        "false wakes": status.get("false_wakes") or None,
        "history": status.get("history"),
        "up": f"{_span(status.get('uptime', 0))}, version {status.get('version')}",
    }
    return [f"{name:12}{text}" for name, text in rows.items() if text]


def _span(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds < 3570 else f"{seconds / 3600:.1f} h"


async def _ask(path: Path, do: str, fields: dict[str, Any]) -> dict[str, Any]:
    async with ControlClient(path) as client:
        answer = await client.do(do, **fields)
    return _accepted(answer)


def _accepted(answer: dict[str, Any]) -> dict[str, Any]:
    if not answer.get("ok"):
        raise ConfigError(f"the kiosk refuses: {answer.get('error')}")
    return answer


async def _called(path: Path) -> str:
    async with ControlClient(path) as client:
        look = _accepted(await client.do("call"))
        has_dialled = look.get("state") == State.DIALLING.value
        with suppress(TimeoutError):
            async with asyncio.timeout(_CALL_SECONDS):
                while has_dialled and look.get("state") in _ON_THE_WAY:
                    told = await anext(client, None)
                    if told is None:
                        raise ConnectError(f"the kiosk at {path} has gone")
                    look = told if told.get("event") == "look" else look
    state, why = look.get("state"), look.get("why")
    if state != State.IN_CALL.value:
        raise CallFailed(
            f"no call: the kiosk is {state}{f': {why}' if why else ''}",
            "retell-voice kiosk doctor" if state == State.FAULTED.value else "",
        )
    return str(state)


async def _logs(path: Path, calls: int, *, follow: bool, as_json: bool) -> None:
    async with ControlClient(path) as client:
        answer = await client.do("history", calls=calls)
        calls_kept = answer.get("calls", [])
        for fields in calls_kept:
            _print_call(fields, as_json=as_json)
        if trouble := answer.get("trouble"):
            words = f"the kiosk does not keep its calls: {trouble}"
            if not (follow or calls_kept):
                raise ConfigError(words, "its option --history names the file")
            remark(f"retell-voice: {words}")
        elif not (follow or calls_kept):
            remark("retell-voice: no calls yet")
        if not follow:
            return
        async for message in client:
            if as_json:
                stdout.say(escape_json(json.dumps(message)))
            elif message.get("event") == "call_ended":
                _print_call(message, as_json=False)
            elif message.get("event") == "look":
                why = message.get("why")
                said = f"{_time(None)}  {message.get('state')}{f': {why}' if why else ''}"
                stdout.say(clean(said))


def _print_call(fields: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        stdout.say(escape_json(json.dumps(fields)))
        return
    account = Account(**{name: fields[name] for name in _FIELDS if name in fields})
    stdout.say(clean(f"{_time(account.began)}  {in_words(account)}"))


def _time(at: float | None) -> str:
    moment = datetime.now() if at is None else datetime.fromtimestamp(at)
    return moment.astimezone().strftime("%Y-%m-%d %H:%M:%S")
