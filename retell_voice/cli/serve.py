"""``retell-voice emulator``: Retell's side of calls, as a server."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.cli.console import Console
from retell_voice.emulator import CallerMalformed, Emulator, ServerEvent
from retell_voice.errors import ConfigError
from retell_voice.program.emulator import RunningEmulator, run_emulator
from retell_voice.program.realtime import freeze_memory
from retell_voice.program.signals import Interrupts
from retell_voice.program.writer import LineWriter
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.shown import clean


def serve(settings: EmulatorSettings) -> int:
    """Run the emulator until a signal ends it, and return the exit code.

    Raises:
        ConfigError: a setting cannot be used, or listening on the address fails.
    """
    writer = LineWriter()
    with Interrupts(lambda: None) as interrupts:
        try:
            asyncio.run(_serve(settings, interrupts, writer))
        finally:
            writer.close()
        if writer.failure is not None:
            why = writer.failure
            raise ConfigError(f"the output could not be written: {why.strerror or why}")
        return interrupts.exit_code


async def _serve(settings: EmulatorSettings, interrupts: Interrupts, writer: LineWriter) -> None:
    loop = asyncio.get_running_loop()
    serving = asyncio.create_task(_until_cancelled(settings, writer))
    interrupts.ask(loop, serving.cancel)
    over = False

    def gone() -> None:
        nonlocal over
        over = True
        serving.cancel()

    def unwritable() -> None:
        with suppress(RuntimeError):  # the loop has closed
            loop.call_soon_threadsafe(gone)

    writer.open(unwritable)
    try:
        await serving
    except asyncio.CancelledError:
        if interrupts.received is None and not over:
            raise


async def _until_cancelled(settings: EmulatorSettings, writer: LineWriter) -> None:
    telling: asyncio.Task[None] | None = None
    try:
        async with run_emulator(settings) as running:
            writer.put(banner(running, settings))
            freeze_memory()
            console = Console(running.emulator, _audio(settings), writer.put)
            telling = asyncio.create_task(_tell(running.emulator, console, writer))
            if settings.llm.value:
                console.listen()
            typing = asyncio.create_task(console.run())
            try:
                await asyncio.wait({telling, typing}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                typing.cancel()
                with suppress(asyncio.CancelledError):
                    await typing
    finally:
        if telling is not None:
            await telling  # its last lines


def _audio(settings: EmulatorSettings) -> AudioFormat:
    return AudioFormat(Encoding(settings.encoding.value), settings.rate.value)


def banner(running: RunningEmulator, settings: EmulatorSettings) -> str:
    """Return where it listens and how to use it."""
    emulator = running.emulator
    key = "API_KEY" if settings.api_key.value else "any"
    audio = f'"audio_encoding":"{settings.encoding.value}","sample_rate":{settings.rate.value}'
    agent = next(iter(settings.agents.value or ()), "parrot")
    body = f'{{"agent_id":"{agent}","audio_websocket_protocol":"web",{audio}}}'
    default = TalkSettings()
    given = [
        f"--{name} {getattr(settings, name).value}"
        for name in ("encoding", "rate")
        if getattr(settings, name).value != getattr(default, name).value
    ]
    api_key = "RETELL_API_KEY=…" if settings.api_key.value else "RETELL_API_KEY=any"
    web_call = (
        "talk to it in a web call:",
        f"  {api_key} retell-voice talk --agent {agent} --api-url {emulator.api_url}",
    )
    is_provider = settings.accept_any.value and settings.dialect.value != "web"
    return "\n".join(
        (
            f"the emulator listens at {emulator.api_url}{_reach(settings.host)}; Ctrl-C stops it",
            *running.engines,
            *(_provider_call(settings, emulator.url) if is_provider else ()),
            *(web_call if emulator.can_web_calls else ()),
            "register a call:",
            f"  curl -s {emulator.api_url}/register-call -H 'Authorization: Bearer {key}' \\",
            f"    -H 'Content-Type: application/json' -d '{body}'",
            "and talk to it:",
            " ".join(("  retell-voice talk --url", emulator.url, *given, "CALL_ID")),
            *(["or type what a caller says; /help"] if settings.llm.value else []),
            "",
        )
    )


def _provider_call(settings: EmulatorSettings, url: str) -> tuple[str, ...]:
    dialect, rate = settings.dialect.value, settings.rate.value
    codec = "PCMU" if settings.encoding.value == "mulaw" else f"L16/{rate}"
    chosen = "" if dialect == "twilio" else f" --codec {codec}"  # which has one only
    return (
        f"call it as {dialect} would, under any call_id:",
        f"  retell-voice talk --dialect {dialect}{chosen} --url {url}/any",
    )


def _reach(host: Sourced[str]) -> str:
    every = host.value in ("", "0.0.0.0", "::")  # noqa: S104 - told, not chosen
    return " and all other addresses of this machine" if every else ""


async def _tell(emulator: Emulator, console: Console, writer: LineWriter) -> None:
    last = None
    async for server_event in emulator.events:
        # A caller in another dialect has every one of its frames refused, fifty a second.
        malformed = isinstance(server_event, CallerMalformed)
        told = (server_event.call, str(server_event)) if malformed else None
        if told is None or told != last:
            writer.put(line(server_event))
        last = told or last
        console.happened(server_event)


def line(server_event: ServerEvent) -> str:
    """Return a server event as one line."""
    return clean(f"call {server_event.call}  {server_event.at:6.1f} s  {server_event}")
