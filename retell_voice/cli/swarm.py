"""``retell-voice swarm``: many calls at once to one server."""

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from retell_voice import private
from retell_voice.audio.format import Samples
from retell_voice.cli.phone import PhoneCall, phone_call
from retell_voice.cli.swarm_calls import RegisteredPart
from retell_voice.devices.files import read_wav
from retell_voice.emulator.recordings import CALLER
from retell_voice.errors import ConfigError
from retell_voice.net.http import is_local
from retell_voice.program import failure, stdout
from retell_voice.program.opening import host_of
from retell_voice.program.realtime import freeze_memory, set_switch_interval
from retell_voice.program.registration import audio_url, registration_key
from retell_voice.program.signals import Interrupts
from retell_voice.program.web_calls import check_options, is_web_call, require_packages
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import clean, escape_json
from retell_voice.swarm.caller import Manners
from retell_voice.swarm.figures import Figures
from retell_voice.swarm.part import AnyPart, Part
from retell_voice.swarm.swarm import Moment, Plan, Swarm
from retell_voice.swarm.words import are_unknown, check_page, page, progress, rows, verdict


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

    @property
    def plan(self) -> Plan:
        """How the swarm goes."""
        return Plan(self.calls, self.ramp, Manners(self.answer_timeout))


def swarm(settings: TalkSettings, wanted: Wanted, parameters: Sequence[str] = ()) -> int:
    """Call, tell, and return the exit code.

    Args:
        settings: whom and how, as ``talk`` has them.
        wanted: how many, and where the results go.
        parameters: ``NAME=VALUE`` each.

    Raises:
        RetellVoiceError: nothing could be called.
    """
    phone = phone_call(settings, parameters)
    web = phone is None and is_web_call(settings)
    if phone is not None and settings.transport.is_flag:
        raise ConfigError(f"{settings.transport.source} is for calls without --dialect")
    for number in (settings.from_number, settings.to_number):
        if phone is None and number.is_flag:
            raise ConfigError(f"{number.source} goes with --dialect: no other call tells it")
    if wanted.page is not None:
        check_page(wanted.page)
    part: AnyPart
    if web or (phone is None and settings.agent.value is not None):
        if web:
            check_options(settings)
        key = registration_key(settings)
        if web and wanted.dask is None:  # else they are the workers'
            require_packages(settings.agent.value or "")
        settings = settings if web else _joined_where_registered(settings)
        part = RegisteredPart(settings, key, _part(settings, wanted, phone))
    else:
        if phone is None and settings.url.source == DEFAULT:
            raise ConfigError(
                "there is no server to call: give --url, or --agent",
                "for example: --dialect twilio --url ws://localhost:8765/ws",
            )
        part = _part(settings, wanted, phone)
    host = host_of(settings.api_url if web else settings.url)
    moments: list[Moment] = []
    if wanted.dask is not None:
        from retell_voice.swarm.dask import run_on  # an extra

        figures, code = run_on(wanted.dask, part), 0
    else:
        figures, moments, code = _run(part.swarm)
    _tell(figures, moments, wanted, f"{wanted.calls} calls to {host}")
    _advise(figures, part)
    return code or figures.exit_code


def _joined_where_registered(settings: TalkSettings) -> TalkSettings:
    """Return the settings with the URL at which registered calls are joined, as in talk."""
    if settings.agent.value and settings.dialect.value == "web" and settings.url.source == DEFAULT:
        api = settings.api_url
        return replace(settings, url=Sourced(audio_url(api.value), api.source))
    return settings


def _voice(settings: TalkSettings) -> tuple[Samples, int]:
    (file, *more) = settings.input_file.value or (CALLER,)
    if more:
        raise ConfigError(
            f"{settings.input_file.source}: callers of a swarm say one file, not {1 + len(more)}",
            "join them: sox one.wav two.wav both.wav",
        )
    return read_wav(os.path.expanduser(file))


def _part(settings: TalkSettings, wanted: Wanted, phone: PhoneCall | None) -> Part:
    samples, rate = _voice(settings)
    return Part(
        url=settings.url.value,
        dialect=settings.dialect.value,
        plan=wanted.plan,
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


def _run(
    swarm_of: Callable[[Callable[[Moment], None]], Swarm],
) -> tuple[Figures, list[Moment], int]:
    set_switch_interval()
    shown = sys.stderr is not None and sys.stderr.isatty()

    def tell(moment: Moment) -> None:
        if shown:
            failure.progress(progress(moment, calls.figures))

    calls = swarm_of(tell)
    with Interrupts(lambda: None) as interrupts:
        asyncio.run(_hold(calls, interrupts))
        if shown:
            failure.remark("")
        return calls.figures, calls.moments, interrupts.exit_code


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
        failure.complain(why, "fewer --calls, or more machines (--dask)")
    if wanted.page is not None:
        private.write(wanted.page, page(figures, moments, title).encode())


def _advise(figures: Figures, part: AnyPart) -> None:
    if isinstance(part, Part) and are_unknown(figures) and is_local(part.url):
        failure.complain(
            "the server knows none of these calls: their call_ids are made up",
            "the emulator takes unregistered calls with --accept-any",
        )
