"""MQTT: topics and payloads, and a real broker."""

from __future__ import annotations

import asyncio
import gc
import json
import os
import socket
import sys
import time
import warnings
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import aiomqtt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.addresses import dead, with_two_addresses
from support.broker import CERTIFICATES, Broker
from support.surroundings import PATIENCE, Kiosk, settled, told

from retell_voice.kiosk.ports import (
    Indicator,
    Look,
    PartFailed,
    Pressed,
    Trigger,
    TriggerEvent,
    WantsCall,
    WantsHangUp,
    WantsMute,
    WantsVolume,
)
from retell_voice.kiosk.states import State
from retell_voice.kiosk.triggers import mqtt
from retell_voice.kiosk.triggers.mqtt import PASSWORD, Mqtt, make
from retell_voice.kiosk.triggers.mqtt_topics import SOURCE, Topics, machine_id, state
from retell_voice.secret import Secret
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.kiosk import KioskSettings

TOPICS = Topics("hall", "homeassistant")
CALL, MUTE, VOLUME = TOPICS.commands


@pytest.mark.parametrize(
    ("topic", "payload", "meant"),
    [
        (CALL, b"call", WantsCall(SOURCE)),
        (CALL, b" Hang_Up\n", WantsHangUp(SOURCE)),
        (CALL, b"press", Pressed(SOURCE)),
        (CALL, b"", None),
        (MUTE, b"ON", WantsMute(SOURCE, True)),
        (MUTE, b"off", WantsMute(SOURCE, False)),
        (MUTE, b"toggle", WantsMute(SOURCE)),
        (MUTE, b"1", None),
        (VOLUME, b"55", WantsVolume(SOURCE, 55)),
        (VOLUME, b"55.0", WantsVolume(SOURCE, 55)),
        (VOLUME, b"-10", WantsVolume(SOURCE, -10, relative=True)),
        (VOLUME, b"+5", WantsVolume(SOURCE, 5, relative=True)),
        (VOLUME, b"201", None),
        (VOLUME, b"1e2", None),
        (TOPICS.state, b"call", None),
        ("other/call", b"call", None),
    ],
)
def test_what_a_message_wants(topic: str, payload: bytes, meant: TriggerEvent | None) -> None:
    assert TOPICS.event(topic, payload) == meant


@given(st.sampled_from((*TOPICS.commands, TOPICS.birth, "x")) | st.text(), st.binary())
def test_no_message_breaks_it(topic: str, payload: bytes) -> None:
    meant = TOPICS.event(topic, payload)
    assert meant is None or (topic in TOPICS.commands and meant.source == SOURCE)
    if isinstance(meant, WantsVolume):
        assert -200 <= meant.percent <= 200


def test_home_assistant_finds_everything_in_one_message() -> None:
    found = json.loads(TOPICS.discovery("Hall", "1.0"))
    assert found["dev"]["ids"] == ["hall"]
    assert found["avty_t"] == "retell-voice/hall/availability"
    parts = found["cmps"]
    assert {name: each["p"] for name, each in parts.items()} == {
        "state": "sensor",
        "why": "sensor",
        "calls": "sensor",
        "call": "button",
        "hang_up": "button",
        "mute": "switch",
        "volume": "number",
    }
    assert len({each["uniq_id"] for each in parts.values()}) == len(parts)
    # What its buttons say is understood.
    for name in ("call", "hang_up"):
        assert TOPICS.event(parts[name]["cmd_t"], parts[name]["pl_prs"].encode()) is not None
    told = json.loads(state(Look(state=State.IN_CALL, muted=True, volume=80, why="x" * 999)))
    for each in parts.values():
        if "val_tpl" in each:
            assert each["val_tpl"].split("value_json.")[1].rstrip("} ") in told
    assert told["state"] in parts["state"]["ops"]
    assert told["muted"] == "ON"
    assert len(told["why"]) <= 255


def test_the_machines_id_is_not_told(tmp_path: Path) -> None:
    path = tmp_path / "machine-id"
    path.write_text("0123456789abcdef0123456789abcdef\n")
    found = machine_id(path)
    assert len(found) == 12
    assert found not in path.read_text()
    assert found != machine_id(tmp_path / "none")


# A broker


@pytest.fixture
def broker() -> Iterator[Broker]:
    with Broker() as broker:
        yield broker


def part(broker: Broker, kiosk: Kiosk, **more: Any) -> Mqtt:
    return Mqtt(broker.url, TOPICS, kiosk, name="Hall", **more)


class Other:
    """Another client: a home's."""

    def __init__(self, client: aiomqtt.Client) -> None:
        self._client = client

    async def next(self, topic: str) -> str:
        """Return the next message on a topic; others are passed over."""
        async with asyncio.timeout(PATIENCE):
            async for message in self._client.messages:
                if message.topic.value == topic:
                    assert isinstance(message.payload, bytes)
                    return message.payload.decode()
        raise AssertionError

    async def say(self, topic: str, payload: str, retain: bool = False) -> None:
        await self._client.publish(topic, payload, qos=1, retain=retain)


@asynccontextmanager
async def other(broker: Broker) -> AsyncIterator[Other]:
    async with aiomqtt.Client("127.0.0.1", broker.port) as client:
        await client.subscribe([("retell-voice/#", 1), ("homeassistant/device/#", 1)])
        yield Other(client)


async def test_it_introduces_itself_shows_and_is_told(broker: Broker) -> None:
    kiosk = Kiosk()
    made = part(broker, kiosk)
    assert isinstance(made, Trigger)
    assert isinstance(made, Indicator)
    async with other(broker) as home:
        async with told(made) as running:
            assert await home.next(TOPICS.availability) == "online"
            assert json.loads(await home.next(TOPICS.config))["dev"]["name"] == "Hall"
            await made.show(Look(state=State.IN_CALL))
            assert json.loads(await home.next(TOPICS.state))["state"] == "in call"
            await home.say(CALL, "call")
            assert await running.next() == WantsCall(SOURCE)
            await home.say(CALL, "nonsense")
            await home.say(MUTE, "ON")
            assert await running.next() == WantsMute(SOURCE, True)
            await home.say(VOLUME, "70")
            assert await running.next() == WantsVolume(SOURCE, 70)
        assert await home.next(TOPICS.availability) == "offline"


async def test_what_the_broker_has_kept_is_no_wish_of_now(broker: Broker) -> None:
    async with other(broker) as home:
        await home.say(CALL, "call", retain=True)
        async with told(part(broker, Kiosk())) as running:
            await home.say(MUTE, "OFF")
            assert await running.next() == WantsMute(SOURCE, False)


async def test_a_home_that_starts_anew_is_told_everything_again(broker: Broker) -> None:
    kiosk = Kiosk(State.FAULTED)
    async with other(broker) as home, told(part(broker, kiosk)):
        await home.next(TOPICS.config)
        await home.say(TOPICS.birth, "offline")
        await home.say(TOPICS.birth, "online")
        await home.next(TOPICS.config)
        assert json.loads(await home.next(TOPICS.state))["state"] == "faulted"


async def test_a_broker_that_dies_is_told_and_can_be_had_again(broker: Broker) -> None:
    made = part(broker, Kiosk())
    async with told(made) as running:
        await made.show(Look())
        broker.kill()
        with pytest.raises(PartFailed, match=rf"MQTT broker 127\.0\.0\.1:{broker.port}: "):
            await running.next()
        with pytest.raises(PartFailed):
            await made.show(Look())
    with pytest.raises(PartFailed, match="refused"):
        await made.__aenter__()
    await made.__aexit__(None, None, None)
    broker.start()
    async with other(broker) as home, told(made) as running:
        await home.say(CALL, "call")
        assert await running.next() == WantsCall(SOURCE)


async def test_a_connection_in_tls(monkeypatch: pytest.MonkeyPatch) -> None:
    untrusted = pytest.raises(PartFailed, match="certificate")
    with Broker(certificate="other.pem") as broker, untrusted:
        await part(broker, Kiosk()).__aenter__()
    del untrusted
    await settled()
    with warnings.catch_warnings():  # paho closes what it does not trust by forgetting it
        warnings.simplefilter("ignore")
        gc.collect()
    with Broker(certificate="valid.pem") as broker:
        monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATES / "valid.pem"))
        made = part(broker, Kiosk())
        async with told(made):
            await made.show(Look(state=State.IN_CALL))


async def test_a_store_that_cannot_be_used_names_its_variable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "none"))
    with pytest.raises(PartFailed, match="SSL_CERT_FILE in the environment cannot be used"):
        await Mqtt("mqtts://localhost:1", TOPICS, Kiosk(), name="x").__aenter__()


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a full queue refuses")
async def test_an_address_that_says_nothing_costs_no_half_second(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    with dead() as first:
        with_two_addresses(monkeypatch, "both.localhost", first)
        began = time.monotonic()
        made = Mqtt(f"mqtt://both.localhost:{broker.port}", TOPICS, Kiosk(), name="x")
        async with made:
            assert time.monotonic() - began < 1.5


async def test_a_kiosk_that_loses_power_is_told_by_the_broker(broker: Broker) -> None:
    made = part(broker, Kiosk())
    async with other(broker) as home:
        await made.__aenter__()
        assert await home.next(TOPICS.availability) == "online"
        client = made._client
        assert client is not None
        paho = client._client.socket()
        assert isinstance(paho, socket.socket)
        paho.shutdown(socket.SHUT_RDWR)
        assert await home.next(TOPICS.availability) == "offline"
        await made.__aexit__(None, None, None)


def descriptors() -> int:
    return len(os.listdir("/dev/fd"))


async def test_nothing_is_left_of_connections_however_they_end(
    broker: Broker, monkeypatch: pytest.MonkeyPatch
) -> None:
    complaints: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, about: complaints.append(about))
    made = part(broker, Kiosk())
    async with told(made):  # makes the thread that stays
        pass
    before, tasks = descriptors(), asyncio.all_tasks()
    for _ in range(5):
        async with told(made) as running:
            broker.kill()
            with pytest.raises(PartFailed):
                await running.next()
        with pytest.raises(PartFailed):
            await made.__aenter__()
        broker.start()
    monkeypatch.setattr(mqtt, "TIMEOUT", 0.3)
    broker.pause()
    with pytest.raises(PartFailed, match="did not answer within"):
        await made.__aenter__()
    entering = asyncio.ensure_future(made.__aenter__())
    await asyncio.wait([entering], timeout=0.1)
    entering.cancel()
    await asyncio.wait([entering])
    async with asyncio.timeout(10):  # before the broker's silence ends it anyway
        while left := asyncio.all_tasks() - tasks:
            await asyncio.wait(left)
    assert descriptors() == before
    assert complaints == []
    broker.resume()
    async with told(made):
        pass


@asynccontextmanager
async def accepting() -> AsyncIterator[tuple[Mqtt, asyncio.Queue[str]]]:
    """A part, and a server that takes its connections as a broker does; when they begin and end."""
    seen: asyncio.Queue[str] = asyncio.Queue()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.put_nowait("began")
        with suppress(ConnectionError):
            if await reader.read(4096):
                writer.write(b"\x20\x02\x00\x00")  # CONNACK
            while await reader.read(4096):
                pass
        seen.put_nowait("ended")
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        yield Mqtt(f"mqtt://127.0.0.1:{port}", TOPICS, Kiosk(), name="Hall"), seen


async def test_no_connection_is_left_where_there_is_no_client_for_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def make(*_: Any, **__: Any) -> None:
        raise ValueError("no such client")

    monkeypatch.setattr(aiomqtt, "Client", make)
    async with accepting() as (made, seen), asyncio.timeout(PATIENCE):
        with pytest.raises(ValueError, match="no such client"):
            await made._connected()
        assert [await seen.get(), await seen.get()] == ["began", "ended"]


@pytest.mark.parametrize(
    ("name", "connections"), [(mqtt._DIALS, ["began"]), ("_of_another_version", ["began"] * 2)]
)
async def test_another_paho_makes_its_connection_itself(
    monkeypatch: pytest.MonkeyPatch, name: str, connections: list[str]
) -> None:
    monkeypatch.setattr(mqtt, "_DIALS", name)
    async with accepting() as (made, seen), asyncio.timeout(PATIENCE):
        client = await made._connected()
        await made._leave(client)
        every = [await seen.get() for _ in range(2 * len(connections))]
    assert [each for each in every if each == "began"] == connections


async def test_no_cancellation_is_lost_that_comes_with_an_answer() -> None:
    answer = asyncio.Event()

    async def publishes() -> None:  # as aiomqtt does
        await asyncio.wait_for(answer.wait(), PATIENCE)

    async def tells() -> None:
        await mqtt._whole(publishes())
        await asyncio.sleep(PATIENCE)

    telling = asyncio.ensure_future(tells())
    await settled()
    answer.set()
    await asyncio.sleep(0)  # the answer is there, and whoever waits for it has not seen it yet
    telling.cancel()
    done, _ = await asyncio.wait([telling], timeout=PATIENCE / 2)
    assert done
    assert telling.cancelled()


async def test_a_user_and_a_password_are_given() -> None:
    with Broker("kiosk", "right") as broker:
        with pytest.raises(PartFailed, match=r"(?i)not authori[sz]ed"):
            await part(broker, Kiosk(), user="kiosk", password="wrong").__aenter__()
        async with part(broker, Kiosk(), user="kiosk", password="right"):
            pass


def test_the_password_comes_from_settings_or_a_credential(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / PASSWORD).write_text("from-systemd-1\n")
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path))
    url: Sourced[str | None] = Sourced("mqtt://broker")
    (made,) = make(KioskSettings(mqtt_url=url), Kiosk())
    assert isinstance(made, Mqtt)
    assert made.name == "MQTT broker broker:1883"
    assert made._password == "from-systemd-1"
    given = KioskSettings(mqtt_url=url, mqtt_password=Sourced(Secret("from-the-file-1")))
    (made,) = make(given, Kiosk())
    assert isinstance(made, Mqtt)
    assert made._password == "from-the-file-1"
    assert list(make(KioskSettings(), Kiosk())) == []
