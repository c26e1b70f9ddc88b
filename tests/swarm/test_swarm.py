"""Many calls at once to a server on a real socket."""

from __future__ import annotations

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Response

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.errors import ConfigError, ConnectError, RestError
from retell_voice.events import Event
from retell_voice.protocol.messages import AgentAudio, Clear
from retell_voice.swarm.caller import Caller, Manners
from retell_voice.swarm.dask import run_on
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.pace import Pace
from retell_voice.swarm.part import Part, added, run_part
from retell_voice.swarm.swarm import Moment, Plan, Swarm
from retell_voice.swarm.voice import voice_of
from retell_voice.swarm.words import check_page, page, progress, rows, verdict
from retell_voice.transport.ports import Route
from retell_voice.transport.websocket import WebSocketConnection

MULAW = AudioFormat(Encoding.MULAW, 8000)
SPEECH = np.full(8000 * 4 // 10, 5000, np.int16)
"""Four tenths of a second."""
PLAN = Plan(4, 0.1, Manners(answer_timeout=5.0, silence=0.1))
IMPATIENT = Plan(4, 0.1, Manners(answer_timeout=0.6, silence=0.1))
ANSWER = 0.2
"""Seconds after the caller's last frame of speech until the agent speaks."""


async def answering(websocket: ServerConnection) -> None:
    """Answer once, and take the mark that comes back."""
    stream, marked, heard = "", False, 0
    async for message in websocket:
        body = json.loads(message)
        stream = body.get("streamSid", stream)
        heard += body["event"] == "media"
        marked |= body["event"] == "mark"
        if heard == 20:  # all of the speech
            heard += 1
            await asyncio.sleep(ANSWER)
            payload = b64encode(MULAW.encode(SPEECH)).decode()
            media = {"event": "media", "streamSid": stream, "media": {"payload": payload}}
            await websocket.send(json.dumps(media))
            mark = {"event": "mark", "streamSid": stream, "mark": {"name": "said"}}
            await websocket.send(json.dumps(mark))
    assert marked


@asynccontextmanager
async def server(
    agent: Callable[[ServerConnection], Awaitable[None]], **options: Any
) -> AsyncIterator[Part]:
    async with serve(agent, "127.0.0.1", 0, **options) as listening, asyncio.timeout(30):
        url = f"ws://127.0.0.1:{listening.sockets[0].getsockname()[1]}/ws"
        yield Part(url=url, dialect="twilio", plan=PLAN, samples=SPEECH, rate=8000)


async def test_answers_are_timed_by_what_is_heard() -> None:
    moments: list[Moment] = []
    async with server(answering) as part:
        swarm = part.swarm(moments.append)
        figures = await swarm.run()
    assert (figures.calls, figures.held, figures.asked, figures.unanswered) == (4, 4, 4, 0)
    answer = figures.times["answer"]
    assert answer.count == 4
    # The last frame of speech has left 20 ms before its end.
    assert answer.percentile(1) > ANSWER - 0.03
    assert answer.percentile(50) < ANSWER + 1.5, "a busy machine is forgiven much"
    assert figures.times["connect"].count == 4
    assert not figures.failures
    assert moments == swarm.moments
    words = dict(rows(figures))
    assert words["calls"].startswith("4 dialled, 4 held to the end")
    assert words["utterances"] == "4 by callers, 0 without an answer"
    html = page(figures, swarm.moments, "4 calls to <host>")
    assert "4 calls to &lt;host&gt;" in html
    assert "<svg" in html
    assert "calls going on" in html


def test_a_page_that_cannot_be_written_is_refused_before_anybody_is_called(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_page(tmp_path / "swarm.html")
    with pytest.raises(ConfigError, match="no such directory"):
        check_page(tmp_path / "none" / "swarm.html")
    with pytest.raises(ConfigError, match="Is a directory"):
        check_page(tmp_path)
    monkeypatch.setattr(os, "access", lambda file, _mode: file != tmp_path)  # root may write all
    with pytest.raises(ConfigError, match=r"swarm\.html: Permission denied"):
        check_page(tmp_path / "swarm.html")
    monkeypatch.undo()
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("retell_voice.swarm.words.find_spec", lambda _name: None)
    with pytest.raises(ConfigError) as caught:
        check_page(tmp_path / "swarm.html")
    assert "[report]" in caught.value.hint


async def test_an_agent_that_says_nothing_is_waited_for_and_counted() -> None:
    async def mute(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    async with server(mute) as part:
        figures = await replace(part, plan=IMPATIENT).swarm().run()
    assert (figures.held, figures.asked, figures.unanswered) == (4, 4, 4)
    assert dict(rows(figures))["answered after"] == "none"


async def test_failures_are_told_by_their_words() -> None:
    async def failing(websocket: ServerConnection) -> None:
        await websocket.recv()
        await websocket.close(1011, "no model")

    async with server(failing) as part:
        figures = await part.swarm().run()
    assert figures.failures == {"the server closed: 1011 no model": 4}
    assert figures.held == 0
    assert ("failed", "4 × the server closed: 1011 no model") in rows(figures)

    def refuse(connection: ServerConnection, _: object) -> Response:
        return connection.respond(HTTPStatus.NOT_FOUND, "nobody here")

    async with server(failing, process_request=refuse) as part:
        figures = await part.swarm().run()
    ((why, count),) = figures.failures.items()
    assert count == 4
    assert "404 Not Found: nobody here" in why


async def test_what_the_provider_would_complain_of_is_counted() -> None:
    async def wrong(websocket: ServerConnection) -> None:
        await websocket.recv()
        await websocket.send(b"\0")
        async for _ in websocket:
            pass

    async with server(wrong) as part:
        figures = await replace(part, plan=IMPATIENT).swarm().run()
    ((why, count),) = figures.complaints.items()
    assert (count, why.partition(" ")[0]) == (4, "31950")


async def test_a_machine_that_is_late_leaves_the_rest_out_and_says_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("retell_voice.swarm.swarm._LONGEST_WAIT", 0.0)
    async with server(answering) as part:
        swarm, begun = part.swarm(), asyncio.Event()
        dial = swarm._dial

        async def dialled() -> Route:
            begun.set()
            return await dial()

        monkeypatch.setattr(swarm, "_dial", dialled)
        going = asyncio.create_task(swarm.run())
        await begun.wait()
        monkeypatch.setattr(swarm._pace, "late_share", lambda: 0.5)
        figures = await going
    assert figures.left_out == 4 - figures.calls > 0
    assert "this machine is the bottleneck: it carries about" in verdict(figures)
    assert f"and {figures.left_out} were not dialled" in verdict(figures)


async def test_it_stops_when_it_is_told_to() -> None:
    async def mute(websocket: ServerConnection) -> None:
        async for _ in websocket:
            swarm.stop()

    async with server(mute) as part:
        slow = replace(part, plan=Plan(50, 1000.0, Manners(answer_timeout=1000.0)))
        swarm: Swarm = slow.swarm()
        figures = await swarm.run()
    assert 1 <= figures.calls < 50
    assert "going on" in progress(Moment(3.0, 2, 0.0), figures)


async def test_a_call_that_we_end_counts_the_answers_it_has_heard() -> None:
    async def endless(websocket: ServerConnection) -> None:
        heard = 0
        async for message in websocket:
            body = json.loads(message)
            heard += body["event"] == "media"
            if heard < 25:  # the speech, and a little
                continue
            if heard == 40:
                swarm.stop()
            payload = b64encode(MULAW.encode(SPEECH[:160])).decode()
            media = {"event": "media", "streamSid": body["streamSid"]}
            await websocket.send(json.dumps({**media, "media": {"payload": payload}}))

    async with server(endless) as part:
        patient = Plan(1, 0.0, Manners(answer_timeout=1000.0))
        swarm: Swarm = replace(part, plan=patient).swarm()
        figures = await swarm.run()
    assert (figures.calls, figures.held) == (1, 0)
    assert (figures.asked, figures.unanswered) == (1, 0)
    assert figures.times["answer"].count == 1


async def test_an_answer_that_may_still_come_as_we_end_a_call_is_not_missed() -> None:
    async def mute(websocket: ServerConnection) -> None:
        heard = 0
        async for _ in websocket:
            heard += 1
            if heard == 40:
                swarm.stop()

    async with server(mute) as part:
        patient = Plan(1, 0.0, Manners(answer_timeout=1000.0))
        swarm: Swarm = replace(part, plan=patient).swarm()
        figures = await swarm.run()
    assert (figures.calls, figures.asked, figures.unanswered) == (1, 0, 0)


async def test_a_call_that_cannot_be_registered_is_a_failure_and_not_the_end() -> None:
    registered = 0

    async def call_id() -> str:
        nonlocal registered
        registered += 1
        if registered == 3:
            raise RestError("server: no credit left", status=402)
        return "call"

    async def mute(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    async with server(mute) as part:
        web = replace(part, dialect="web", plan=IMPATIENT)
        figures = await web.swarm(register=call_id).run()
        assert (figures.calls, figures.held) == (4, 3)
        assert figures.failures == {"server: no credit left": 1}
        registered = 2
        with pytest.raises(RestError, match="no credit"):
            await web.swarm(register=call_id).run()


async def test_a_server_that_takes_no_more_audio_is_not_waited_for_for_ever(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def mute(websocket: ServerConnection) -> None:
        async for _ in websocket:
            pass

    async def stuck(*_: object) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(WebSocketConnection, "send_now", lambda *_: False)
    monkeypatch.setattr(WebSocketConnection, "send_audio", stuck)
    async with server(mute) as part:
        figures = await replace(part, plan=Plan(2, 0.0, Manners(answer_timeout=0.2))).swarm().run()
    assert figures.failures == {"the connection broke: 1006 the server takes no more audio": 2}


async def test_a_clear_leaves_no_timers_behind() -> None:
    class Server:
        async def __aiter__(self) -> AsyncIterator[Event]:
            yield AgentAudio(data=bytes(8000))
            for cue in range(3):
                yield AgentAudio(data=b"", cue=cue)
            yield Clear()

        def heard(self, cue: object) -> None:
            raise AssertionError(cue)

    part = Part(url="ws://h", dialect="twilio", plan=PLAN, samples=SPEECH, rate=8000)
    voice = voice_of(SPEECH, MULAW, 20)
    figures = Figures()
    pace = Pace(voice.frame, figures.times["late"])
    caller = Caller(part.route(), voice, PLAN.manners, figures, pace)
    caller._began = asyncio.get_running_loop().time()
    await caller._listen(Server())  # type: ignore[arg-type]
    assert not caller._cues


def test_a_worker_that_fails_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Cluster:
        def __init__(self, address: str, timeout: float) -> None: ...
        def __enter__(self) -> Cluster:
            return self

        def __exit__(self, *_: object) -> None: ...
        def scheduler_info(self, n_workers: int) -> dict[str, Any]:
            return {"workers": {"tcp://w:1": {}}}

        def submit(self, *_: object, **options: object) -> None: ...
        def gather(self, _: object) -> None:
            raise RuntimeError("No module named 'retell_voice'\nTraceback")

    monkeypatch.setattr("distributed.Client", Cluster)
    part = Part(url="ws://h", dialect="twilio", plan=Plan(2), samples=SPEECH, rate=8000)
    with pytest.raises(ConnectError, match="a worker of tcp://s:1 failed: No module named") as told:
        run_on("tcp://s:1", part)
    assert "\n" not in str(told.value)


def test_the_parts_of_workers_are_the_whole_and_their_figures_add_up() -> None:
    part = Part(url="ws://h", dialect="twilio", plan=Plan(5), samples=SPEECH, rate=8000)
    assert [each.plan.calls for each in part.split(2)] == [3, 2]
    assert [each.plan.calls for each in part.split(9)] == [1] * 5
    nobody = replace(part, url="ws://127.0.0.1:1")
    figures = added([run_part(each) for each in nobody.split(2)])
    assert (figures.calls, figures.held) == (5, 0)
    assert sum(figures.failures.values()) == 5
    assert "127.0.0.1:1" in next(iter(figures.failures))


def test_each_call_has_its_own_place_where_the_url_says_so() -> None:
    part = Part(url="ws://h/{}", dialect="twilio", plan=Plan(1), samples=SPEECH, rate=8000)
    urls = {part.route()._dial().url for _ in range(3)}  # type: ignore[attr-defined]
    assert len(urls) == 3
    web = replace(part, url="ws://h", dialect="web")
    assert len({web.route()._dial().url for _ in range(3)}) == 3  # type: ignore[attr-defined]
    with pytest.raises(ConfigError, match="nobody speaks"):
        replace(part, samples=np.zeros(800, np.int16)).swarm()
