"""A call is answered in the dialect it was registered with, whichever that is."""

import asyncio
import json
from base64 import b64decode
from typing import Any

import numpy as np
import pytest
from support.callers import join, messages
from support.phone import FRAME_MS, PhoneClient, PhoneServer

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator import Emulator, RegisteredCall, Session, parrot_agent
from retell_voice.emulator.dialects import DIALECTS, Answer
from retell_voice.emulator.recordings import GREETING, load_speech
from retell_voice.events import ProviderComplaint, Utterance
from retell_voice.protocol.messages import AgentAudio
from retell_voice.transport.phone import PROVIDERS, formats_of, phone_route

MULAW = AudioFormat(Encoding.MULAW, 8000)
FRAME = 8 * FRAME_MS


@pytest.fixture
def phone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "twilio", lambda call, query: Answer(PhoneServer()))


def registered(emulator: Emulator) -> RegisteredCall:
    return emulator.register(MULAW, dialect="twilio")


@pytest.mark.usefixtures("phone")
async def test_an_agent_begins_when_the_caller_has_said_who_it_is() -> None:
    async def agent(session: Session) -> None:
        await session.metadata({"not": "carried"})
        await session.update((Utterance("agent", "Hello"),), "agent")
        await session.send_audio(np.full(FRAME + 10, 1000, np.int16), "Hello")
        await session.clear()

    async with Emulator(agent=agent) as emulator, asyncio.timeout(10):
        call = registered(emulator)
        async with join(emulator, call) as client:
            connected, start = PhoneClient("s7").opening()
            await client.send(connected)
            await client.send(json.dumps({"event": "hello"}))
            # The answer to this one, without a stream, comes before anything of the agent's.
            assert json.loads(await client.recv()) == {"event": "hello", "stream": None}
            await client.send(start)
            received: list[dict[str, Any]] = [json.loads(each) for each in await messages(client)]
        await call.wait()
    assert [each["event"] for each in received] == ["media", "media", "clear"]
    assert {each["stream"] for each in received} == {"s7"}
    whole, padded = (MULAW.decode(b64decode(each["payload"])) for each in received[:2])
    assert (len(whole), len(padded)) == (FRAME, FRAME)
    assert np.count_nonzero(padded) == 10
    assert call.transcript == (Utterance("agent", "Hello"),)


@pytest.mark.usefixtures("phone")
async def test_a_caller_that_leaves_before_it_has_begun_ends_the_call() -> None:
    async def agent(session: Session) -> None:
        async for _ in session:
            raise AssertionError("nothing was heard")

    async with Emulator(agent=agent) as emulator, asyncio.timeout(10):
        call = registered(emulator)
        async with join(emulator, call):
            pass
        await call.wait()
    assert call.disconnection_reason == "user_hangup"


@pytest.mark.usefixtures("phone")
async def test_the_parrot_hears_and_speaks_it_without_holes() -> None:
    async with Emulator(agent=parrot_agent(), record=True) as emulator, asyncio.timeout(10):
        call = registered(emulator)
        dialect, said = PhoneClient(), np.arange(160, dtype=np.int16)
        async with join(emulator, call) as client:
            for message in (*dialect.opening(), dialect.audio(MULAW.encode(said))):
                await client.send(message)
            greeting = np.zeros(0, np.int16)
            while len(greeting) < 8000:
                (event,) = dialect.receive(await client.recv())
                assert isinstance(event, AgentAudio)
                greeting = np.concatenate((greeting, MULAW.decode(event.data)))
        await call.wait()
    assert len(call.received) == 160
    whole = load_speech(GREETING, 8000).samples[: len(greeting)]
    assert greeting.tolist() == MULAW.decode(MULAW.encode(whole)).tolist()


async def test_the_query_of_a_web_call_says_what_is_wanted() -> None:
    call = RegisteredCall(audio=MULAW)
    plain = DIALECTS["web"](call, {})
    assert (plain.updates, plain.alignment, plain.dialect.audio(b"\1", "a")) == (
        False,
        False,
        b"\1",
    )
    query = {"enable_update": ["false", "1"], "enable_audio_alignment": ["True"]}
    asked = DIALECTS["web"](call, query)
    assert (asked.updates, asked.alignment) == (True, True)
    assert isinstance(asked.dialect.audio(b"\1", "a"), str)


@pytest.mark.parametrize("dialect", PROVIDERS)
async def test_the_last_piece_of_an_utterance_is_one_that_the_provider_takes(dialect: str) -> None:
    audio, _ = formats_of(dialect)

    async def agent(session: Session) -> None:
        await session.send_audio(np.full(audio.rate // 10 + 5, 1000, np.int16))

    async with (
        Emulator(accept_any=True, dialect=dialect, audio=audio, agent=agent) as emulator,
        asyncio.timeout(10),
    ):
        connection = await phone_route(dialect, f"{emulator.url}/call").connect(lambda: 0.0)
        events = [event async for event in connection]
    heard = [event.data for event in events if isinstance(event, AgentAudio)]
    assert np.count_nonzero(audio.decode(b"".join(heard))) == audio.rate // 10 + 5
    # What comes without a number is no error of a message: that Telnyx does not hang up.
    assert not [each for each in events if isinstance(each, ProviderComplaint) and each.code]
