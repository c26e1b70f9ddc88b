"""Where a kiosk's calls come from: Retell's REST API, or a command or URL of its owner's.

::

    press ─▶ CallSource.place ─▶ Route ─▶ Call
    a look ─▶ CallSource.check            whether a call could be had; makes none

A new source is a class here and a line in ``call_source``.
"""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from functools import partial
from typing import Protocol
from urllib.parse import urlsplit

from retell_voice.audio.format import AudioFormat
from retell_voice.engine.web_call import WebCall
from retell_voice.errors import ConfigError, ConnectError, RestError, TooManyRequests
from retell_voice.kiosk.credentials import CALL_TOKEN, api_key, credential
from retell_voice.kiosk.joining import Joining, read_joining
from retell_voice.kiosk.post import post
from retell_voice.net.culprit import find_culprit
from retell_voice.net.stream import open_stream
from retell_voice.program.call_fields import call_fields
from retell_voice.program.opening import audio_format
from retell_voice.program.registration import audio_url, register
from retell_voice.program.web_calls import check_options, is_web_call, new_web_call
from retell_voice.protocol.gateway import Admission
from retell_voice.rest import get_concurrency
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.threads.detached import run_detached
from retell_voice.transport.ports import Route
from retell_voice.transport.route import web_route
from retell_voice.transport.webrtc.route import find_libraries

_COMMAND_SECONDS = 15.0
_REACH_SECONDS = 5.0
_PATIENCE = 3.0
"""Seconds for which a call that is being dialled waits for a busy server. For longer nobody listens
to the sound of dialling: the kiosk says that it is offline, and waits then."""
_TRY_AGAIN = 75  # EX_TEMPFAIL of sysexits.h
_MOST = 65536


class CallSource(Protocol):
    """Where calls come from."""

    label: str
    """Where it comes from, for people."""

    async def place(self, source: str) -> Route:
        """Make a call and return what is dialled.

        Args:
            source: who wants it, for people and for what the owner has.

        Raises:
            ConfigError, ConnectError, RestError: there is none.
        """

    async def check(self) -> None:
        """See whether there would be one; raises as ``place``."""


def call_source(settings: KioskSettings) -> CallSource:
    """Return the source that the settings name.

    Raises:
        ConfigError: none of them, or two.
    """
    sources: list[tuple[str, Callable[[], CallSource]]] = [
        (row.source, make)
        for row, make in (
            (settings.agent, partial(RestCalls, settings)),
            (settings.call_command, partial(CommandCalls, settings)),
            (settings.call_url, partial(UrlCalls, settings)),
        )
        if row.value
    ]
    if not sources:
        raise ConfigError(
            "nothing says whom to call",
            "set agent, with an API key; or, under [kiosk], call_command or call_url",
        )
    if len(sources) > 1:
        raise ConfigError(
            f"{' and '.join(name for name, _ in sources)} each provide calls: give one"
        )
    return sources[0][1]()


class RestCalls:
    """Calls an agent: a web call, or one that is registered for the Audio WebSocket.

    Raises:
        ConfigError: a web call is wanted, and what it needs is not installed.
    """

    def __init__(self, settings: KioskSettings) -> None:
        self._settings = settings
        self.label = f"agent {settings.agent.value}"
        if is_web_call(settings):
            check_options(settings)
            find_libraries()

    async def place(self, source: str) -> Route:
        """Register one, or get ready to create one: a web call is created when it is dialled."""
        settings = self._settings
        key = await run_detached(partial(api_key, settings))
        told = replace(
            call_fields(settings),
            metadata={"trigger": source},
            dynamic_variables=settings.variables.value,
        )
        if is_web_call(settings):
            found: Sourced[str | None] = Sourced(key.value, key.source)
            own = replace(settings, api_key=found)
            return new_web_call(own, told, plain=True, waiting=_wait_briefly)
        call = await register(settings, key, told, plain=True, waiting=_wait_briefly)
        url = settings.url
        where = audio_url(settings.api_url.value) if url.source == DEFAULT else url.value
        return _route(Joining(call.call_id, where, call.audio), settings)

    async def check(self) -> None:
        """Ask for something that costs nothing and needs the key."""
        settings = self._settings
        key = await run_detached(partial(api_key, settings))
        await get_concurrency(api_key=key.value, api_url=settings.api_url.value, plain=True)


def _wait_briefly(error: TooManyRequests, seconds: float) -> None:
    if seconds > _PATIENCE:
        raise error


class CommandCalls:
    """Runs a command; no shell reads it.

    Raises:
        ConfigError: it cannot be read, or there is none like that to be run.
    """

    def __init__(self, settings: KioskSettings) -> None:
        self._settings = settings
        row = settings.call_command
        try:
            self._command = shlex.split(row.value or "")
        except ValueError as error:
            raise ConfigError(f"{row.source}: call_command cannot be read: {error}") from None
        if not self._command:
            raise ConfigError(f"{row.source}: call_command is empty")
        self.label = f"command {self._command[0]}"
        self._find()

    async def place(self, source: str) -> Route:
        """Run it; what it prints is the call."""
        text = await self._run(source)
        return _route(_read(text, self._settings, self.label), self._settings)

    async def _run(self, source: str) -> str:
        environment = {**os.environ, "RETELL_VOICE_TRIGGER": source}
        try:
            process = await asyncio.create_subprocess_exec(
                *self._command,
                env=environment,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            raise ConfigError(f"{self.label}: {error.strerror or error}") from None
        try:
            async with asyncio.timeout(_COMMAND_SECONDS):
                out, err, _ = await asyncio.gather(
                    _end_of(process.stdout), _end_of(process.stderr), process.wait()
                )
        except TimeoutError:
            await _kill(process)  # also what it has left behind, which may hold its output open
            raise ConnectError(
                f"{self.label} did not end within {_COMMAND_SECONDS:g} s", temporary=True
            ) from None
        finally:
            if process.returncode is None:
                await _kill(process)
        if process.returncode:
            lines = err.decode("utf-8", "replace").split("\n")
            last = next((line.strip() for line in reversed(lines) if line.strip()), "")
            words = f"{self.label} failed with {process.returncode}: {last[:200]}".rstrip(": ")
            if process.returncode == _TRY_AGAIN:
                raise ConnectError(words, temporary=True)
            raise ConfigError(words, f"exit code {_TRY_AGAIN} says that it may work a moment later")
        return out.decode("utf-8", "replace")

    async def check(self) -> None:
        """See whether it is there; what comes of it cannot be known before it is run."""
        self._find()

    def _find(self) -> None:
        name = self._command[0]
        if shutil.which(name) is not None:
            return
        if not os.path.dirname(name):
            raise ConfigError(
                f"{self.label}: not found in PATH", "set call_command to the path of a program"
            )
        if not os.path.exists(name):
            raise ConfigError(f"{self.label}: No such file")
        if os.path.isdir(name):
            raise ConfigError(f"{self.label}: it is a directory")
        raise ConfigError(f"{self.label}: it is not executable", f"chmod +x {shlex.quote(name)}")


async def _end_of(stream: asyncio.StreamReader | None) -> bytes:
    """Read to the end and return the last bytes, more than any call takes: one that writes without
    end must not fill the memory."""
    end = b""
    while stream is not None and (data := await stream.read(_MOST)):
        end = (end + data)[-_MOST:]
    return end


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End it and what it has started, and wait for that: no zombie stays."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    await process.wait()


class UrlCalls:
    """Posts to an endpoint."""

    def __init__(self, settings: KioskSettings) -> None:
        self._settings = settings
        self._url = settings.call_url.value or ""
        try:
            parts = urlsplit(self._url)
            self._host, _ = parts.hostname, parts.port  # a port that is none raises
        except ValueError as error:
            raise ConfigError(f"{settings.call_url.source}: call_url: {error}") from None
        if not self._host:
            raise ConfigError(f"{settings.call_url.source}: call_url names no host")
        if parts.scheme == "http" and self._host not in ("127.0.0.1", "localhost"):
            raise ConfigError(f"{settings.call_url.source}: call_url must begin with https://")
        self.label = f"endpoint {self._host}"

    async def place(self, source: str) -> Route:
        """Post; what comes back is the call."""
        body = json.dumps({"trigger": source, **_variables(self._settings)})
        token = (await run_detached(partial(credential, CALL_TOKEN))).value
        text = await post(self._url, body, token)
        return _route(_read(text, self._settings, self.label), self._settings)

    async def check(self) -> None:
        """See whether the host can be reached; posting would make a call."""
        try:
            async with asyncio.timeout(_REACH_SECONDS):
                _, writer = await open_stream(self._url)
        except OSError as error:  # a TimeoutError is one
            why = await find_culprit(error, self._url, _REACH_SECONDS)
            raise ConnectError(f"network: {why.words}", why.hint, temporary=True) from None
        writer.close()


def _variables(settings: KioskSettings) -> dict[str, dict[str, str]]:
    found = settings.variables.value
    return {"variables": dict(found)} if found else {}


def _read(text: str, settings: KioskSettings, label: str) -> Joining | Admission:
    try:
        return read_joining(text, url=settings.url.value, audio=audio_format(settings))
    except ConfigError as error:
        raise RestError(f"{label}: {error}", error.hint, status=200) from None


def _route(joining: Joining | Admission, settings: KioskSettings) -> Route:
    if isinstance(joining, Admission):
        return WebCall(joining, api_url=settings.api_url.value, transcript=False)
    return web_route(
        joining.call_id,
        url=joining.url,
        audio=AudioFormat(joining.audio.encoding, joining.audio.rate),
        updates=settings.updates.value,
        alignment=settings.alignment.value,
        text_heartbeat=settings.text_heartbeat.value,
    )
