"""The fixture for tests of hardware and clients: in this run, and in runs of its own."""

import asyncio
import shutil
import subprocess
import sys
import threading
import time
from importlib.metadata import entry_points
from pathlib import Path

import pytest
from support.callers import messages
from websockets.asyncio.client import connect

from retell_voice.audio.format import AudioFormat
from retell_voice.emulator import RegisteredCall, Session
from retell_voice.emulator.fixtures import Emulators, RunningEmulator
from retell_voice.emulator.scenario import parse_scenario
from retell_voice.emulator.server_events import CallEnded, CallJoined, ScenarioStep

pytest_plugins = ["pytester"]

EXAMPLES = Path(__file__).parents[2] / "examples"
HELLO = parse_scenario("[[step]]\nsend = {text = 'hello'}\n[[step]]\nwait = {text = 'bye'}")


async def greet(emulator: RunningEmulator, call: RegisteredCall, answer: str) -> None:
    async with connect(f"{emulator.url}/{call.call_id}") as client:
        assert await client.recv() == "hello"
        await client.send(answer)
        await messages(client)


async def test_in_a_test_that_runs_in_an_event_loop(retell_emulator: Emulators) -> None:
    emulator = retell_emulator(HELLO)
    call = emulator.register(AudioFormat(rate=8000))
    greeting = asyncio.create_task(greet(emulator, call, "bye"))
    assert await emulator.happened(CallJoined)
    assert await emulator.ended(call) is call
    await greeting
    assert call.disconnection_reason == "agent_hangup"
    assert isinstance(emulator.events[-1], CallEnded)
    with pytest.raises(RuntimeError, match=r"await ended\(\) or happened\(\) instead"):
        emulator.wait(call)


def test_in_a_test_without_one(retell_emulator: Emulators) -> None:
    emulator = retell_emulator(HELLO)
    call = emulator.register()
    assert emulator.find(call.call_id) is call
    asyncio.run(greet(emulator, call, "bye"))
    assert emulator.wait(call) is call
    step = emulator.wait_for(lambda each: isinstance(each, ScenarioStep) and each.number == "2")
    assert str(step) == "step 2: wait text 'bye'"
    assert emulator.api_url.startswith("http://127.0.0.1:")


def test_calls_expire_in_the_emulators_own_thread(retell_emulator: Emulators) -> None:
    asked: set[str] = set()

    def now() -> float:
        asked.add(threading.current_thread().name)
        return time.time()

    emulator = retell_emulator(now=now)
    asked.clear()  # whatever was asked while it was made
    call = emulator.register()
    assert emulator.find(call.call_id) is call
    assert asked == {"retell emulator"}


def test_one_that_is_closed_knows_its_calls_and_takes_no_more(retell_emulator: Emulators) -> None:
    emulator = retell_emulator()
    call = emulator.register()
    emulator.close()
    assert emulator.find(call.call_id) is call
    for use in (emulator.register, lambda: emulator.wait(call)):
        with pytest.raises(RuntimeError, match="has been closed"):
            use()


def test_what_does_not_come_in_time_fails_the_test_and_says_what_did(
    retell_emulator: Emulators,
) -> None:
    emulator = retell_emulator()
    call = emulator.register(AudioFormat(rate=16000))
    with pytest.raises(AssertionError) as caught:
        emulator.wait(call, within=0.05)
    assert str(caught.value).splitlines() == [
        f"call {call.name} is not over after 0.05 s; what happened:",
        f"  call {call.name}     0.0 s  registered, s16le 16000 Hz",
    ]
    with pytest.raises(AssertionError, match=r"CallJoined has not happened after 0\.05 s"):
        emulator.wait_for(CallJoined, within=0.05)


def test_an_address_in_use_is_told_where_the_emulator_is_started(
    retell_emulator: Emulators,
) -> None:
    port = int(retell_emulator().url.split(":")[2].split("/")[0])
    with pytest.raises(OSError, match="address already in use"):
        retell_emulator(port=port)


def test_a_scenario_and_an_agent_are_too_much(retell_emulator: Emulators) -> None:
    async def agent(session: Session) -> None: ...

    with pytest.raises(TypeError, match="not both"):
        retell_emulator(HELLO, agent=agent)


def test_what_failed_is_told_once_and_nothing_is_left_running() -> None:
    async def agent(session: Session) -> None:
        raise ZeroDivisionError("no")

    emulators = Emulators(Path())
    emulator = emulators(agent=agent)
    told = emulator.register()
    untold = emulator.register()

    async def join() -> None:
        for call in (told, untold):
            async with connect(f"{emulator.url}/{call.call_id}") as client:
                await client.wait_closed()
            if call is told:
                with pytest.raises(AssertionError, match="the agent failed: ZeroDivisionError"):
                    await emulator.ended(call)

    asyncio.run(join())
    with pytest.raises(AssertionError) as caught, emulators:
        pass
    assert str(caught.value) == f"call {untold.name}: the agent failed: ZeroDivisionError('no')"
    emulator.close()
    assert "retell emulator" not in {thread.name for thread in threading.enumerate()}


def test_pytest_finds_it_and_loads_little() -> None:
    (plugin,) = entry_points(group="pytest11", name="retell_voice")
    code = (
        f"import pytest, sys, {plugin.value};"
        "print(sorted({'numpy', 'websockets', 'asyncio', 'sounddevice'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_the_example_runs_as_it_stands(pytester: pytest.Pytester) -> None:
    shutil.copy(EXAMPLES / "test_my_hardware.py", pytester.path)
    shutil.copytree(EXAMPLES / "scenarios", pytester.path / "scenarios")
    run = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio")
    run.assert_outcomes(passed=2)


def test_a_scenario_that_fails_fails_the_test(pytester: pytest.Pytester) -> None:
    pytester.path.joinpath("wait.toml").write_text(
        "[[step]]\nwait = {user_speaks = true, at_most_seconds = 2}", "utf-8"
    )
    pytester.makepyfile(
        """
        import asyncio
        from websockets.asyncio.client import connect

        async def listen(emulator, call):
            async with connect(f"{emulator.url}/{call.call_id}") as client:
                await client.wait_closed()

        def test_told_when_waiting(retell_emulator):
            emulator = retell_emulator("wait.toml", speed=100)
            call = emulator.register()
            asyncio.run(listen(emulator, call))
            emulator.wait(call)

        def test_told_in_the_end(retell_emulator):
            emulator = retell_emulator("wait.toml", speed=100)
            asyncio.run(listen(emulator, emulator.register()))

        def test_a_file_that_is_not_there(retell_emulator):
            retell_emulator("nothing.toml")

        def test_that_does_not_use_it():
            pass
        """
    )
    run = pytester.runpytest_subprocess("-W", "error", "-p", "no:asyncio")
    run.assert_outcomes(passed=2, failed=2, errors=1)
    said = run.stdout.str()
    assert "the scenario failed at step 1: waited 2 s in vain for the user to speak" in said
    assert "nothing.toml: No such file" in said
