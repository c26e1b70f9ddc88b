"""What the server knows about a finished call, as the closing lines and JSON."""

from __future__ import annotations

import asyncio
from dataclasses import fields
from urllib.parse import urlsplit

from retell_voice.errors import ConnectError, RetellVoiceError
from retell_voice.program import stdout
from retell_voice.program.failure import complain
from retell_voice.program.signals import Interrupts
from retell_voice.recording import jsonl
from retell_voice.rest import CallDetails, get_call
from retell_voice.secret import hiding, mask
from retell_voice.settings.load import find_key
from retell_voice.settings.schema import DEFAULT
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import clean, clock

LOOKUP_TIMEOUT = 5.0
"""Seconds the program waits for the details at most."""
_PAUSE = 0.5
_FINAL = ("ended", "error")


def key_for(settings: TalkSettings) -> str | None:
    """Return the API key to look a call up with; None if ``--api-url`` does not know the call."""
    hosts = {urlsplit(each.value).hostname for each in (settings.url, settings.api_url)}
    named = settings.agent.value or settings.api_url.source != DEFAULT
    if settings.local.value or not (named or len(hosts) == 1):
        return None
    return find_key(settings.api_key).value


def tell(call_id: str, key: str, settings: TalkSettings, interrupts: Interrupts) -> None:
    """Look up a call that has just ended, and print the result; a failure is only a warning.

    Ctrl-C stops waiting.
    """
    try:
        details = asyncio.run(_look_up(call_id, key, settings.api_url.value, interrupts))
    except asyncio.CancelledError:
        return
    except RetellVoiceError as error:
        if settings.json.value:
            stdout.say(jsonl.to_json({"event": "call_details", "error": jsonl.error_object(error)}))
        complain(f"no details of the call: {error}", error.hint)
        return
    if settings.json.value:
        stdout.say(to_json(details))
    else:
        stdout.say("\n".join(f"       {line}" for line in lines(details)))


async def _look_up(call_id: str, key: str, api_url: str, interrupts: Interrupts) -> CallDetails:
    task = asyncio.create_task(_final(call_id, key, api_url))
    interrupts.ask(asyncio.get_running_loop(), task.cancel)
    return await task


async def _final(call_id: str, key: str, api_url: str) -> CallDetails:
    """Return the details once the server knows that the call is over, or as they are in the end."""
    details: CallDetails | None = None
    try:
        async with asyncio.timeout(LOOKUP_TIMEOUT):
            while details is None or details.status not in _FINAL:
                if details is not None:
                    await asyncio.sleep(_PAUSE)
                details = await get_call(
                    call_id, api_key=key, api_url=api_url, timeout=LOOKUP_TIMEOUT
                )
    except TimeoutError:
        if details is None:
            host = urlsplit(api_url).hostname
            raise ConnectError(
                f"network: {host} did not answer within {LOOKUP_TIMEOUT:g} s"
            ) from None
    return details


def lines(details: CallDetails) -> list[str]:
    """Return the details, for people."""
    figures = [details.disconnection_reason or details.status]
    if details.duration is not None:
        figures.append(f"length {clock(details.duration)}")
    if details.latency is not None:
        figures.append(f"the agent answered after {details.latency:.1f} s (median)")
    if details.cost is not None:
        figures.append(f"cost ${details.cost / 100:.2f}")
    said = [f"according to the server: {', '.join(figures)}"]
    if details.summary:
        said.append(f"summary: {details.summary}")
    judged = [details.sentiment and f"user sentiment: {details.sentiment}"]
    if details.successful is not None:
        judged.append("successful" if details.successful else "not successful")
    if any(judged):
        said.append(", ".join(filter(None, judged)))
    return [clean(hiding((details.call_id,))(each)) for each in said]


def to_json(details: CallDetails) -> str:
    """Return the details as one line of JSON, without anything that lets others join or listen."""
    shown = {each.name: getattr(details, each.name) for each in fields(details)}
    shown["call_id"] = mask(details.call_id)
    for name in ("body", "recording_url"):
        del shown[name]
    line = jsonl.to_json({"event": "call_details", **shown, "error": None})
    return hiding((details.call_id,))(line)
