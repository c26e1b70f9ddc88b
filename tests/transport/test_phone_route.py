"""Routes to servers that phone providers call, and calls over them, on real sockets."""

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from websockets.asyncio.server import ServerConnection, serve

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.files import (
    NullMicrophone,
    NullSpeaker,
    WavMicrophone,
    WavSpeaker,
    WavWriter,
    read_wav,
)
from retell_voice.emulator import Emulator, Session, UserPressed
from retell_voice.engine.call import Call
from retell_voice.errors import ConfigError, Rejected
from retell_voice.events import DigitSent, Ended, ProviderComplaint
from retell_voice.protocol.codecs import Codec
from retell_voice.transport.phone import PROVIDERS, codecs_of, phone_route, provider_of

MULAW = AudioFormat(Encoding.MULAW, 8000)
SECRET = "call_0123456789abcdef"
TOKEN = "token_0123456789abcdef"


def devices(rate: int = 8000) -> dict[str, Any]:
    return {"microphone": NullMicrophone(rate), "speaker": NullSpeaker(rate)}


def test_a_route_states_its_formats_and_hides_its_secrets() -> None:
    route = phone_route("twilio", "wss://h/ws", call_id=SECRET, auth_token=TOKEN)
    assert (route.label, route.near_end, route.far_end, route.frame_ms) == (
        *("Twilio", MULAW, MULAW, 20),
    )
    assert SECRET not in repr(route) + repr(vars(route))
    assert TOKEN not in repr(vars(route))


@pytest.mark.parametrize(
    ("dialect", "url", "codec", "words"),
    [
        ("sip", "ws://h", None, "there is no dialect 'sip'"),
        ("twilio", "http://h", None, "is not the URL of a WebSocket"),
        ("twilio", "ws://h", "PCMA", "Twilio has no PCMA/8000"),
        ("twilio", "ws://h", "PCMU:L16", "Twilio has no L16/16000"),
        ("twilio", "ws://h", "G729", "there is no codec 'G729' here"),
        ("twilio", "ws://h", "PCMU/16000", "PCMU has no rate of 16000 Hz"),
        ("twilio", "ws://h", "16 bit", "'16 bit' is no codec"),
        ("plivo", "ws://h", "L16/24000", "Plivo has no L16/24000"),
        ("vonage", "ws://h", "PCMU", "Vonage has no PCMU/8000"),
        ("telnyx", "ws://h", "G722", "Telnyx has G722, which is not spoken here"),
        ("telnyx", "ws://h", "opus/16000", "Telnyx has OPUS, which is not spoken here"),
        ("telnyx", "ws://h", "PCMU:AMR-WB", "Telnyx has AMR-WB, which is not spoken here"),
        ("twilio", "ws://h", "OPUS", "there is no codec 'OPUS' here"),
    ],
)
def test_what_there_is_not_is_named(dialect: str, url: str, codec: str | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        phone_route(dialect, url, codec=codec)


@pytest.mark.parametrize(
    ("dialect", "known"),
    [
        ("twilio", "Twilio has: PCMU"),
        ("plivo", "Plivo has: PCMU, L16/8000, L16/16000"),
        ("vonage", "Vonage has: L16/8000, L16/16000, L16/24000"),
    ],
)
def test_an_unknown_codec_is_told_with_those_that_there_are(dialect: str, known: str) -> None:
    with pytest.raises(ConfigError) as caught:
        phone_route(dialect, "ws://h", codec="MP3")
    assert caught.value.hint == known
    *_, one = known.split(" ")
    assert phone_route(dialect, "ws://h", codec=one).label


def test_codecs_of_both_directions() -> None:
    twilio = provider_of("twilio")
    assert codecs_of(twilio, None) == (Codec(), Codec())
    assert codecs_of(twilio, "pcmu:PCMU/8000") == (Codec(), Codec())


def test_a_provider_with_one_codec_has_it_both_ways() -> None:
    for dialect, codec in (
        ("vonage", "L16/8000:L16"),
        ("plivo", "PCMU:L16"),
        ("exotel", "L16:L16/8000"),
    ):
        with pytest.raises(ConfigError, match="has one codec for both directions"):
            phone_route(dialect, "ws://h", codec=codec)
    route = phone_route("telnyx", "ws://h", codec="PCMA:L16/24000")
    assert (route.near_end, route.far_end) == (
        AudioFormat(Encoding.S16LE, 8000),
        AudioFormat(Encoding.S16LE, 24_000),
    )


async def complaints(url: str, **options: Any) -> list[ProviderComplaint]:
    async def agent(websocket: ServerConnection) -> None:
        await websocket.recv()

    async with serve(agent, "127.0.0.1", 0) as server, asyncio.timeout(10):
        port = server.sockets[0].getsockname()[1]
        route = phone_route("twilio", url.format(port=port), **options)
        async with Call(route, **devices()) as call:
            return [event async for event in call if isinstance(event, ProviderComplaint)]


async def test_what_twilio_would_not_even_dial_is_told_once_the_call_is_open() -> None:
    (told,) = await complaints("ws://127.0.0.1:{port}/?a=b")
    assert told.code == "31920"
    (told,) = await complaints("ws://127.0.0.1:{port}/", parameters={"x": "y" * 500})
    assert "the parameter 'x' is longer" in told.problem
    assert await complaints("ws://127.0.0.1:{port}/?a=b", strict=False) == []


def test_another_scheme_than_twilios_is_told_of_unless_it_is_this_machine() -> None:
    for url, codes in (("ws://h/ws", ["31922"]), ("wss://h/ws", []), ("ws://localhost/ws", [])):
        route: Any = phone_route("twilio", url)
        assert [each.code for each in route._dial().events] == codes


async def test_each_attempt_is_another_call_of_the_providers() -> None:
    route: Any = phone_route("twilio", "ws://h")
    starts = [json.loads(route._dial().dialect.opening()[1])["start"] for _ in range(2)]
    assert starts[0]["streamSid"] != starts[1]["streamSid"]
    assert all(len(each["callSid"]) == 34 for each in starts)


@pytest.mark.parametrize("dialect", PROVIDERS)
async def test_keys_of_the_telephone_reach_an_agent(dialect: str) -> None:
    pressed: list[str] = []

    async def agent(session: Session) -> None:
        while len(pressed) < 12:
            pressed.append(await session.next_digit())

    async with Emulator(agent=agent) as emulator, asyncio.timeout(10):
        audio = phone_route(dialect, "ws://h").near_end
        registered = emulator.register(audio, dialect=dialect)
        route = phone_route(dialect, emulator.url, call_id=registered.call_id)
        async with Call(route, **devices()) as call:
            for digit in "0123456789*#":
                assert call.press(digit)
            for wrong in ("12", "", "A", "²"):
                with pytest.raises(ValueError, match="a telephone has the keys"):
                    call.press(wrong)
            told = [event async for event in call if isinstance(event, DigitSent)]
            assert not call.press("1"), "it is over"
        await registered.wait()
    assert "".join(pressed) == "0123456789*#"
    assert "".join(each.digit for each in told) == "0123456789*#"
    events = [each async for each in emulator.events if isinstance(each, UserPressed)]
    assert "".join(each.digit for each in events) == "0123456789*#"


async def test_a_web_call_has_no_keys() -> None:
    async with Emulator() as emulator, asyncio.timeout(10):
        web = emulator.register(MULAW)
        async with Call(web.call_id, url=emulator.url, audio=MULAW, **devices()) as call:
            assert not call.press("1")


@pytest.mark.parametrize(
    ("dialect", "missing", "wrong"),
    [
        ("twilio", "there is no X-Twilio-Signature", "the X-Twilio-Signature is not that of wss:"),
        ("telnyx", "there is no x-telnyx-streaming", "x-telnyx-streaming-auth-token is another"),
        ("vonage", "there is no Authorization: Bearer", "the JWT is not good: Signature"),
    ],
)
async def test_a_caller_shows_who_it_is_and_no_secret(
    dialect: str, missing: str, wrong: str
) -> None:
    async with Emulator(auth_token=TOKEN) as emulator, asyncio.timeout(20):
        audio = phone_route(dialect, "ws://h").near_end
        registered = emulator.register(audio, dialect=dialect)
        url, call_id = emulator.url, registered.call_id
        for token, words in ((None, missing), (f"{TOKEN}x", wrong)):
            route = phone_route(dialect, url, call_id=call_id, auth_token=token)
            with pytest.raises(Rejected, match=words) as caught:
                await Call(route, **devices()).__aenter__()
            assert caught.value.status == 403
        route = phone_route(dialect, url, call_id=call_id, auth_token=TOKEN)
        async with Call(route, **devices()):
            assert emulator.sessions[0].call is registered
    shown = f"{caught.value!r} {caught.value.hint}"
    assert call_id not in shown
    assert TOKEN not in shown


async def test_a_caller_who_has_not_shown_who_it_is_leaves_no_call_behind() -> None:
    route = phone_route("twilio", "ws://h")
    async with (
        Emulator(
            accept_any=True, dialect="twilio", audio=route.near_end, auth_token=TOKEN
        ) as emulator,
        asyncio.timeout(20),
    ):
        with pytest.raises(Rejected) as caught:
            await Call(phone_route("twilio", f"{emulator.url}/any"), **devices()).__aenter__()
        assert caught.value.status == 403
        assert emulator.calls == []
        signed = phone_route("twilio", f"{emulator.url}/any", auth_token=TOKEN)
        async with Call(signed, **devices()):
            assert [each.call_id for each in emulator.calls] == ["any"]


# Sound


async def held(tmp_path: Path, agent: Callable[[ServerConnection], Awaitable[None]]) -> Any:
    """Hold a call with devices at 48 kHz; return what was heard, and its rate."""
    async with serve(agent, "127.0.0.1", 0) as server, asyncio.timeout(20):
        url = f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        async with Call(
            phone_route("twilio", url),
            microphone=WavMicrophone(tmp_path / "me.wav", 48_000, speed=10),
            speaker=WavSpeaker(tmp_path / "agent.wav", 48_000, speed=10),
            jitter=(2.0, 3.0),  # a busy machine is no gap
        ) as call:
            last = [event async for event in call][-1]
    assert isinstance(last, Ended)
    assert last.error is None
    return read_wav(tmp_path / "agent.wav")


def noise_of(samples: Any, rate: int, tone: float) -> float:
    """Everything but a tone, dB below all of it; of the two seconds in the middle."""
    loud = np.flatnonzero(np.abs(samples) > 4000)
    middle = samples[loud[0] : loud[-1]].astype(float)
    middle = middle[len(middle) // 4 : -len(middle) // 4]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle)))) ** 2
    at = round(tone * len(middle) / rate)
    rest = spectrum.copy()
    rest[at - 5 : at + 6] = 0
    return float(10 * np.log10(rest.sum() / spectrum.sum()))


async def test_a_voice_at_48_khz_is_mulaw_at_8_on_the_wire_and_makes_no_click(
    tmp_path: Path,
) -> None:
    writer = WavWriter(tmp_path / "me.wav", 48_000)
    writer.write((8000 * np.sin(2 * np.pi * 440 * np.arange(96_000) / 48_000)).astype(np.int16))
    writer.close()
    sent = b""

    async def agent(websocket: ServerConnection) -> None:
        nonlocal sent
        stream = ""
        async for message in websocket:
            body = json.loads(message)
            stream = body.get("streamSid", stream)
            sent += b64decode(body.get("media", {}).get("payload", ""))
            if len(sent) >= 16_000:
                break
        for start in range(0, len(sent), 77):  # pieces that are no frames
            back = {"payload": b64encode(sent[start : start + 77]).decode()}
            say = {"event": "media", "streamSid": stream, "media": back}
            await websocket.send(json.dumps(say))

    heard, rate = await held(tmp_path, agent)
    assert rate == 48_000
    there, back = noise_of(MULAW.decode(sent), 8000, 440), noise_of(heard, rate, 440)
    assert there < -36, "quantising to µ-law is all that there is"
    assert back < -35
