"""``retell-voice swarm``: many calls at once to one server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retell_voice.cli.phone import phone_call
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER
from retell_voice.errors import ConfigError
from retell_voice.program import private, stdout
from retell_voice.program.call_fields import NOTHING
from retell_voice.program.failure import complain
from retell_voice.program.opening import host_of
from retell_voice.program.realtime import freeze_memory, set_switch_interval
from retell_voice.program.registration import audio_url, register, registration_key
from retell_voice.program.signals import Interrupts
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables import TalkSettings
from retell_voice.shown import clean, escape_json
from retell_voice.swarm.caller import Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.part import Part
from retell_voice.swarm.swarm import Moment, Plan, Swarm
from retell_voice.swarm.words import page, progress, rows, verdict

FAILED = 6
"""Exit code where calls failed."""


@dataclass(frozen=True)
class Wanted:
    """What is asked for beside the settings.

    Attributes:
        calls: how many.
        ramp: seconds over which they are dialled.
        answer_timeout: seconds that a caller waits for its last answer.
        as_json: print one object.
        page: where a page goes.
        dask: address of a scheduler whose workers call.
    """

    calls: int
    ramp: float
    answer_timeout: float
    as_json: bool = False
    page: Path | None = None
    dask: str | None = None


def swarm(settings: TalkSettings, wanted: Wanted, parameters: Sequence[str] = ()) -> int:
    """Call, tell, and return the exit code.

    Args:
        settings: whom and how, as ``talk`` has them.
        wanted: how many, and where the results go.
        parameters: ``NAME=VALUE`` each.

    Raises:
        RetellVoiceError: nothing could be called.
    """
    if settings.agent.value and settings.dialect.value == "web" and settings.url.source == DEFAULT:
        api = settings.api_url  # calls are joined where they are registered, as in talk
        settings = replace(settings, url=Sourced(audio_url(api.value), api.source))
    part = _part(settings, wanted, parameters)
    moments: list[Moment] = []
    if wanted.dask is not None:
        if settings.agent.value:
            raise ConfigError("--dask: workers register no calls: leave --agent out")
        from retell_voice.swarm.dask import run_on  # an extra

        figures = run_on(wanted.dask, part)
        code = 0
    else:
        figures, moments, code = _run(settings, part)
    _tell(figures, moments, wanted, f"{wanted.calls} calls to {host_of(settings.url)}")
    return code or (FAILED if figures.failures or not figures.held else 0)


def _part(settings: TalkSettings, wanted: Wanted, parameters: Sequence[str]) -> Part:
    phone = phone_call(settings, parameters)
    if phone is None and settings.url.source == DEFAULT:
        raise ConfigError(
            "there is no server to call: give --url",
            "for example: retell-voice swarm --dialect twilio --url ws://localhost:8765/ws",
        )
    samples, rate = read_wav(os.path.expanduser(settings.input_file.value or CALLER))
    return Part(
        url=settings.url.value,
        dialect=settings.dialect.value,
        plan=Plan(wanted.calls, wanted.ramp, Manners(wanted.answer_timeout)),
        samples=samples,
        rate=rate,
        encoding=settings.encoding.value,
        call_rate=settings.rate.value,
        codec=settings.codec.value,
        from_number=settings.from_number.value,
        to_number=settings.to_number.value,
        parameters={} if phone is None else phone.parameters,
        strict=settings.strict.value,
        auth_token=settings.auth_token.value,
    )


def _run(settings: TalkSettings, part: Part) -> tuple[Figures, list[Moment], int]:
    set_switch_interval()
    shown = sys.stderr is not None and sys.stderr.isatty()

    def tell(moment: Moment) -> None:
        if shown:
            sys.stderr.write(f"\r\x1b[K{clean(progress(moment, calls.figures))}")
            sys.stderr.flush()

    calls = part.swarm(tell, _registering(settings))
    with Interrupts(lambda: None) as interrupts:
        asyncio.run(_hold(calls, interrupts))
        if shown:
            sys.stderr.write("\n")
        return calls.figures, calls.moments, interrupts.exit_code


def _registering(settings: TalkSettings) -> Callable[[], Awaitable[str]] | None:
    if not settings.agent.value:
        return None
    key = registration_key(settings)

    async def call_id() -> str:
        return (await register(settings, key, NOTHING)).call_id

    return call_id


async def _hold(calls: Swarm, interrupts: Interrupts) -> None:
    interrupts.ask(asyncio.get_running_loop(), calls.stop)
    freeze_memory()
    await calls.run()


def _tell(figures: Figures, moments: list[Moment], wanted: Wanted, title: str) -> None:
    if wanted.as_json:
        stdout.say(escape_json(json.dumps({"at": time.time(), **figures.shown()})))
    else:
        stdout.say("\n".join(clean(f"{name:<26}{value}") for name, value in rows(figures)))
    if why := verdict(figures):
        complain(why, "fewer --calls, or more machines (--dask)")
    if wanted.page is not None:
        private.write(wanted.page, page(figures, moments, title).encode())
