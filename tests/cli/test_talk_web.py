"""``talk`` in web calls: how they go, and every way in which they may not."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from support.gateway import CALL_ID, KEY, TOKEN, Gateway, deaf, gateway
from support.pipes import FILES, patched
from support.program import Talk

from retell_voice.extras import how_to_install

Result = subprocess.CompletedProcess[str]
Run = Callable[..., Awaitable[Result]]

WITH_KEY = {"RETELL_API_KEY": KEY}
CREATE, JOIN = ("POST", "create-web-call"), ("POST", "sessions")
DETAILS = {"call_id": CALL_ID, "call_status": "ended", "disconnection_reason": "user_hangup"}


@pytest.fixture
async def server() -> AsyncIterator[Gateway]:
    async with gateway() as server, asyncio.timeout(40):
        server.answers["GET", f"get-call/{CALL_ID}"] = [(200, DETAILS)]
        yield server


@pytest.fixture
def talk(run: Callable[..., Result], server: Gateway) -> Run:
    """Run ``talk`` beside the gateway; it must show no secret."""

    async def talk(*arguments: str, more: dict[str, str] = WITH_KEY, **options: Any) -> Result:
        where = ("--api-url", server.url)
        result = await asyncio.to_thread(
            run, "talk", *where, *FILES, *arguments, more=more, **options
        )
        for secret in (KEY, CALL_ID, TOKEN):
            assert secret not in result.stdout + result.stderr
        return result

    return talk


def complaint(result: Result, code: int) -> str:
    """Return what is said on stderr, in one line; checks that it is two lines at most."""
    assert result.returncode == code, result.stderr
    assert len(result.stderr.splitlines()) <= 2
    assert result.stderr.startswith("retell-voice: ")
    return " ".join(result.stderr.split())


def ends_when_joined(server: Gateway) -> None:
    """Let the gateway end each call as soon as it has heard its caller."""

    async def end(session: Any) -> None:
        await session.speaking.wait()
        await session.end()

    ending: list[asyncio.Task[None]] = []
    server.on_session = lambda session: ending.append(asyncio.create_task(end(session)))


REFERENCE = (Path(__file__).parents[2] / "docs" / "json.md").read_text("utf-8")
TOLD = (
    *("--agent-version", "7", "--dynamic-variable", "name=Ann", "--metadata", "order=17"),
    *("--node", "node_1", "--state", "greeting"),
)


async def test_an_agent_is_called_and_told_what_was_given(talk: Run, server: Gateway) -> None:
    ends_when_joined(server)
    result = await talk("--agent", "agent_1", "--json", *TOLD, "--no-updates")
    assert (result.returncode, result.stderr) == (0, "")
    call, *events, ended, details = map(json.loads, result.stdout.splitlines())
    assert (call["transport"], call["encoding"], call["rate"]) == ("webrtc", "opus", 48000)
    assert (call["frame_ms"], call["call_id"]) == (20, None)
    (page,) = (line for line in REFERENCE.splitlines() if line.startswith("| `call` |"))
    assert all(f"`{key}`" in page for key in set(call) - {"event"})
    assert (ended["by"], ended["reason"], ended["error"]) == ("server", "ended", None)
    assert ended["statistics"]["packets"]["lost"] == 0
    assert (details["event"], details["call_id"]) == ("call_details", "…cdef")
    assert {"levels", "statistics"} <= {event["event"] for event in events}
    assert server.bodies[0] == {
        "agent_id": "agent_1",
        "agent_version": 7,
        "metadata": {"order": "17"},
        "retell_llm_dynamic_variables": {"name": "Ann"},
        "current_node_id": "node_1",
        "current_state": "greeting",
    }
    assert [method for method, path in server.requests if "webrtc" in path] == ["POST", "DELETE"]


async def test_it_is_shown_in_lines(talk: Run, server: Gateway) -> None:
    ends_when_joined(server)
    result = await talk("--agent", "agent_1")
    first, *_ = result.stdout.splitlines()
    assert first.startswith("call with agent_1 on 127.0.0.1:")
    assert first.endswith(", opus 48000 Hz")
    assert "the transcript is lost, the call goes on" in result.stdout
    assert "the server closed the call (1000: ended)" in result.stdout
    assert "according to the server: user_hangup" in result.stdout


def agents(*named: tuple[str, str]) -> dict[str, Any]:
    items = [
        {"agent_id": id_, "agent_name": name, "channel": "voice", "is_suspended": False}
        for id_, name in named
    ]
    return {"items": items, "has_more": False}


async def test_an_agent_can_be_called_by_its_name(talk: Run, server: Gateway) -> None:
    ends_when_joined(server)
    found = agents(("agent_7", "Front Desk"), ("agent_8", "Front Desk, at night"))
    server.answers["POST", "list-agents"] = [(200, found)]
    result = await talk("--agent", "front desk", "--json", "--no-updates")
    assert (result.returncode, result.stderr) == (0, "")
    assert server.requests[:2] == [("POST", "/v2/list-agents"), ("POST", "/v3/create-web-call")]
    assert server.bodies[1]["agent_id"] == "agent_7"


@pytest.mark.parametrize("source", ["-", "file"])
async def test_a_call_made_elsewhere_is_joined_without_a_key(
    talk: Run, server: Gateway, tmp_path: Path, source: str
) -> None:
    ends_when_joined(server)
    (tmp_path / "call.json").write_text(json.dumps(server.admission))
    path, stdin = ("-", json.dumps(server.admission)) if source == "-" else ("call.json", "")
    path = path if path == "-" else str(tmp_path / path)
    result = await talk("--web-call", path, "--json", more={}, stdin=stdin)
    assert (result.returncode, result.stderr) == (0, "")
    call, *_, ended = map(json.loads, result.stdout.splitlines())
    assert (call["call_id"], ended["by"]) == ("…cdef", "server")
    assert [method for method, _ in server.requests] == ["POST", "DELETE"]


async def test_with_a_key_it_is_looked_up_too(talk: Run, server: Gateway) -> None:
    ends_when_joined(server)
    result = await talk("--web-call", "-", "--no-updates", stdin=json.dumps(server.admission))
    assert result.stdout.splitlines()[0].startswith("call …cdef on 127.0.0.1:")
    assert "according to the server: user_hangup" in result.stdout


async def test_a_server_that_asks_to_wait_is_waited_for(talk: Run, server: Gateway) -> None:
    ends_when_joined(server)
    server.answers[CREATE] = [(429, {}, "Retry-After: 0.2\r\n")]
    result = await talk("--agent", "agent_1", "--no-updates")
    assert "trying again in 0 s" in complaint(result, 0)
    assert server.methods("create-web-call") == ["POST", "POST"]


async def test_a_key_that_is_refused_is_told_in_one_line(talk: Run, server: Gateway) -> None:
    server.answers[CREATE] = [(401, {"message": "bad key"})]
    said = complaint(await talk("--agent", "agent_1"), 7)
    assert "does not accept the API key: bad key it came from RETELL_API_KEY" in said


async def test_a_token_that_is_refused_is_told_in_one_line(talk: Run, server: Gateway) -> None:
    server.answers[JOIN] = [(401, {"message": "expired"})]
    said = complaint(await talk("--web-call", "-", more={}, stdin=json.dumps(server.admission)), 5)
    assert "answered HTTP 401 X: expired an access token is for one join" in said


async def test_what_is_no_admission_is_told_in_one_line(talk: Run) -> None:
    assert "not a JSON object" in complaint(await talk("--web-call", "-", stdin="{"), 2)


async def test_a_server_that_is_not_there(talk: Run, server: Gateway) -> None:
    server.url = "http://127.0.0.1:1"
    assert "127.0.0.1:1 refused the connection" in complaint(await talk("--agent", "agent_1"), 4)


async def test_what_is_missing_is_told_before_a_call_is_created(
    talk: Run, server: Gateway, tmp_path: Path
) -> None:
    more = patched(tmp_path, "import sys\nsys.modules['aiortc'] = None\n")
    said = complaint(await talk("--agent", "agent_1", more=WITH_KEY | more), 2)
    assert how_to_install("retell") in said
    assert server.requests == []


async def test_all_that_is_missing_is_installed_at_once(
    talk: Run, server: Gateway, tmp_path: Path
) -> None:
    more = patched(tmp_path, "import sys\nsys.modules['retell'] = None\n")
    said = complaint(await talk("--agent", "Front desk", more=WITH_KEY | more), 2)
    assert "SDK" in said
    assert how_to_install("retell") in said
    assert server.requests == []


IMPATIENT = """
from retell_voice.engine.web_call import WebCall
from retell_voice.transport.webrtc.connection import Timeouts
from retell_voice.transport.webrtc.route import WebRtcRoute
WebCall.__init__.__kwdefaults__["connect_timeout"] = 0.7
WebRtcRoute.__init__.__kwdefaults__["timeouts"] = Timeouts(stalled=0.3, lost=1.0)
"""


async def test_a_network_without_udp_is_told_in_one_line(
    talk: Run, server: Gateway, tmp_path: Path
) -> None:
    server.change = deaf
    more = WITH_KEY | patched(tmp_path, IMPATIENT)
    said = complaint(await talk("--agent", "agent_1", "--json", more=more), 4)
    assert "no audio comes through to it (still connecting after 0.7 s)" in said
    assert "does a firewall block UDP?" in said
    assert server.methods("sessions/0") == ["DELETE"]


async def test_a_server_that_falls_silent_is_told_and_then_lost(
    talk: Run, server: Gateway, tmp_path: Path
) -> None:
    async def fall_silent(session: Any) -> None:
        await session.speaking.wait()
        session.voice.running.clear()

    falling: list[asyncio.Task[None]] = []
    server.on_session = lambda session: falling.append(asyncio.create_task(fall_silent(session)))
    more = WITH_KEY | patched(tmp_path, IMPATIENT)
    result = await talk("--agent", "agent_1", "--json", "--no-updates", more=more)
    said = complaint(result, 6)
    assert "nothing came from the server for 1 s" in said
    assert "a web call that is lost cannot be joined again" in said
    events = [json.loads(line) for line in result.stdout.splitlines()]
    # On a busy machine it may have seemed to stall before.
    assert [each for each in events if each["event"] == "network_changed"][-1]["state"] == "stalled"
    (ended,) = (each for each in events if each["event"] == "ended")
    assert (ended["by"], ended["code"]) == ("network", 1006)
    assert server.methods("sessions/0") == ["DELETE"], "it is left, all the same"


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize(
    ("held", "left"), [(CREATE, ("POST", f"stop-call/{CALL_ID}")), (JOIN, ("DELETE", "sessions/0"))]
)
async def test_ctrl_c_before_the_call_leaves_none_behind(
    env: dict[str, str], server: Gateway, held: tuple[str, str], left: tuple[str, str]
) -> None:
    server.hold[held] = asyncio.Event()
    where = ("--agent", "agent_1", "--api-url", server.url)
    async with Talk(*where, *FILES, env={**env, **WITH_KEY}) as talk:
        await server.was_asked(*held)
        # Later than a device may take to close: the call would be left to itself.
        asyncio.get_running_loop().call_later(1.1, server.hold[held].set)
        assert await talk.hang_up() == 130
    assert talk.errors == ""
    assert server.methods(left[1]) == [left[0]]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
async def test_ctrl_c_in_the_call_hangs_up(env: dict[str, str], server: Gateway) -> None:
    where = ("--agent", "agent_1", "--api-url", server.url)
    async with Talk(*where, *FILES, env={**env, **WITH_KEY}) as talk:
        await talk.live()
        await (await server.joined()).speaking.wait()
        assert await talk.hang_up() == 0
    (ended,) = talk.having("ended")
    assert (ended["by"], ended["error"]) == ("you", None)
    assert server.methods("sessions/0") == ["DELETE"]


async def test_the_emulators_calls_can_be_web_calls_too(
    run: Callable[..., Result], tmp_path: Path
) -> None:
    (tmp_path / "s.toml").write_text('[[step]]\nsay = "Good bye."\n[[step]]\nclose = true\n')
    mumbling = {"RETELL_VOICE_EMULATOR_TTS": "mumble"}
    local = ("--local", "--transport", "webrtc", "--scenario", str(tmp_path / "s.toml"))
    result = await asyncio.to_thread(run, "talk", *local, *FILES, "--json", more=mumbling)
    assert result.returncode == 0, result.stderr
    call, *events, ended = map(json.loads, result.stdout.splitlines())
    assert (call["transport"], call["server"]) == ("webrtc", "the emulator")
    assert (ended["by"], ended["error"]) == ("server", None)
    names = [event["event"] for event in events]
    assert {"agent_started", "agent_stopped", "transcript", "monitor_changed"} <= set(names)


AGENT = ("--agent", "agent_1")


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ((*AGENT, "--rate", "16000"), "--rate: not for web calls"),
        ((*AGENT, "--direction", "inbound"), "--direction: not for web calls"),
        ((*AGENT, "--frame-ms", "40"), "--frame-ms: not for web calls"),
        ((*AGENT, "--transport", "webrtc", "--url", "ws://x"), "--url: not for web calls"),
        ((*AGENT, "--transport", "websocket", "--node", "n"), "--node is for a new web call"),
        (("--local", "--state", "s"), "--state is for a new web call"),
        (("--web-call", "-", "--node", "n"), "--node is for a new web call"),
        (("--web-call", "-", *AGENT), "--web-call and --agent exclude each other"),
        (("--web-call", "-", "--local"), "--web-call and --local exclude each other"),
        (("--web-call", "-", "call_1"), "--web-call and CALL_ID exclude each other"),
        (("--web-call", "-", "--transport", "websocket"), "--web-call and --transport websocket"),
        (
            ("--web-call", "-", "--dialect", "twilio", "--url", "ws://x"),
            "--web-call and --dialect exclude",
        ),
        (("--local", "--transport", "webrtc", "--rate", "8000"), "--rate: not for web calls"),
        (("--web-call", "-", "--metadata", "a=b"), "only for a new call"),
        (("--transport", "webrtc", "call_1"), "a web call is made with --agent or --local"),
        (("--transport", "pigeon", "--local"), "'pigeon' is not one of auto, webrtc, websocket"),
    ],
)
def test_what_cannot_be(
    refuse: Callable[..., str],
    env: dict[str, str],
    arguments: tuple[str, ...],
    says: str,
) -> None:
    env.update(WITH_KEY)
    assert says in " ".join(refuse("talk", *arguments, code=2).split())


def test_without_a_key_no_web_call_is_made(refuse: Callable[..., str]) -> None:
    assert "no API key to" in refuse("talk", *AGENT, code=2)
