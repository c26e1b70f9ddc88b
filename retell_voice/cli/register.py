"""``retell-voice register``: register a call with an agent, for whoever is to join it."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.errors import ConfigError, KeyRefused, TooManyRequests, show
from retell_voice.program.failure import complain
from retell_voice.program.signals import Interrupts
from retell_voice.rest import Registration, register_call
from retell_voice.secret import mask_url
from retell_voice.settings.load import find_key
from retell_voice.settings.tables import RegisterSettings, RegistrationSettings

LONGEST_WAIT = 60.0
"""Seconds; a server that asks for more (Retry-After) is not waited for."""
_TRIES = 3


def register(
    settings: RegisterSettings, *, metadata: Sequence[str], variables: Sequence[str]
) -> int:
    """Register a call, print its call_id and return the exit code; arguments as ``registered``.

    Raises:
        RetellVoiceError: as ``registered``; ConfigError also where no agent is named.
    """
    if settings.agent.value is None:
        raise ConfigError("no agent to register a call with: give --agent AGENT_ID")
    call = registered(settings, metadata=metadata, variables=variables)
    url = audio_url(settings.api_url.value)
    # What the file and the environment say of JSON is for talk, which reads this on a pipe.
    if settings.json.value and settings.json.is_flag:
        shown = {
            "call_id": call.call_id,
            "agent_id": call.agent_id,
            "encoding": str(call.audio.encoding),
            "rate": call.audio.rate,
            "url": url,
            "body": call.body,
        }
        print(json.dumps(shown))
        return 0
    print(call.call_id)
    if sys.stdout.isatty():
        audio = f"--encoding {call.audio.encoding} --rate {call.audio.rate}"
        print(f"talk with it:\n  retell-voice talk --url {url} {audio} -", file=sys.stderr)
    return 0


def registered(
    settings: RegistrationSettings, *, metadata: Sequence[str], variables: Sequence[str]
) -> Registration:
    """Register a call with ``settings.agent``; ends the program where a signal does.

    Args:
        settings: with whom, where and how.
        metadata, variables: ``NAME=VALUE`` each.

    Raises:
        ConfigError: there is no key, or one of the arguments cannot be used.
        ConnectError, RestError: as ``register_call``.
    """
    key = find_key(settings.api_key)
    if key.value is None:
        raise ConfigError(
            "there is no API key to register a call with",
            "set RETELL_API_KEY, or api_key in the config file; the key is in Retell's dashboard",
        )
    pairs = _pairs("--metadata", metadata), _pairs("--dynamic-variable", variables)
    if sys.stderr.isatty():
        where = mask_url(settings.api_url.value)
        print(f"registering a call with {settings.agent.value} at {where}", file=sys.stderr)
    with Interrupts(lambda: None) as interrupts:
        work = _register(settings, key.value, *pairs)
        try:
            call = asyncio.run(interrupts.opening(work, lambda: None))
        except KeyRefused as error:
            hint = f"it came from {key.source}; {error.hint}"
            raise KeyRefused(str(error), hint, status=error.status) from None
        if interrupts.received is not None:  # too late to cancel anything, but not in vain
            raise SystemExit(128 + interrupts.received)
        return call


async def _register(
    settings: RegistrationSettings,
    key: str,
    metadata: Mapping[str, str] | None,
    variables: Mapping[str, str] | None,
) -> Registration:
    for tries_left in reversed(range(_TRIES)):
        try:
            return await register_call(
                settings.agent.value or "",
                api_key=key,
                audio=AudioFormat(Encoding(settings.encoding.value), settings.rate.value),
                api_url=settings.api_url.value,
                metadata=metadata,
                dynamic_variables=variables,
            )
        except TooManyRequests as error:
            wait = error.retry_after
            if not tries_left or wait is None or wait > LONGEST_WAIT:
                raise
            complain(str(error), f"trying again in {wait:.0f} s")
        await asyncio.sleep(wait)
    raise AssertionError("unreachable")


def _pairs(option: str, given: Sequence[str]) -> dict[str, str] | None:
    parted = [each.partition("=") for each in given]
    for name, mark, value in parted:
        if not name or not mark:
            raise ConfigError(f"{option}: {show(name + mark + value)} is not NAME=VALUE")
    return {name: value for name, _, value in parted} or None


def audio_url(api_url: str) -> str:
    """Return where the calls of a REST API are joined: on the same host, under the same path."""
    return f"ws{api_url.removeprefix('http').rstrip('/')}/audio-websocket"
