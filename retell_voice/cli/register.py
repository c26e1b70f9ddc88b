"""``retell-voice register``: register a call with an agent, for another program to join."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Sequence

from retell_voice.errors import TooManyRequests
from retell_voice.program import stdout
from retell_voice.program.attempts import telling_attempts
from retell_voice.program.call_fields import CallFields, call_fields
from retell_voice.program.failure import complain, remark
from retell_voice.program.registration import audio_url, registration_key
from retell_voice.program.registration import register as register_from
from retell_voice.program.signals import Interrupts
from retell_voice.rest import Registration
from retell_voice.secret import mask_url
from retell_voice.settings.tables.call import RegisterSettings, RegistrationSettings
from retell_voice.shown import escape_json


def register(
    settings: RegisterSettings, *, metadata: Sequence[str], variables: Sequence[str]
) -> int:
    """Register a call, print its call_id and return the exit code; arguments as ``call_fields``.

    Raises:
        RetellVoiceError: as ``call_fields`` and ``registered``.
    """
    call = registered(settings, call_fields(settings, metadata, variables))
    url = audio_url(settings.api_url.value)
    # The file and the environment set JSON for talk, which reads this on a pipe.
    if settings.json.value and settings.json.is_flag:
        shown = {
            "call_id": call.call_id,
            "agent_id": call.agent_id,
            "encoding": str(call.audio.encoding),
            "rate": call.audio.rate,
            "url": url,
            "body": call.body,
        }
        stdout.say(escape_json(json.dumps(shown)))
        return 0
    stdout.say(call.call_id)
    if stdout.is_terminal():
        audio = f"--encoding {call.audio.encoding} --rate {call.audio.rate}"
        remark(f"talk with it:\n  retell-voice talk --url {url} {audio} -")
    return 0


def registered(settings: RegistrationSettings, told: CallFields) -> Registration:
    """Register a call with ``settings.agent``; a signal ends the program.

    Args:
        settings: agent, server and format.
        told: fields of the new call.

    Raises:
        ConfigError: there is no agent or no key.
        ConnectError, RestError: as ``register_call``.
    """
    key = registration_key(settings)
    if sys.stderr is not None and sys.stderr.isatty():
        where = mask_url(settings.api_url.value)
        remark(f"registering a call with {settings.agent.value} at {where}")
    with telling_attempts(complain), Interrupts(lambda: None) as interrupts:
        work = register_from(settings, key, told, waiting=tell_wait)
        call = asyncio.run(interrupts.opening(work, lambda: None))
        if interrupts.received is not None:  # too late to cancel, but it counts
            raise SystemExit(128 + interrupts.received)
        return call


def tell_wait(error: TooManyRequests, seconds: float) -> None:
    """Say on standard error why a request waits, and for how long."""
    complain(str(error), f"trying again in {seconds:.0f} s")
