"""The kiosk's microphone and speaker: open all the time, and opened again where they were not."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from functools import partial

from retell_voice.audio.format import AudioFormat
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.ports import AdjustableBlocks
from retell_voice.errors import ConfigError, DeviceError, DeviceLost
from retell_voice.events import DeviceChanged, MicrophoneSilent
from retell_voice.kiosk.states import Event
from retell_voice.program.opening import audio_format, find_devices
from retell_voice.program.web_calls import is_web_call
from retell_voice.program.words import echo_hint
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.threads.detached import run_detached
from retell_voice.transport.webrtc.route import RATE

CAPTURE_MS, PLAYOUT_MS = 64 / 3, 32 / 3
"""Blocks of sound cards. A stream that is open all day costs less with fewer blocks: a frame takes
20 ms anyhow, while a sound waits for two blocks after a press. Powers of two in samples at 24 and
48 kHz: sound servers pass on such cycles, and wake whoever wants others twice for a block."""
_OPENING_SECONDS = 15.0
_LOST_SECONDS = 10.0
"""How long a call goes on without one of the devices."""
_NOT_OPEN = "the devices are not open"


def device_format(settings: KioskSettings) -> AudioFormat:
    """Return the format of its calls, as far as the settings tell; others are resampled."""
    return AudioFormat(rate=RATE) if is_web_call(settings) else audio_format(settings)


def devices_of(settings: KioskSettings) -> list[object]:
    """Return the values that devices are opened with."""
    names = (
        *("input", "input_file", "input_format", "input_loop"),
        *("output", "output_file", "output_format"),
        *("echo", "noise_suppression", "automatic_gain"),
    )
    return [device_format(settings), *(getattr(settings, name).value for name in names)]


class Devices:
    """Both devices, or why there are none.

    Args:
        settings: which ones, and how they are used; read anew at each opening.
        tell: is told that one is AWAY or BACK.
        warn: is told one line for people.
    """

    def __init__(
        self,
        settings: Callable[[], KioskSettings],
        tell: Callable[[Event], None],
        warn: Callable[[str], None],
    ) -> None:
        self.io: AudioIO | None = None
        """The open devices."""
        self._why = _NOT_OPEN
        self.hangs = 0
        """Times that opening them has hung: what hangs holds a thread, and cannot be closed."""
        self._settings = settings
        self._tell = tell
        self._warn = warn
        self._hinted = False
        self._watching: asyncio.Task[None] | None = None

    @property
    def away(self) -> str:
        """What is wrong with them, one line; empty while both are there."""
        return self._why if self.io is None else self.io.away

    async def open(self) -> None:
        """Open them, unless they are; returns when both work.

        Raises:
            DeviceError, ConfigError: they cannot be had now.
        """
        if self.io is None:
            try:
                async with asyncio.timeout(_OPENING_SECONDS):
                    self.io = await self._opened()
            except TimeoutError:
                self.hangs += 1
                self._why = "opening the devices hangs"
                raise DeviceError(self._why) from None
            except (DeviceError, ConfigError) as error:
                self._why = str(error)
                raise
            self._watching = asyncio.create_task(self._watch(self.io))
        if self.io.away:
            raise DeviceLost(self.io.away)

    def borrowed(self) -> AudioIO:
        """Return the open devices; raises DeviceLost, which says why they are not open."""
        if self.io is None:
            raise DeviceLost(self._why)
        return self.io

    async def close(self) -> None:
        """Close them; safe to call at any time."""
        io, self.io = self.io, None
        self._why = _NOT_OPEN
        watching, self._watching = self._watching, None
        if watching is not None:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
        if io is not None:
            await io.__aexit__(None, None, None)

    async def _opened(self) -> AudioIO:
        settings = self._settings()
        audio = device_format(settings)
        microphone, speaker = await run_detached(partial(find_devices, settings, audio))
        for device, block_ms in ((microphone, CAPTURE_MS), (speaker, PLAYOUT_MS)):
            if isinstance(device, AdjustableBlocks):
                device.suggest_block(block_ms)
        io = await run_detached(
            partial(
                AudioIO,
                microphone,
                speaker,
                rate=audio.rate,
                volume=settings.volume.value / 100,
                device_timeout=_LOST_SECONDS,
                echo=settings.echo.value,
                noise_suppression=settings.noise_suppression.value,
                automatic_gain=settings.automatic_gain.value,
                rests=True,
            )
        )
        try:
            await io.__aenter__()
        except BaseException:  # half open; what hangs must not be waited for
            run_detached(io.close)
            raise
        if not self._hinted and (hint := echo_hint(io.echo.choice)):
            self._hinted = True
            self._warn(hint)
        return io

    async def _watch(self, io: AudioIO) -> None:
        async for event in io:
            match event:
                case DeviceChanged(state="lost"):
                    self._warn(f"{event.name}: {event.why}")
                    self._tell(Event.AWAY)
                case DeviceChanged(state="back"):
                    self._warn(f"{event.name} is back")
                    if not io.away:
                        self._tell(Event.BACK)
                case MicrophoneSilent():
                    self._warn(f"{event.name} delivers digital silence: is it muted?")
