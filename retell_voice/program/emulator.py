"""An emulator made from the settings: its agent, and its ASR and TTS engines."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, cast

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.devices.sound_files.opening import is_pipe
from retell_voice.emulator import Agent, Emulator, ParrotSettings, parrot_agent, webhooks
from retell_voice.emulator.after_call import AfterCall, parse_analysis
from retell_voice.emulator.request_faults import parse_refusals
from retell_voice.errors import ConfigError, show
from retell_voice.program.failure import remark
from retell_voice.program.limits import require_files
from retell_voice.protocol.llm import llm_url
from retell_voice.settings.schema import DEFAULT, Sourced
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.threads.detached import run_detached

if TYPE_CHECKING:  # slow to import
    from retell_voice.emulator import Engines


@dataclass(frozen=True)
class RunningEmulator:
    """A running emulator.

    Attributes:
        emulator: the emulator.
        engines: the ASR and TTS engines, one line each; empty for the parrot, which needs none.
    """

    emulator: Emulator
    engines: tuple[str, ...] = ()


@asynccontextmanager
async def run_emulator(settings: EmulatorSettings) -> AsyncIterator[RunningEmulator]:
    """Run an emulator for the length of the block.

    Raises:
        ConfigError: a setting cannot be used, or listening on the address fails.
    """
    require_files()
    async with AsyncExitStack() as stack:
        agent, engines = await _agent(settings, stack)
        emulator = Emulator(
            host=settings.host.value,
            port=settings.port.value,
            api_key=settings.api_key.value,
            prefix=settings.prefix.value,
            agent=agent,
            agents=settings.agents.value,
            accept_any=settings.accept_any.value,
            dialect=settings.dialect.value,
            audio=AudioFormat(Encoding(settings.encoding.value), settings.rate.value),
            expiry=settings.expiry.value,
            answer_pings=settings.answer_pings.value,
            max_calls=settings.max_calls.value,
            webhook_url=settings.webhook_url.value,
            webhook_events=_read(settings.webhook_events, webhooks.parse_events),
            webhook_timeout=settings.webhook_timeout_ms.value / 1000,
            request_faults=_read(settings.refuse, parse_refusals) or (),
            after_call=AfterCall(
                recording_url=settings.recording_url.value,
                public_log_url=settings.public_log_url.value,
                call_analysis=_read(settings.call_analysis, parse_analysis),
            ),
            allowed_hosts=settings.allowed_hosts.value.replace(",", " ").split(),
            auth_token=settings.auth_token.value,
        )
        try:
            await stack.enter_async_context(emulator)
        except OSError as error:
            code = error.errno or 0
            # The system's own words: asyncio's repeat the address. Lookup errors are negative.
            why = os.strerror(code) if code > 0 else error.strerror
            host, port = settings.host, settings.port
            another = "--port 0 takes any free one"
            if host.source != DEFAULT or port.source != DEFAULT:
                another += f" (the host is from {host.source}, the port from {port.source})"
            no_host = f"give an address of this machine; this one is from {host.source}"
            raise ConfigError(
                f"cannot listen on {host.value} port {port.value}: {why}",
                no_host if code < 0 or code == errno.EADDRNOTAVAIL else another,
            ) from None
        yield RunningEmulator(emulator, engines)


def _read(setting: Sourced[Any], parse: Callable[[str], Any]) -> Any:
    """Parse a setting that is a text with its own syntax."""
    if setting.value is None:
        return None
    try:
        return parse(setting.value)
    except ValueError as error:
        raise ConfigError(f"{setting.source}: {show(setting.value)}: {error}") from None


def for_local_call(talk: TalkSettings, emulator: EmulatorSettings) -> EmulatorSettings:
    """Return the emulator's settings for a call within this process."""
    return replace(
        emulator,
        host=Sourced("127.0.0.1"),
        port=Sourced(0),
        prefix=Sourced(""),
        webhook_url=Sourced(None),
        refuse=Sourced(None),
        **{
            name: given
            for name in ("llm", "scenario", "interruptible")
            if (given := getattr(talk, name)).source != "default"
        },
    )


def _refuse_what_has_no_effect(settings: EmulatorSettings) -> None:
    for names, wanted, words, hint in (
        (
            ("webhook_events", "webhook_timeout_ms"),
            settings.webhook_url.value,
            "is for webhooks, and they go nowhere",
            "give --webhook-url, too",
        ),
        (
            ("dialect",),
            settings.accept_any.value,
            "is for calls that nobody registered, and none of those is accepted",
            "give --accept-any, too",
        ),
    ):
        for given in (getattr(settings, name) for name in names):
            if given.is_flag and not wanted:
                raise ConfigError(f"{given.source} {words}", hint)


def check(settings: EmulatorSettings) -> None:
    """See that an agent can be made of the settings, before anything is opened for it.

    Raises:
        ConfigError: it cannot.
    """
    _check_options(settings)
    scenario = settings.scenario.value
    if scenario and not is_pipe(file := os.path.expanduser(scenario)):
        from retell_voice.emulator.scenario import scenario_agent  # others need none of it

        scenario_agent(file)


def _check_options(settings: EmulatorSettings) -> None:
    _refuse_what_has_no_effect(settings)
    llm, scenario = settings.llm, settings.scenario
    if llm.value and scenario.value:
        raise ConfigError(f"{llm.source} and {scenario.source} both set the agent: give only one")
    kind = "--llm" if llm.value else "--scenario" if scenario.value else "the parrot"
    for name, agents in _FOR.items():
        given = getattr(settings, name)
        if given.is_flag and kind not in agents:
            raise ConfigError(
                f"{given.source} is for an agent of {' or '.join(agents)}, not for {kind}",
                "leave it out: it would have no effect",
            )
    if not settings.tts.value == settings.asr.value == "auto":
        from retell_voice.emulator.speech.engines import check_names  # as below

        check_names(settings.tts.value, settings.asr.value)  # even if they are not used
    if llm.value:
        try:
            llm_url(llm.value, "call")
        except ConfigError as error:
            raise ConfigError(f"{llm.source}: {error}", error.hint) from None


async def _agent(
    settings: EmulatorSettings, stack: AsyncExitStack
) -> tuple[Agent, tuple[str, ...]]:
    _check_options(settings)
    llm, scenario = settings.llm, settings.scenario
    if llm.value:
        return await _llm_agent(llm.value, settings, stack)
    if scenario.value:
        return await _scenario_agent(scenario.value, settings, stack)
    return parrot_agent(ParrotSettings(interruptible=settings.interruptible.value)), ()


_FOR = {
    **dict.fromkeys(
        (
            "asr",
            "detector",
            "endpoint_ms",
            "barge_in_ms",
            "begin_message_delay_ms",
            "reminder_trigger_ms",
            "reminder_max_count",
            "end_call_after_silence_ms",
        ),
        ("--llm",),
    ),
    "tts": ("--llm", "--scenario"),
    "interruptible": ("--llm", "the parrot"),
}
"""Settings of the agent, and of which agents."""


async def _llm_agent(
    url: str, settings: EmulatorSettings, stack: AsyncExitStack
) -> tuple[Agent, tuple[str, ...]]:
    # Imported here: the parrot needs none of it.
    from retell_voice.emulator.dialogue.settings import DialogueSettings
    from retell_voice.emulator.llm.agent import llm_agent
    from retell_voice.emulator.speech.neural import DetectorKind

    dialogue = DialogueSettings(
        endpoint_ms=settings.endpoint_ms.value,
        barge_in_ms=settings.barge_in_ms.value,
        begin_message_delay_ms=settings.begin_message_delay_ms.value,
        reminder_trigger_ms=settings.reminder_trigger_ms.value,
        reminder_max_count=settings.reminder_max_count.value,
        end_call_after_silence_ms=settings.end_call_after_silence_ms.value,
        interruptible=settings.interruptible.value,
    )
    engines = await _open_engines(settings.tts.value, settings.asr.value, stack)
    agent = llm_agent(
        url, engines, dialogue, detector=cast("DetectorKind", settings.detector.value)
    )
    return agent, engines.describe()


async def _scenario_agent(
    path: str, settings: EmulatorSettings, stack: AsyncExitStack
) -> tuple[Agent, tuple[str, ...]]:
    from retell_voice.emulator.scenario import scenario_agent

    engines = await _open_engines(settings.tts.value, "none", stack)
    tts, _ = engines.describe()  # a scenario needs no ASR
    file = os.path.expanduser(path)  # noqa: ASYNC240 - looks at a variable only
    # On a thread: a file may stand still, as a pipe does.
    agent = await run_detached(partial(scenario_agent, file, tts=engines.tts))
    return agent, (tts,)


async def _open_engines(tts: str, asr: str, stack: AsyncExitStack) -> Engines:
    from retell_voice.emulator.speech.engines import open_engines

    if sys.stderr is not None and sys.stderr.isatty():  # it takes seconds
        remark("loading the speech engines")
    return await stack.enter_async_context(open_engines(tts, asr))
