"""``retell-voice emulator``: Retell's side of calls, as a server."""

from __future__ import annotations

import asyncio
import os
import sys

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.cli.signals import Interrupts
from retell_voice.emulator import Emulator, Happening, ParrotSettings, parrot_agent
from retell_voice.errors import ConfigError
from retell_voice.tables import EmulatorSettings, TalkSettings


def local_emulator(*, interruptible: bool) -> Emulator:
    """Return an emulator with the parrot, for calls of this process."""
    return Emulator(agent=parrot_agent(ParrotSettings(interruptible=interruptible)))


def serve(settings: EmulatorSettings) -> int:
    """Run the emulator until a signal ends it, and return the exit code.

    Raises:
        ConfigError: the address cannot be listened on.
    """
    with Interrupts(lambda: None) as interrupts:
        asyncio.run(_serve(settings, interrupts))
        return interrupts.exit_code


async def _serve(settings: EmulatorSettings, interrupts: Interrupts) -> None:
    stop = asyncio.Event()
    interrupts.ask(asyncio.get_running_loop(), stop.set)
    emulator = Emulator(
        host=settings.host.value,
        port=settings.port.value,
        api_key=settings.api_key.value,
        prefix=settings.prefix.value,
        agent=parrot_agent(ParrotSettings(interruptible=settings.interruptible.value)),
        accept_any=settings.accept_any.value,
        audio=AudioFormat(Encoding(settings.encoding.value), settings.rate.value),
        expiry=settings.expiry.value,
        answer_pings=settings.answer_pings.value,
    )
    try:
        await emulator.__aenter__()
    except OSError as error:
        code = error.errno or 0
        # The system's own words: asyncio's name the address once more. Look-ups count below 0.
        why = os.strerror(code) if code > 0 else error.strerror
        host, port = settings.host, settings.port
        raise ConfigError(
            f"cannot listen on {host.value} port {port.value}: {why}",
            f"--port 0 takes any free one (host: {host.source}, port: {port.source})",
        ) from None
    try:
        print(banner(emulator, settings), flush=True)
        telling = asyncio.create_task(_tell(emulator))
        stopping = asyncio.create_task(stop.wait())
        await asyncio.wait({telling, stopping}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        await emulator.__aexit__(None, None, None)
    stopping.cancel()
    await telling  # its last lines; raises BrokenPipeError when nobody reads them


def banner(emulator: Emulator, settings: EmulatorSettings) -> str:
    """Return where it listens and how to use it."""
    key = "API_KEY" if settings.api_key.value else "any"
    audio = f'"audio_encoding":"{settings.encoding.value}","sample_rate":{settings.rate.value}'
    body = f'{{"agent_id":"parrot","audio_websocket_protocol":"web",{audio}}}'
    default = TalkSettings()
    given = [
        f"--{name} {getattr(settings, name).value}"
        for name in ("encoding", "rate")
        if getattr(settings, name).value != getattr(default, name).value
    ]
    return "\n".join(
        (
            f"the emulator listens at {emulator.api_url}; Ctrl-C stops it",
            "register a call:",
            f"  curl -s {emulator.api_url}/register-call -H 'Authorization: Bearer {key}' \\",
            f"    -H 'Content-Type: application/json' -d '{body}'",
            "and talk to it:",
            " ".join(("  retell-voice talk --url", emulator.url, *given, "CALL_ID")),
            "",
        )
    )


async def _tell(emulator: Emulator) -> None:
    async for happening in emulator.events:
        print(line(happening), flush=True)


def line(happening: Happening) -> str:
    """Return a happening as one line."""
    encoding = sys.stdout.encoding or "ascii"
    text = f"call {happening.call}  {happening.at:6.1f} s  {happening}"
    return " ".join(text.split("\n")).encode(encoding, "replace").decode(encoding)
