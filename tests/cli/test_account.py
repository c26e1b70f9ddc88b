"""The commands about an account's agents and calls, against the emulator over real sockets."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import sys
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest
from support.rest import answer, interrupted, server
from websockets.sync.client import ClientConnection, connect

from retell_voice.cli import main
from retell_voice.emulator import silent_agent
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.fixtures import Emulators, RunningEmulator
from retell_voice.secret import mask

KEY = "key_1234567890abcdef"
NAMES = {"agent_1": "Front desk", "agent_2": "Support"}


class Seen(NamedTuple):
    code: int
    out: str
    err: str


See = Callable[..., Seen]


@pytest.fixture
def emulator(retell_emulator: Emulators) -> RunningEmulator:
    return retell_emulator(agent=silent_agent, api_key=KEY, agents=NAMES)


@pytest.fixture
def see(
    env: dict[str, str],
    emulator: RunningEmulator,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Iterator[See]:
    """Run the program in this process, with the emulator for its server."""

    def see(*arguments: str, key: str = KEY, stdin: str = "\n", url: str = "") -> Seen:
        for name in list(os.environ):
            monkeypatch.delenv(name)
        mine = {"RETELL_API_KEY": key, "RETELL_VOICE_API_URL": url or emulator.api_url, "TZ": "UTC"}
        for name, value in (env | mine).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["retell-voice", *arguments])
        monkeypatch.setattr(sys, "stdin", io.StringIO(stdin))
        with pytest.raises(SystemExit) as caught:
            main()
        out, err = capsys.readouterr()
        assert KEY not in out + err
        return Seen(int(caught.value.code or 0), out, err)

    interval = sys.getswitchinterval()
    yield see
    sys.setswitchinterval(interval)


def join(emulator: RunningEmulator, call: RegisteredCall) -> ClientConnection:
    return connect(f"{emulator.url}/{call.call_id}", compression=None)


def held(emulator: RunningEmulator, **fields: Any) -> RegisteredCall:
    """A call that is over."""
    call = emulator.register(**{"agent_id": "agent_1", **fields})
    with join(emulator, call):
        pass
    return emulator.wait(call)


def rows(seen: Seen) -> list[list[str]]:
    assert (seen.code, seen.err) == (0, "")
    return [line.split("\t") for line in seen.out.splitlines()]


def complaint(seen: Seen, code: int) -> str:
    """The lines of an error, joined: there are no more than two."""
    assert seen.code == code, seen.err
    lines = seen.err.splitlines()
    assert lines[0].startswith("retell-voice: ")
    assert len(lines) <= 2
    return "\n".join(lines)


# agents


def test_agents_by_name(see: See) -> None:
    assert [row[:2] for row in rows(see("agents"))] == [
        ["Front desk", "agent_1"],
        ["Support", "agent_2"],
    ]
    (row,) = rows(see("agents", "supp"))
    assert row[1] == "agent_2"
    assert re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", row[2])
    assert rows(see("agents", "nobody")) == []
    assert rows(see("agents", "--channel", "chat")) == []


def test_agents_as_json(see: See) -> None:
    shown = json.loads(see("agents", "--json", "--channel", "any").out)
    assert [(each["agent_id"], each["channel"]) for each in shown] == [
        ("agent_1", "voice"),
        ("agent_2", "voice"),
    ]
    assert json.loads(see("agents", "x", "--json").out) == []


# calls


def test_calls_and_which(see: See, emulator: RunningEmulator) -> None:
    old = held(emulator)
    new = held(emulator, agent_id="agent_2")
    waiting = emulator.register(agent_id="agent_2")
    latest, second, first = rows(see("calls"))
    assert latest == [mask(waiting.call_id), "", "", "agent_2", "registered"]
    assert (second[0], second[3:]) == (new.call_id, ["agent_2", "user_hangup"])
    assert (first[0], first[2]) == (old.call_id, "00:00")
    for which, found in (
        (("--limit", "1"), [mask(waiting.call_id)]),
        (("--oldest-first", "--limit", "1"), [old.call_id]),
        (("--agent", "support"), [mask(waiting.call_id), new.call_id]),
        (("--agent", "agent_1"), [old.call_id]),
        (("--status", "ended", "--status", "error"), [new.call_id, old.call_id]),
        (("--reason", "agent_hangup"), []),
        (("--reason", "user_hangup", "--since", "1h"), [new.call_id, old.call_id]),
        (("--until", "2020-01-01"), []),
        (("--type", "phone"), []),
        (("--type", "web", "--status", "registered"), [mask(waiting.call_id)]),
    ):
        assert [row[0] for row in rows(see("calls", *which))] == found, which


def test_calls_as_json_are_whole_but_for_what_lets_in(see: See, emulator: RunningEmulator) -> None:
    call = emulator.register(metadata={"order": 17})
    (shown,) = json.loads(see("calls", "--json").out)
    assert (shown["call_id"], shown["metadata"]) == (call.call_id, {"order": 17})
    assert "access_token" not in shown


# call


def test_one_call_by_its_end_by_its_id_and_from_stdin(see: See, emulator: RunningEmulator) -> None:
    first, last = held(emulator, metadata={"order": 17}), held(emulator)
    for given, stdin in (
        (first.call_id, ""),
        (first.call_id[-4:], ""),
        (f"…{first.call_id[-6:]}", ""),
        ("-", f"{first.call_id}\n"),
    ):
        seen = see("call", given, stdin=stdin)
        assert seen.code == 0, seen.err
        assert f"call        {first.call_id}\n" in seen.out
        assert 'metadata    {"order": 17}\n' in seen.out
    assert f"call        {last.call_id}\n" in see("call", "last").out
    shown = json.loads(see("call", "last", "--json").out)
    assert (shown["call_id"], shown["transcript"]) == (last.call_id, "")
    assert "access_token" not in shown


def test_a_call_that_is_not_over_keeps_its_secret(see: See, emulator: RunningEmulator) -> None:
    call = emulator.register()
    seen = see("call", "last")
    assert f"call        {mask(call.call_id)}\nstatus      registered\n" in seen.out
    assert call.call_id not in seen.out


def test_an_analysis_that_does_not_come_is_told_below_what_there_is(
    see: See, emulator: RunningEmulator
) -> None:
    call = held(emulator)
    seen = see("call", "last", "--wait", "--timeout", "0")
    assert call.call_id in seen.out
    said = complaint(seen, 7)
    assert f"call {mask(call.call_id)} was not analysed within 0 s" in said


@pytest.mark.parametrize(
    ("given", "code", "says"),
    [
        ("abc", 2, "neither a call_id nor the end of one"),
        ("-", 2, "no call: give its call_id, the end of it, or last"),
        ("zzzzzz", 7, "no call ends in …zzzz\n  `retell-voice calls` lists calls"),
        ("last", 7, "there is no call"),
        ("call_0123456789abcdef", 7, "knows no call …cdef"),
    ],
)
def test_a_call_that_there_is_not(see: See, given: str, code: int, says: str) -> None:
    assert says in complaint(see("call", given), code)


def test_an_end_that_two_calls_have(see: See, emulator: RunningEmulator) -> None:
    for name in ("one", "two"):
        emulator.register(call_id=f"call_{name}_89abcdef")
    assert "more than one call ends in …cdef" in complaint(see("call", "89abcdef"), 7)
    assert see("call", "e_89abcdef").code == 0


# stop


def test_a_call_is_stopped(see: See, emulator: RunningEmulator) -> None:
    call = emulator.register()
    emulator.register()  # later, and not going on
    with join(emulator, call) as websocket:
        assert see("stop", "last") == (0, f"stopped {mask(call.call_id)}\n", "")
        assert not list(websocket)
        assert websocket.close_reason == "the call was stopped"
    emulator.wait(call)
    again = see("stop", call.call_id)
    assert f"call that is {call.status}, not ongoing" in complaint(again, 7)
    assert call.call_id not in again.err
    assert "no ongoing call ends in" in complaint(see("stop", call.call_id[-6:]), 7)
    assert "there is no ongoing call" in complaint(see("stop", "last"), 7)


def test_stopped_as_json(see: See, emulator: RunningEmulator) -> None:
    call = emulator.register()
    with join(emulator, call):
        shown = json.loads(see("stop", call.call_id, "--json").out)
    assert shown == {"call_id": call.call_id, "stopped": True}


# What goes wrong


@pytest.mark.parametrize("command", [("agents",), ("calls",), ("call", "last"), ("stop", "last")])
def test_a_key_that_is_not_known_says_where_it_came_from(
    see: See, command: tuple[str, ...]
) -> None:
    said = complaint(see(*command, key="key_of_another_account"), 7)
    assert "does not accept the API key" in said
    assert "it came from RETELL_API_KEY; " in said
    assert "no API key to " in complaint(see(*command, key=""), 2)


def test_a_server_that_is_not_there(see: See) -> None:
    seen = see("agents", "--json", url="http://127.0.0.1:1")
    assert "network: " in complaint(seen, 4)
    assert json.loads(seen.out)["exit_code"] == 4


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("agents", "--channel", "fax"), 2, "--channel: 'fax' is not one of voice, chat, any"),
        (("calls", "--status", "endet"), 2, "--status: 'endet' is not one of"),
        (("calls", "--type", "fax"), 2, "--type: 'fax' is not one of web, phone"),
        (("calls", "--since", "soon"), 2, "--since: 'soon' is neither like 2h nor like 2026-"),
        (("calls", "--agent", "Frond desk"), 7, "did you mean Front desk (agent_1)?"),
        (("calls", "--agent", "Reception"), 7, "`retell-voice agents` lists them"),
        (("calls", "--agent", "desk"), 7, "use an id: Front desk (agent_1)"),
    ],
)
def test_what_cannot_be_used_is_named(
    see: See, arguments: tuple[str, ...], code: int, says: str
) -> None:
    assert says in complaint(see(*arguments), code)


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
async def test_ctrl_c_while_the_server_thinks(env: dict[str, str]) -> None:
    assert await interrupted("calls", env=env | {"RETELL_API_KEY": KEY}) == (130, b"", b"")


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals")
async def test_tables_on_a_terminal(env: dict[str, str]) -> None:
    from support.terminal import Terminal  # noqa: PLC0415 - there is no termios on Windows

    call = {
        "call_id": "call_0123456789abcdef",
        "call_status": "ended",
        "agent_id": "agent_1",
        "agent_name": "Front [b]desk\x1b[31m",
        "start_timestamp": 1_790_000_000_000,
        "end_timestamp": 1_790_000_083_000,
        "disconnection_reason": "user_hangup",
        "call_cost": {"combined_cost": 21.4},
        "call_analysis": {"user_sentiment": "Positive", "call_successful": True},
    }
    page = answer(json.dumps({"items": [call], "has_more": False}).encode())
    async with server(page, page) as (url, _):

        def look(columns: int) -> str:
            more = {"RETELL_API_KEY": KEY, "TZ": "UTC"}
            where = ("calls", "--api-url", url)
            with Terminal(*where, env={**env, **more}, size=(24, columns)) as terminal:
                assert terminal.wait() == 0
                return terminal.text

        wide, narrow = [await asyncio.to_thread(look, columns) for columns in (140, 60)]
    heads, row, *_ = wide.split("\n")
    columns = ["call_id", "began", "length", "agent", "ended by", "cost", "analysis"]
    assert re.split(" {2,}", heads.strip()) == columns
    assert re.split(" {2,}", row.strip()) == [
        "call_0123456789abcdef",
        "2026-09-21 14:13:20",
        "01:23",
        "Front [b]desk[31m",
        "user_hangup",
        "$0.21",
        "Positive, successful",
    ]
    assert "call_0123456789abcdef" in narrow, "it can be copied"
