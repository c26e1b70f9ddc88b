"""What goes over the control socket, and its server with clients that misbehave."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.errors import CallFailed, ConfigError, ConnectError
from retell_voice.kiosk.account import Account
from retell_voice.kiosk.ask import _called
from retell_voice.kiosk.control.client import ControlClient
from retell_voice.kiosk.control.messages import (
    COMMANDS,
    LINE,
    BadCommand,
    Command,
    account_message,
    look_message,
    read_command,
    read_message,
    read_token,
    refusal,
    reply,
    written,
)
from retell_voice.kiosk.control.server import MOST_CLIENTS, ControlServer
from retell_voice.kiosk.ports import Look
from retell_voice.kiosk.states import State

JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=8,
)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        ({"do": "call"}, Command("call")),
        ({"do": "press", "id": [1], "source": "a door"}, Command("press", [1], source="a door")),
        ({"do": "mute"}, Command("mute")),
        ({"do": "mute", "on": None}, Command("mute")),
        ({"do": "mute", "on": False}, Command("mute", muted=False)),
        ({"do": "volume", "percent": 0}, Command("volume")),
        (
            {"do": "volume", "percent": -5, "relative": True},
            Command("volume", None, None, -5, True),
        ),
        ({"do": "sound", "file": "/a.wav"}, Command("sound", file="/a.wav")),
        ({"do": "history", "calls": 7}, Command("history", calls=7)),
    ],
)
def test_commands(said: dict[str, Any], wanted: Command) -> None:
    assert read_command(written(said)) == wanted


@pytest.mark.parametrize(
    ("said", "says"),
    [
        (b"", "no JSON"),
        (b"[]\n", "no JSON object"),
        (b"\xff\n", "not UTF-8"),
        (b'{"do": "dance"}', "do is 'dance'"),
        (b'{"do": ["call"]}', "do is"),
        (b'{"do": "mute", "on": 1}', "on is 1"),
        (b'{"do": "volume"}', "percent is missing"),
        (b'{"do": "volume", "percent": true}', "percent is True"),
        (b'{"do": "volume", "percent": 1e999}', "percent is"),
        (b'{"do": "volume", "percent": -1}', "outside 0"),
        (b'{"do": "sound", "file": "a\\u0000"}', "file is to be"),
        (b'{"do": "history", "calls": 0}', "outside 1"),
        (b'{"do": "call", "source": "a\\nb"}', "source is to be a name"),
        (b'{"do": "call", "x": "' + b"y" * LINE + b'"}', "longer than"),
    ],
)
def test_what_is_no_command(said: bytes, says: str) -> None:
    with pytest.raises(BadCommand, match=says):
        read_command(said)


def test_a_bad_command_keeps_its_name() -> None:
    with pytest.raises(BadCommand) as caught:
        read_command(b'{"do": "volume", "id": 7}')
    assert refusal("no", caught.value.id) == {"reply": None, "ok": False, "error": "no", "id": 7}


@given(st.binary() | JSON.map(lambda each: json.dumps(each).encode()))
def test_any_line_is_a_command_or_is_refused(line: bytes) -> None:
    try:
        answer = reply(read_command(line))
    except BadCommand as error:
        answer = refusal(str(error), error.id)
    assert answer["reply"] in (*COMMANDS, None)
    assert written(answer).count(b"\n") == 1


@given(
    do=st.sampled_from(COMMANDS),
    given_id=JSON,
    fields=st.dictionaries(
        st.sampled_from(["on", "percent", "relative", "file", "calls", "source"]), JSON
    ),
)
def test_whatever_a_command_has_its_answer_can_be_written(
    do: str, given_id: Any, fields: dict[str, Any]
) -> None:
    line = json.dumps({"do": do, "id": given_id, **fields}).encode()
    try:
        answer = reply(read_command(line), "why\nnot")
    except BadCommand as error:
        answer = refusal(str(error), error.id)
    assert read_message(written(answer)) == json.loads(written(answer))


@given(st.binary())
def test_any_token_is_one_or_is_refused(line: bytes) -> None:
    try:
        token = read_token(line)
    except ValueError:
        return
    assert token
    assert str(token) not in repr(token) or len(token) < 12 or token in repr(token)


def test_looks_and_accounts_are_flat() -> None:
    look = look_message(Look(State.OFFLINE, why="no network"), uptime=3)
    assert (look["event"], look["state"], look["why"], look["uptime"]) == (
        *("look", "offline", "no network", 3),
    )
    ended = account_message(Account(began=1.23456, source="a", result="over"))
    assert (ended["event"], ended["began"], ended["dialled"]) == ("call_ended", 1.235, None)


async def handle(command: Command) -> dict[str, Any]:
    if command.do == "reload":
        raise RuntimeError("a defect")
    return reply(command, state="idle")


@asynccontextmanager
async def serving(path: Path, **more: Any) -> AsyncIterator[ControlServer]:
    async with ControlServer(
        path, handle, lambda: look_message(Look(), "status"), **more
    ) as server:
        yield server


async def test_snapshot_answers_and_what_is_told(tmp_path: Path) -> None:
    path = tmp_path / "in" / "kiosk.sock"
    async with serving(path) as server, ControlClient(path) as one, ControlClient(path) as other:
        assert one.snapshot["event"] == "status"
        assert (await one.do("call"))["ok"]
        answer = await one.do("reload")
        assert (answer["ok"], "a defect" in answer["error"]) == (False, True)
        server.tell(look_message(Look(State.IDLE)))
        assert [(await anext(each))["state"] for each in (one, other)] == ["idle", "idle"]
    assert not path.exists()
    with pytest.raises(ConnectError, match="has gone"):
        await one.do("call")


@pytest.mark.parametrize(
    ("told", "says"),
    [
        ([("dialling", ""), ("in call", "")], "in call"),
        ([("in call", "")], "in call"),  # it was already
        ([("starting", "")], "no call: the kiosk is starting"),
        (
            [("dialling", ""), ("wrapping up", ""), ("cooling down", "")],  # someone has pressed
            "no call: the kiosk is cooling down",
        ),
        (
            [("dialling", ""), ("wrapping up", ""), ("offline", "it did not begin within 45 s")],
            "no call: the kiosk is offline: it did not begin within 45 s",
        ),
        ([("wrapping up", "")], "no call: the kiosk is wrapping up"),  # the call before
        (
            [("dialling", ""), ("faulted", "the key is refused")],
            "no call: the kiosk is faulted: the key is refused",
        ),
    ],
)
def test_who_makes_it_call_is_told_what_came_of_it(
    tmp_path: Path,
    told: list[tuple[str, str]],
    says: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def do(client: ControlClient, command: str) -> dict[str, Any]:
        first, *rest = told
        for state, why in rest:
            client._told.put_nowait({"event": "look", "state": state, "why": why})
        client._told.put_nowait({"event": "call_ended"})
        return {"reply": command, "ok": True, "state": first[0]}

    async def asked() -> str:
        async with serving(tmp_path / "kiosk.sock"):
            return await _called(tmp_path / "kiosk.sock")

    monkeypatch.setattr(ControlClient, "do", do)
    if says == "in call":
        assert asyncio.run(asked()) == says
        return
    with pytest.raises(CallFailed) as failed:
        asyncio.run(asked())
    assert str(failed.value) == says
    assert ("kiosk doctor" in failed.value.hint) == ("faulted" in says)


def test_a_call_that_is_refused_is_no_call_without_a_reason(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def do(_: ControlClient, command: str) -> dict[str, Any]:
        return {"reply": command, "ok": False, "error": "a defect"}

    async def ask() -> None:
        async with serving(tmp_path / "kiosk.sock"):
            await _called(tmp_path / "kiosk.sock")

    monkeypatch.setattr(ControlClient, "do", do)
    with pytest.raises(ConfigError, match="refuses: a defect"):
        asyncio.run(ask())


async def test_a_client_that_is_not_answered_leaves_nothing_behind(tmp_path: Path) -> None:
    left = asyncio.Event()

    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        assert await reader.read() == b""
        writer.close()
        left.set()

    path = tmp_path / "kiosk.sock"
    async with await asyncio.start_unix_server(silent, path):
        with pytest.raises(ConnectError, match="does not answer"):
            async with ControlClient(path, timeout=0.05):
                pass
        async with asyncio.timeout(5):
            await left.wait()
    with pytest.raises(ConnectError, match="No such file"):
        async with ControlClient(tmp_path / "nobody", timeout=0.05):
            pass


async def test_a_line_without_end_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.sock"
    async with serving(path):
        reader, writer = await asyncio.open_unix_connection(str(path))
        await reader.readline()
        writer.write(b"x" * (3 * LINE))
        assert "longer than" in json.loads(await reader.readline())["error"]
        assert await reader.read() == b""
        writer.close()
        async with ControlClient(path) as client:
            assert (await client.do("status"))["ok"]


async def test_who_does_not_read_is_let_go_and_holds_up_nobody(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.sock"
    async with serving(path) as server, ControlClient(path) as reads:
        deaf = socket.socket(socket.AF_UNIX)
        deaf.setblocking(False)
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await asyncio.get_running_loop().sock_connect(deaf, str(path))
        for number in range(5000):
            server.tell({"event": "look", "number": number, "filling": "x" * 1000})
            message = await anext(reads)
        assert message["number"] == 4999
        with deaf:
            received = 0
            while data := await asyncio.get_running_loop().sock_recv(deaf, 65536):
                received += len(data)
            assert received < 5_000_000


async def test_there_is_room_for_so_many(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.sock"
    async with serving(path):
        clients = [await ControlClient(path).__aenter__() for _ in range(MOST_CLIENTS)]
        async with ControlClient(path) as one_more:
            assert "connected already" in one_more.snapshot["error"]
        for client in clients:
            await client.__aexit__(None, None, None)


async def test_a_socket_that_was_left_behind_is_replaced_and_no_other_file(tmp_path: Path) -> None:
    path = tmp_path / "kiosk.sock"
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    async with serving(path), ControlClient(path):
        with pytest.raises(ConfigError, match="already running"):
            async with serving(path):
                pass
        assert path.exists()
    path.write_text("precious")
    with pytest.raises(ConfigError, match="not a socket"):
        async with serving(path):
            pass
    assert path.read_text() == "precious"


async def test_over_tcp_nothing_is_told_without_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("retell_voice.kiosk.control.server._TOKEN_SECONDS", 0.2)
    path = tmp_path / "kiosk.sock"
    async with serving(path, address=("127.0.0.1", 0), token="right") as server:
        for said, says in (
            (b'{"token": "wrong"}\n', "is wrong"),
            (b'{"do": "call"}\n', "first"),
            (b"GET / HTTP/1.1\r\n", "no JSON"),
            (b"", "no token came"),
        ):
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            writer.write(said)
            assert says in json.loads(await reader.readline())["error"]
            assert await reader.read() == b""
            writer.close()
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(b'{"token": "right"}\n{"do": "call", "id": 1}\n')
        assert json.loads(await reader.readline())["event"] == "status"
        assert json.loads(await reader.readline())["id"] == 1
        writer.close()
