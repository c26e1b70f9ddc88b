"""What users of the library get wrong: each mistake names its culprit, and when."""

# mypy: disable-error-code="arg-type"

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from support.calls import AUDIO, calling, listen, until

from retell_voice import (
    AudioIO,
    Call,
    ConfigError,
    DeviceChanged,
    DeviceError,
    Ended,
    Monitor,
    NullMicrophone,
    NullSpeaker,
    Recorder,
    WebCall,
    create_web_call,
    get_call,
    phone_route,
    register_call,
    web_route,
)
from retell_voice.devices.ports import check_device
from retell_voice.sync import Call as SyncCall

NOWHERE = "ws://127.0.0.1:1/x"
# What the types forbid, and people give all the same.
NONE: Any = None
SEVEN: Any = 7
BYTES: Any = b"x"
TEXT: Any = "s16le"
LIST: Any = ["a"]


class Hears:
    """A microphone with whatever is wrong with it."""

    name, rate, latency = "mine", 8000, None

    def __init__(self, **wrong: Any) -> None:
        self.__dict__.update(wrong)

    def start(self, sink: Any) -> None:
        pass

    def stop(self) -> None:
        pass


class NoStop:
    name, rate, latency = "mine", 8000, None

    def start(self, sink: Any) -> None:
        pass


class Nothing:
    pass


@pytest.mark.parametrize(
    ("wrong", "kind", "words"),
    [
        ({"audio": "s16le"}, TypeError, "AudioFormat or an AudioIO, not 's16le'"),
        ({"audio": 24000}, TypeError, "AudioFormat or an AudioIO, not int"),
        ({"route": None}, TypeError, "a call_id or a route, not NoneType"),
        ({"route": b"call"}, TypeError, "a call_id or a route, not bytes"),
        ({"route": ""}, ConfigError, "the call_id is empty"),
        ({"route": type(web_route("x"))}, TypeError, "not the class WebSocketRoute"),
        ({"recorder": Recorder}, TypeError, "an observer, not the class Recorder"),
        ({"recorder": "calls"}, TypeError, "an observer, not 'calls'"),
        ({"microphone": Hears}, DeviceError, "microphone: Hears is a class, not a device"),
        ({"speaker": NullSpeaker}, DeviceError, "speaker: NullSpeaker is a class, not a device"),
        ({"microphone": Nothing()}, DeviceError, "Nothing has no name, rate, latency, start, stop"),
        ({"microphone": NoStop()}, DeviceError, "microphone: NoStop has no stop"),
        ({"microphone": Hears(rate=0)}, DeviceError, "Hears.rate is 0, outside 1000–768000 Hz"),
        ({"microphone": Hears(rate=-8000)}, DeviceError, "Hears.rate is -8000, outside"),
        ({"microphone": Hears(rate=16000.0)}, DeviceError, "rate is 16000.0, not a whole number"),
        ({"microphone": Hears(rate=None)}, DeviceError, "Hears.rate is None, not a whole number"),
        ({"microphone": Hears(rate=True)}, DeviceError, "Hears.rate is True, not a whole number"),
        ({"microphone": Hears(start=None)}, DeviceError, "microphone: Hears has no start"),
    ],
)
def test_a_wrong_argument_is_named_where_the_call_is_made(
    wrong: dict[str, Any], kind: type[Exception], words: str
) -> None:
    given: dict[str, Any] = {"route": "call_0123456789", "url": NOWHERE, **wrong}
    if not isinstance(given["route"], str):
        del given["url"]
    with pytest.raises(kind) as caught:
        Call(given.pop("route"), **given)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("make", "kind", "words"),
    [
        (lambda: WebCall(NONE), TypeError, "agent_id or what create-web-call answered, not None"),
        (lambda: WebCall(BYTES), TypeError, "agent_id or what create-web-call answered, not bytes"),
        (lambda: WebCall("", api_key="k"), ConfigError, "the agent_id is empty"),
        (lambda: WebCall("agent_1", api_key=SEVEN), TypeError, "api_key= takes text, not int"),
        (
            lambda: WebCall("agent_1", api_key="k", metadata=LIST),
            TypeError,
            "metadata= takes a mapping, not list",
        ),
        (
            lambda: WebCall("agent_1", api_key="k", dynamic_variables=TEXT),
            TypeError,
            "dynamic_variables= takes a mapping, not str",
        ),
        (lambda: phone_route(NONE, "ws://x"), TypeError, "the dialect is text, not NoneType"),
        (lambda: phone_route("twilio", NONE), TypeError, "the url is text, not NoneType"),
        (
            lambda: phone_route("twilio", "ws://x", parameters=LIST),
            TypeError,
            "parameters= takes a mapping, not list",
        ),
        (lambda: Monitor(NONE, api_key="k"), TypeError, "call_id= takes text, not NoneType"),
        (lambda: Monitor("call_1", api_key=NONE), TypeError, "api_key= takes text, not NoneType"),
        (lambda: run(register_call(NONE, api_key="k")), TypeError, "agent_id is text, not None"),
        (lambda: run(register_call("", api_key="k")), ConfigError, "the agent_id is empty"),
        (lambda: run(register_call("a", api_key=NONE)), TypeError, "api_key= takes text, not None"),
        (
            lambda: run(register_call("a", api_key="k", audio=TEXT)),
            TypeError,
            "audio= takes an AudioFormat, not str",
        ),
        (lambda: run(create_web_call("", api_key="k")), ConfigError, "the agent_id is empty"),
        (lambda: run(get_call(NONE, api_key="k")), TypeError, "call_id= takes text, not NoneType"),
        (lambda: SyncCall(NONE), TypeError, "a call_id or a route, not NoneType"),
        (lambda: SyncCall("c", microphone=Hears(rate=0)), DeviceError, "Hears.rate is 0, outside"),
        (lambda: next(iter(SyncCall("c"))), RuntimeError, "the call is not open"),
    ],
)
def test_so_is_one_of_the_other_ways_to_a_call(
    make: Callable[[], Any], kind: type[Exception], words: str
) -> None:
    with pytest.raises(kind) as caught:
        make()
    assert words in str(caught.value)


def run(work: Any) -> None:
    """Run what needs no network, as it fails before."""
    asyncio.run(work)


def test_numpys_whole_numbers_are_none_but_are_named() -> None:
    with pytest.raises(DeviceError, match="int64"):
        check_device(Hears(rate=np.int64(8000)), "microphone")


async def test_a_device_is_looked_at_before_it_is_used() -> None:
    with pytest.raises(DeviceError, match="is a class, not a device"):
        AudioIO(NullMicrophone, NullSpeaker())
    async with calling(listen) as call:
        with pytest.raises(DeviceError, match="outside 1000–768000 Hz"):
            await call.use(microphone=Hears(rate=0))
        assert isinstance(call.microphone, NullMicrophone)


async def test_a_call_that_is_not_entered_is_not_iterated() -> None:
    call = Call("call_0123456789", url=NOWHERE)
    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        async for _ in call:
            pass
    with pytest.raises(RuntimeError, match="use it inside 'async with'"):
        await anext(call)


async def test_a_start_that_raises_names_its_device() -> None:
    class Refuses(Hears):
        def start(self, sink: Any) -> None:
            raise ZeroDivisionError("of mine")

    with pytest.raises(DeviceError, match=r"microphone 'mine' failed to start: ZeroDivisionError"):
        async with calling(listen, microphone=Refuses()):
            pass


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_a_thread_that_dies_is_named() -> None:
    class Dies(NullMicrophone):
        def start(self, sink: Any) -> None:
            def work() -> None:
                sink.write_rt(np.zeros(160, np.int16))
                time.sleep(0.4)  # the watch sees it alive
                raise ZeroDivisionError("of mine")

            threading.Thread(target=work, daemon=True).start()

        def stop(self) -> None:
            pass

        traits = type(NullMicrophone().traits)(block_timeout=0.5)

    async with calling(listen, audio=AUDIO, microphone=Dies(8000, name="mine")) as call:
        lost = await until(call, DeviceChanged)
        assert lost.why == "no audio has passed for 0.5 s, as its thread has ended"
        await call.hang_up()
        await until(call, Ended)
