"""``retell-voice monitor``: what is said in an ongoing call."""

from __future__ import annotations

import asyncio
import shutil
from abc import ABC, abstractmethod
from contextlib import suppress

from retell_voice.cli.account import as_json, call_id_given
from retell_voice.cli.live_transcript import LiveTranscript
from retell_voice.errors import (
    CallFailed,
    ConnectError,
    KeyRefused,
    Rejected,
    RestError,
    RetellVoiceError,
)
from retell_voice.events import Event, MonitorChanged, Transcript
from retell_voice.program import stdout
from retell_voice.program.account import Account, account, api_key, is_over, key_from
from retell_voice.program.failure import complain
from retell_voice.program.signals import Interrupts
from retell_voice.protocol.monitor import NOT_LIVE, CallEnded
from retell_voice.recording import jsonl
from retell_voice.rest import CallDetails
from retell_voice.secret import mask
from retell_voice.settings.tables.call import LookupSettings
from retell_voice.shown import clean
from retell_voice.transport.monitor import Monitor

_KEY_REFUSED = {4001: 401, 4003: 403, 4401: 401, 4403: 403}
_UNREACHABLE = 4999  # as ``Monitor`` has it
_ERASE = "\r\x1b[K"


def monitor(settings: LookupSettings, given: str) -> int:
    """Print what is said until the call is over or a signal comes; return the exit code.

    Raises:
        ConfigError: there is no key, or no call is named.
        ConnectError: the server was not reached.
        Rejected: it does not allow monitoring this call.
        CallFailed: the connection was lost for good.
        KeyRefused, NotFound: as documented.
    """
    key = api_key(settings, "monitor calls")
    output = output_of(as_json=as_json(settings))
    with key_from(key), Interrupts(lambda: None) as interrupts:
        asyncio.run(_watch(account(settings, key), call_id_given(given), output, interrupts))
        return interrupts.exit_code


async def _watch(of: Account, wanted: str, output: Output, interrupts: Interrupts) -> None:
    watching = asyncio.create_task(_until_over(of, wanted, output))
    interrupts.ask(asyncio.get_running_loop(), watching.cancel)
    try:
        await watching
    except asyncio.CancelledError:
        if interrupts.received is None:
            raise
    finally:
        output.close()


async def _until_over(of: Account, wanted: str, output: Output) -> None:
    call_id = await of.call_id(wanted, ongoing=True)
    watched = Monitor(call_id, api_key=of.api_key, api_url=of.api_url)
    heard = ended = looked = False
    lost: MonitorChanged | None = None
    async for event in watched:
        heard |= isinstance(event, Transcript)
        ended |= isinstance(event, CallEnded)
        if watched.code == NOT_LIVE and not looked:
            looked = True
            await _check_not_over(of, call_id)
        if isinstance(event, MonitorChanged) and event.state == "lost":
            lost = event
        else:
            output.show(event)
    if lost is not None:
        raise _failure(watched.code or 1006, lost.why, heard=heard)
    if not ended:  # the server closed without a word about it
        output.show(CallEnded())


async def _check_not_over(of: Account, call_id: str) -> None:
    """Raise ``Rejected`` for a call that is over: it is in vain to wait for it to begin."""
    details: CallDetails | None = None
    with suppress(ConnectError, RestError):  # the monitor will tell
        details = await of.call(call_id)
    if details is not None and is_over(details):
        raise Rejected(
            f"server: call {mask(call_id)} is over", "`retell-voice call` shows what was said"
        )


def _failure(code: int, why: str, *, heard: bool) -> RetellVoiceError:
    """Return the error for a connection lost for good."""
    if status := _KEY_REFUSED.get(code):
        hint = "check the key, and that it has write permission for calls"
        return KeyRefused(f"server: the call cannot be monitored: {why}", hint, status=status)
    if 4000 <= code < _UNREACHABLE:
        return Rejected(f"server: the call cannot be monitored: {why}", code=code)
    if heard:
        return CallFailed(f"network: the transcript was lost: {why}", code=code)
    return ConnectError(f"network: {why}", "check --api-url and the network")


def output_of(*, as_json: bool) -> Output:
    """Return what shows events."""
    return JsonLines() if as_json else Page()


class Output(ABC):
    """Where events go."""

    @abstractmethod
    def show(self, event: Event) -> None:
        """Show an event."""

    @abstractmethod
    def remark(self, line: str) -> None:
        """Show a line that no event makes."""

    @abstractmethod
    def close(self) -> None:
        """Show what is left."""


class JsonLines(Output):
    """One JSON object per line."""

    def show(self, event: Event) -> None:
        stdout.say(jsonl.line(event))

    def remark(self, line: str) -> None:
        complain(line)

    def close(self) -> None:
        return


class Page(Output):
    """One line per entry; on a terminal, the last one grows while it is said."""

    def __init__(self) -> None:
        self._lines = LiveTranscript()
        self._is_terminal = stdout.is_terminal()
        self._drawn = ""

    def show(self, event: Event) -> None:
        self._put(self._lines.feed(event), self._lines.speaking)

    def remark(self, line: str) -> None:
        self._put([line], self._lines.speaking)

    def close(self) -> None:
        self._put(self._lines.end(), "")

    def _put(self, lines: list[str], speaking: str) -> None:
        growing = _end_of(speaking) if self._is_terminal else ""
        if not lines and growing == self._drawn:
            return
        text = "".join(f"{clean(line)}\n" for line in lines)
        text = f"{_ERASE * bool(self._drawn)}{text}{clean(growing)}"
        self._drawn = growing
        stdout.put(text)


def _end_of(line: str) -> str:
    """Return as much of the end of a line as fits on one terminal line."""
    from rich.cells import cell_len  # only for a terminal

    room = shutil.get_terminal_size().columns - 1
    if cell_len(line) <= room:
        return line
    while cell_len(line) >= room:
        line = line[max(1, (cell_len(line) - room) // 2) :]
    return f"…{line}"
