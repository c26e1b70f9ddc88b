"""The emulator's end of a worker: real processes that are killed, stopped and left alone."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from asyncio.subprocess import PIPE
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

from retell_voice.emulator.speech.ports import SpeechFailed
from retell_voice.emulator.speech.workers import client
from retell_voice.emulator.speech.workers.client import Worker
from retell_voice.errors import ConfigError

HELLO = {"text": "Hello there.", "rate": 8000}


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    async with Worker("TTS (espeak)", ["espeak"]) as started:
        yield started


def is_alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError, FileNotFoundError):
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    return False


async def until(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - nothing there tells
            await asyncio.sleep(0.001)


async def asked(worker: Worker, *texts: str) -> list[asyncio.Task[Any]]:
    """Ask a stopped worker, so that what it is asked waits."""
    tasks = [asyncio.create_task(worker.request(HELLO | {"text": text})) for text in texts]
    await asyncio.sleep(0)
    return tasks


def signalled(worker: Worker, number: int) -> None:
    assert worker.pid is not None
    os.kill(worker.pid, number)


async def test_it_answers(worker: Worker) -> None:
    answer = await worker.request(HELLO)
    assert [word for word, _, _ in answer.head["words"]] == ["Hello", "there."]
    assert len(answer.body) > 8000
    assert worker.about == "espeak-ng, en-us"
    assert worker.loading > 0


async def test_many_ask_at_once(worker: Worker) -> None:
    texts = [f"Number {number}." for number in range(20)]
    answers = await asyncio.gather(*(worker.request(HELLO | {"text": each}) for each in texts))
    assert [each.head["words"][1][0] for each in answers] == [f"{n}." for n in range(20)]


async def test_a_crash_fails_what_is_pending_and_restarts_it(
    worker: Worker, caplog: pytest.LogCaptureFixture
) -> None:
    signalled(worker, signal.SIGSTOP)
    first, second = await asked(worker, "One.", "Two.")
    before = worker.pid
    signalled(worker, signal.SIGKILL)
    for task in (first, second):
        with pytest.raises(SpeechFailed, match=r"^TTS \(espeak\) crashed: killed by SIGKILL$"):
            await task
    assert (await worker.request(HELLO)).body
    assert worker.pid != before
    assert worker.crashes == 1
    assert caplog.messages == ["TTS (espeak) crashed: killed by SIGKILL; restarting it"]


async def test_a_request_during_a_restart_waits(worker: Worker) -> None:
    signalled(worker, signal.SIGKILL)
    await until(lambda: not worker._loaded.is_set())  # there is no process for a moment only
    assert (await worker.request(HELLO)).body


async def test_it_is_not_restarted_for_ever(worker: Worker) -> None:
    for _ in range(client._MAX_CRASHES):
        signalled(worker, signal.SIGSTOP)
        (task,) = await asked(worker, "One.")
        signalled(worker, signal.SIGKILL)
        with pytest.raises(SpeechFailed):
            await task
        await until(worker._loaded.is_set)
    with pytest.raises(SpeechFailed, match="crashed"):
        await worker.request(HELLO)
    assert worker.pid is None


async def test_a_request_may_be_cancelled(worker: Worker) -> None:
    signalled(worker, signal.SIGSTOP)
    first, second, third = await asked(worker, "One.", "Two.", "Three.")
    first.cancel()
    second.cancel()
    await asyncio.wait({first, second})
    signalled(worker, signal.SIGCONT)
    assert (await third).head["words"][0][0] == "Three."
    assert first.cancelled()
    assert second.cancelled()


async def test_pending_requests_are_bounded(
    worker: Worker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "_MAX_PENDING", 2)
    signalled(worker, signal.SIGSTOP)
    tasks = await asked(worker, "One.", "Two.")
    with pytest.raises(SpeechFailed, match="overloaded: 2 requests pending"):
        await worker.request(HELLO)
    signalled(worker, signal.SIGCONT)
    await asyncio.gather(*tasks)


async def test_one_that_hangs_is_killed() -> None:
    async with Worker("TTS (espeak)", ["espeak"], answer_timeout=0.2) as worker:
        await asyncio.sleep(0.5)  # nothing is due
        assert worker.crashes == 0
        signalled(worker, signal.SIGSTOP)
        with pytest.raises(SpeechFailed, match=r"crashed: no answer for 0\.2 s"):
            await worker.request(HELLO)


async def test_one_that_hangs_is_killed_though_every_request_is_cancelled() -> None:
    async with Worker("TTS (espeak)", ["espeak"], answer_timeout=0.2) as worker:
        signalled(worker, signal.SIGSTOP)
        async with asyncio.timeout(10):
            while not worker.crashes:
                with contextlib.suppress(TimeoutError, SpeechFailed):
                    await asyncio.wait_for(worker.request(HELLO), 0.05)


async def test_a_cancelled_request_does_not_stay_due(worker: Worker) -> None:
    signalled(worker, signal.SIGSTOP)
    first, second = await asked(worker, "One.", "Two.")
    second.cancel()
    await asyncio.wait({second})
    assert worker._due == 2
    signalled(worker, signal.SIGCONT)
    await first
    await until(lambda: not worker._due)


async def test_a_failed_request_leaves_it_running(worker: Worker) -> None:
    with pytest.raises(SpeechFailed, match=r"TTS \(espeak\) failed: ValueError"):
        await worker.request({"text": "Hello", "rate": -1})
    assert (await worker.request(HELLO)).body
    assert worker.crashes == 0


async def test_it_leaves_signals_to_the_emulator(worker: Worker) -> None:
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signalled(worker, number)
    assert worker.pid is not None
    assert os.getpgid(worker.pid) != os.getpgrp()  # nor is it in the group that gets them
    assert (await worker.request(HELLO)).body
    assert worker.crashes == 0


async def test_it_ends_with_the_emulator() -> None:
    async with Worker("TTS (espeak)", ["espeak"]) as worker:
        pid = worker.pid
        signalled(worker, signal.SIGSTOP)
        (task,) = await asked(worker, "One.")
        began = time.monotonic()
    assert time.monotonic() - began < 2
    assert pid is not None
    assert not is_alive(pid)
    with pytest.raises(SpeechFailed):
        await task
    with pytest.raises(SpeechFailed, match="has been closed"):
        await worker.request(HELLO)


async def test_it_ends_when_the_emulator_is_killed() -> None:
    code = (
        "import asyncio; from retell_voice.emulator.speech.workers.client import Worker\n"
        "async def main():\n"
        "    async with Worker('TTS (espeak)', ['espeak']) as worker:\n"
        "        print(worker.pid, flush=True)\n"
        "        await asyncio.Event().wait()\n"
        "asyncio.run(main())"
    )
    emulator = await asyncio.create_subprocess_exec(sys.executable, "-c", code, stdout=PIPE)
    assert emulator.stdout is not None
    pid = int(await emulator.stdout.readline())
    assert is_alive(pid)
    emulator.kill()
    await emulator.wait()
    await until(lambda: not is_alive(pid))


async def test_an_unusable_model_is_reported_at_the_start(tmp_path: Path) -> None:
    model = tmp_path / "voice.onnx"
    with pytest.raises(ConfigError, match=r"cannot work: there is no .*voice.onnx") as caught:
        await Worker("TTS (espeak)", ["piper", "--model", str(model)]).__aenter__()
    assert "two files" in caught.value.hint
    model.write_bytes(b"not a model")
    (tmp_path / "voice.onnx.json").write_text("{}")
    with pytest.raises(ConfigError, match=r"cannot work: \w+: .*voice.onnx"):
        await Worker("TTS (espeak)", ["piper", "--model", str(model)]).__aenter__()


async def test_a_crash_while_loading_is_final() -> None:
    with pytest.raises(SpeechFailed, match=r"crashed: exit code 2, .*invalid choice"):
        await Worker("TTS (espeak)", ["opera"]).__aenter__()


async def test_loading_may_be_cancelled(tmp_path: Path) -> None:
    worker = Worker("TTS (espeak)", ["espeak"])
    entering = asyncio.create_task(worker.__aenter__())
    await until(lambda: worker.pid)
    pid = worker.pid
    assert pid
    entering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await entering
    assert not is_alive(pid)
