"""``retell-voice swarm``, as a user starts it."""

from __future__ import annotations

import asyncio
import json
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal

import numpy as np
import pytest

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import WavWriter
from retell_voice.emulator import Emulator
from retell_voice.emulator.recordings import CALLER
from retell_voice.swarm.figures import Figures

Run = Callable[..., "subprocess.CompletedProcess[str]"]
FORMATS = {"web": AudioFormat(), "twilio": AudioFormat(Encoding.MULAW, 8000)}
QUICK = ("--ramp", "0.1", "--answer-timeout", "3")


@pytest.fixture
def say(tmp_path: Path) -> str:
    writer = WavWriter(tmp_path / "say.wav", 8000)
    writer.write((8000 * np.sin(np.arange(4000) / 3)).astype(np.int16))
    writer.close()
    return str(tmp_path / "say.wav")


def url_of(emulator: Emulator, dialect: str) -> str:
    return emulator.url if dialect == "web" else f"{emulator.url}/{{}}"


@pytest.mark.parametrize("dialect", FORMATS)
async def test_calls_to_the_emulator(run: Run, say: str, tmp_path: Path, dialect: str) -> None:
    page = tmp_path / "swarm.html"
    async with Emulator(accept_any=True, dialect=dialect, audio=FORMATS[dialect]) as emulator:
        result = await asyncio.to_thread(
            run,
            *("swarm", "--calls", "3", *QUICK, "--dialect", dialect, "--json"),
            *("--url", url_of(emulator, dialect), "--input-file", say, "--page", str(page)),
        )
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (shown["calls"], shown["held"], shown["most"]) == (3, 3, 3)
    assert shown["failures"] == shown["complaints"] == {}
    figures = Figures.read(shown)
    assert figures.asked == figures.times["answer"].count + figures.unanswered == 3
    assert "<svg" in page.read_text()


@asynccontextmanager
async def two_workers() -> AsyncIterator[str]:
    """A Dask cluster; gives its address."""
    script = str(Path(__file__).parents[1] / "support" / "dask_cluster.py")
    pipe = asyncio.subprocess.PIPE
    cluster = await asyncio.create_subprocess_exec(
        sys.executable, script, stdin=pipe, stdout=pipe, stderr=pipe
    )
    try:
        assert cluster.stdout is not None
        yield (await cluster.stdout.readline()).decode().strip()
    finally:
        await cluster.communicate(b"")


async def test_calls_from_two_workers_of_a_cluster(run: Run, say: str) -> None:
    quick = ("swarm", "--calls", "4", *QUICK, "--input-file", say, "--json")
    key = {"RETELL_API_KEY": "any"}
    async with (
        two_workers() as address,
        Emulator(accept_any=True, dialect="twilio", audio=FORMATS["twilio"]) as twilio,
        Emulator(agents={"agent_parrot": "Parrot"}) as emulator,
    ):
        with_agent = ("--api-url", emulator.api_url, "--agent")
        for where in (
            ("--dialect", "twilio", "--url", url_of(twilio, "twilio")),
            (*with_agent, "Parrot"),
            (*with_agent, "Parrot", "--transport", "websocket"),
        ):
            result = await asyncio.to_thread(run, *quick, *where, "--dask", address, more=key)
            assert result.returncode == 0, result.stderr
            shown = json.loads(result.stdout)
            assert (shown["calls"], shown["held"], shown["failures"]) == (4, 4, {}), where
            assert Figures.read(shown).times["connect"].count == 4
        protocols = [call.protocol for call in emulator.calls]
        refused = await asyncio.to_thread(
            run, *quick, *with_agent, "parot", "--dask", address, more=key
        )
    assert protocols == ["gateway"] * 4 + ["web"] * 4
    assert refused.returncode == 7
    assert refused.stderr.splitlines() == [
        "retell-voice: no agent is named 'parot'",
        "  did you mean Parrot (agent_parrot)?",
    ]


def test_calls_that_fail_are_told_and_are_no_success(run: Run, say: str) -> None:
    nobody = ("--url", "ws://127.0.0.1:1", "--input-file", say)
    result = run("swarm", "--calls", "2", "--ramp", "0", *nobody)
    assert (result.returncode, result.stderr) == (4, ""), "as where talk does not reach a server"
    assert "2 dialled, 0 held to the end" in result.stdout
    assert "2 × network: " in result.stdout


async def test_a_server_here_that_wants_calls_registered_is_no_riddle(run: Run, say: str) -> None:
    async with Emulator() as emulator:
        result = await asyncio.to_thread(
            run,
            *("swarm", "--calls", "2", "--ramp", "0", "--input-file", say),
            *("--url", emulator.url),
        )
    assert result.returncode == 5
    assert "2 × server: " in result.stdout
    assert result.stderr.splitlines() == [
        "retell-voice: the server knows none of these calls: their call_ids are made up",
        "  the emulator takes unregistered calls with --accept-any",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT to send")
@pytest.mark.parametrize("calls", [1, 3])
async def test_ctrl_c_ends_calls_that_went_well(env: dict[str, str], calls: int) -> None:
    async with Emulator(accept_any=True) as emulator:
        events = aiter(emulator.events)
        swarm = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "retell_voice", "swarm", "--calls", str(calls), "--json"),
            *("--ramp", "0", "--answer-timeout", "60", "--input-file", str(CALLER)),
            *("--url", emulator.url),
            env=env,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        await anext(events)  # the first caller has come
        swarm.send_signal(signal.SIGINT)
        said, complained = await swarm.communicate()
    assert (swarm.returncode, complained) == (0, b"")
    assert json.loads(said)["failures"] == {}


@pytest.mark.parametrize(
    ("more", "refused"), [((), "create"), (("--transport", "websocket"), "register")]
)
async def test_calls_with_an_agent_are_made_as_talk_makes_them(
    run: Run, say: str, more: tuple[str, ...], refused: Literal["create", "register"]
) -> None:
    async with Emulator(agents={"agent_parrot": "Parrot"}) as emulator:
        emulator.refuse(429, retry_after=1, kind=refused, times=2)
        result = await asyncio.to_thread(
            run,
            *("swarm", "--calls", "3", *QUICK, "--agent", "agent_parrot", "--json", *more),
            *("--api-url", emulator.api_url, "--input-file", say),
            more={"RETELL_API_KEY": "any"},
        )
    assert result.returncode == 0, result.stderr
    shown = json.loads(result.stdout)
    assert (shown["held"], shown["failures"]) == (3, {})
    figures = Figures.read(shown)
    assert (figures.asked, figures.unanswered) == (3, 0)
    assert figures.times["register"].highest > 1, "those that were too many have waited"


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        ((), 2, "there is no server to call: give --url"),
        (("--dialect", "twilio"), 2, "give --url"),
        (("--url", "ws://h", "--input-file", "none.wav"), 2, "none.wav"),
        (("--url", "ws://h", "--codec", "PCMU"), 2, "--codec is for --dialect"),
        (("--transport", "webrtc"), 2, "no agent to register a call with"),
        (("--agent", "a", "--transport", "webrtc", "--rate", "8000"), 2, "not for web calls"),
        (
            ("--dialect", "twilio", "--url", "ws://h", "--transport", "webrtc"),
            *(2, "--transport is for calls without --dialect"),
        ),
        (("--agent", "a", "--dask", "tcp://h:1"), 2, "no API key to register a call with"),
        (("--url", "ws://h", "--dask", "tcp://h"), 2, "'tcp://h' is not the address of a Dask"),
        (("--url", "ws://h", "--from-number", "1"), 2, "--from-number goes with --dialect"),
        (("--url", "ws://h", "--dask", "tcp://127.0.0.1:1"), 4, "no Dask scheduler answers at"),
    ],
)
def test_what_cannot_be_is_named(
    refuse: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
    code: int,
    words: str,
) -> None:
    monkeypatch.setattr("retell_voice.swarm.dask._CONNECT_TIMEOUT", 0.3)
    assert words in refuse("swarm", *arguments, code=code).splitlines()[0]


def test_callers_say_one_file(refuse: Callable[..., str], tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text('input_file = ["one.wav", "two.wav"]')
    said = refuse("swarm", "--url", "ws://h", "--config", str(config), code=2)
    assert "callers of a swarm say one file, not 2" in said


def test_without_the_extra_it_is_said_which(
    refuse: Callable[..., str], monkeypatch: pytest.MonkeyPatch, say: str
) -> None:
    monkeypatch.setitem(sys.modules, "hdrh.histogram", None)
    said = refuse("swarm", "--url", "ws://h", "--input-file", say, code=2)
    assert "[swarm]" in said
