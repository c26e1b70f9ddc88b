"""MQTT: tells a broker how the kiosk looks, and takes wishes from it; Home Assistant's way."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar
from urllib.parse import urlsplit

from retell_voice import __version__
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.kiosk.credentials import credential
from retell_voice.kiosk.ports import Look, Part, PartFailed, Surroundings, TriggerEvent
from retell_voice.kiosk.triggers.mqtt_topics import OFFLINE, ONLINE, Topics, machine_id, state
from retell_voice.net.dialling import connect_tcp
from retell_voice.net.http import root_cause
from retell_voice.net.tls import client_context
from retell_voice.net.unreachable import explain_unreachable
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.threads.detached import run_detached

if TYPE_CHECKING:
    import ssl

    import aiomqtt

_T = TypeVar("_T")

PASSWORD = "retell-mqtt-password"  # noqa: S105 - the name of a credential
TIMEOUT = 5.0
"""Seconds that the broker may take to answer."""
KEEPALIVE = 20
"""Seconds of silence after which each side asks whether the other is still there."""
_PORTS = {"mqtt": 1883, "mqtts": 8883}
_DIALS = "_create_socket_connection"
"""What makes the connection, of a client of paho."""
_MOST = 32
"""Messages kept until they are looked at; more at once are somebody's mistake."""


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the part, if the settings want it.

    Raises:
        ConfigError: aiomqtt is not installed, or the password cannot be read.
    """
    if settings.mqtt_url.value is None:
        return
    _library()
    yield Mqtt(
        settings.mqtt_url.value,
        Topics(settings.mqtt_id.value or machine_id(), settings.mqtt_discovery.value),
        surroundings,
        name=settings.mqtt_name.value,
        user=settings.mqtt_user.value,
        password=settings.mqtt_password.value or credential(PASSWORD).value,
    )


class Mqtt:
    """A trigger and an indicator.

    Args:
        url: of the broker.
        topics: of this kiosk.
        surroundings: the kiosk.
        name: what Home Assistant calls it.
        user, password: for the broker.
    """

    def __init__(
        self,
        url: str,
        topics: Topics,
        surroundings: Surroundings,
        *,
        name: str,
        user: str | None = None,
        password: str | None = None,
    ) -> None:
        parts = urlsplit(url)
        self._host = parts.hostname or ""
        self._port = parts.port or _PORTS[parts.scheme]
        self._encrypted = parts.scheme == "mqtts"
        host = f"[{self._host}]" if ":" in self._host else self._host
        self._address = f"{host}:{self._port}"
        self.name = f"MQTT broker {self._address}"
        self._topics = topics
        self._surroundings = surroundings
        self._title = name
        self._user, self._password = user, password
        self._client: aiomqtt.Client | None = None

    async def __aenter__(self) -> Self:
        client = await self._connected()
        try:
            # First, so that nobody who sees it online is not heard.
            topics = [*self._topics.commands, self._topics.birth]
            await _whole(client.subscribe([(topic, 1) for topic in topics]))
            await _whole(client.publish(self._topics.availability, ONLINE, 1, True))
            await self._introduce(client)
        except _library().MqttError as error:
            await self._leave(client)
            raise self._failed(error) from None
        except BaseException:
            await self._leave(client)
            raise
        self._client = client
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        client, self._client = self._client, None
        if client is None:
            return
        try:
            # A connection that ends in order leaves no will.
            with suppress(_library().MqttError):
                gone = client.publish(self._topics.availability, OFFLINE, 1, True, timeout=1)
                await _whole(gone)
        finally:
            await self._leave(client)

    async def __aiter__(self) -> AsyncIterator[TriggerEvent]:
        client = self._open()
        try:
            async for message in client.messages:
                topic, payload = message.topic.value, message.payload
                if topic == self._topics.birth:
                    if payload == ONLINE.encode():
                        await self._introduce(client)
                        await self._show(client, self._surroundings.look)
                    continue
                # One that the broker has kept is no wish of now: it would call at every start.
                if message.retain or not isinstance(payload, bytes):
                    continue
                if (event := self._topics.event(topic, payload)) is not None:
                    yield event
        except _library().MqttError as error:
            raise self._failed(error) from None

    async def show(self, look: Look) -> None:
        """Tell the broker how the kiosk looks.

        Raises:
            PartFailed: the broker is gone.
        """
        try:
            await self._show(self._open(), look)
        except _library().MqttError as error:
            raise self._failed(error) from None

    async def _connected(self) -> aiomqtt.Client:
        library = _library()
        try:
            context = await run_detached(client_context) if self._encrypted else None
            async with asyncio.timeout(TIMEOUT):
                connected = await connect_tcp(self._host, self._port)
        except ConfigError as error:  # a variable of the environment
            raise PartFailed(f"{self.name}: {error}", error.hint) from None
        except OSError as error:
            raise self._failed(error) from None
        connected.settimeout(TIMEOUT)
        try:
            client = self._made(context)
        except BaseException:
            connected.close()
            raise
        # paho would try a name's addresses one after the other, each for as long as that takes.
        dials: Any = client._client
        if hasattr(dials, _DIALS):
            setattr(dials, _DIALS, lambda: connected)
        else:  # it is its own affair, and another version may call it something else
            connected.close()
        entering = asyncio.ensure_future(client.__aenter__())
        try:
            return await asyncio.shield(entering)
        except asyncio.CancelledError:
            # Its thread cannot be stopped, and would come back with a connection nobody wants.
            entering.add_done_callback(partial(_abandon, client))
            raise
        except library.MqttError as error:
            _abandon(client, entering)
            raise self._failed(error) from None

    def _made(self, context: ssl.SSLContext | None) -> aiomqtt.Client:
        library = _library()
        client: aiomqtt.Client = library.Client(
            self._host,
            self._port,
            username=self._user,
            password=self._password,
            identifier=f"retell-voice-{self._topics.id}",
            will=library.Will(self._topics.availability, OFFLINE, qos=1, retain=True),
            timeout=TIMEOUT,
            keepalive=KEEPALIVE,
            max_queued_incoming_messages=_MOST,
            tls_context=context,
        )
        return client

    async def _introduce(self, client: aiomqtt.Client) -> None:
        whole = self._topics.discovery(self._title, __version__)
        await _whole(client.publish(self._topics.config, whole, 1, True))

    async def _show(self, client: aiomqtt.Client, look: Look) -> None:
        await _whole(client.publish(self._topics.state, state(look), 1, True))

    async def _leave(self, client: aiomqtt.Client) -> None:
        with suppress(_library().MqttError):
            await _whole(client.__aexit__(None, None, None))
        _abandon(client)

    def _open(self) -> aiomqtt.Client:
        if self._client is None:
            raise PartFailed(f"{self.name} is not connected")
        return self._client

    def _failed(self, error: Exception) -> PartFailed:
        cause = root_cause(error)
        if not isinstance(cause, OSError):
            return PartFailed(f"{self.name}: {error.__cause__ or error}")
        why = explain_unreachable(cause, self._address, TIMEOUT)
        return PartFailed(f"MQTT broker: {why.words}", why.hint)


async def _whole(work: Coroutine[Any, Any, _T]) -> _T:
    """Return what aiomqtt returns, and be cancelled whenever that is asked for.

    It waits with ``asyncio.wait_for``, which before Python 3.12 loses a cancellation that comes
    together with the answer: whoever cancelled would wait for ever.
    """
    task = asyncio.ensure_future(work)
    task.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait([task])
    finally:
        task.cancel()
    return task.result()


def _abandon(client: aiomqtt.Client, entering: asyncio.Future[Any] | None = None) -> None:
    """Leave nothing of a connection behind, which aiomqtt does where it has ended in order only.

    A broker that takes the connection and never answers would keep its socket, and asyncio
    would complain of an end that nobody has looked at.
    """
    if entering is not None and not entering.cancelled():
        entering.exception()
    client._client._sock_close()
    if client._disconnected.done():
        client._disconnected.exception()


def _library() -> Any:
    try:
        import aiomqtt  # noqa: PLC0415 - of an extra
    except ImportError as error:
        hint = how_to_install("kiosk-mqtt")
        raise ConfigError(f"MQTT takes the package aiomqtt: {error}", hint) from None
    return aiomqtt
