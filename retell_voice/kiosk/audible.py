"""What is heard of a kiosk, and whether it hears: kept from one pair of devices to the next."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from pathlib import Path

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import resample_whole
from retell_voice.devices.audio_io import AudioIO
from retell_voice.devices.files import read_wav
from retell_voice.errors import ConfigError
from retell_voice.kiosk.devices import Devices
from retell_voice.kiosk.sounds import Sounds, load
from retell_voice.kiosk.states import Say
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.shown import logger
from retell_voice.threads.detached import run_detached

_LOWEST_RATE = 8000
_LONGEST_SOUND = 10_000_000
"""Bytes of a file that is played when someone asks for it."""

_logger = logger("retell_voice.kiosk")


class Audible:
    """Sounds, volume and mute of whichever devices are open.

    Args:
        devices: the kiosk's.
        volume: percent.
    """

    def __init__(self, devices: Devices, volume: int) -> None:
        self.sounds = Sounds(lambda: devices.io)
        self.volume = volume
        """Percent; see ``set_volume``."""
        self._devices = devices
        self._set_up: AudioIO | None = None  # the devices that were given mute and volume
        self._loaded_for: AudioIO | None = None

    def set_up(self, *, muted: bool) -> None:
        """Give mute and volume to devices that have just been opened, if any have."""
        if (io := self._devices.io) is not None and io is not self._set_up:
            self._set_up = io
            io.muted = muted
            io.volume = self.volume / 100
            _logger.info("microphone %s, speaker %s", io.microphone.name, io.speaker.name)

    def set_muted(self, muted: bool) -> None:
        """Mute the microphone, or no longer."""
        if self._devices.io is not None:
            self._devices.io.muted = muted

    def set_volume(self, percent: int) -> None:
        """Set the volume, as far as that goes."""
        self.volume = min(200, max(0, percent))
        if self._devices.io is not None:
            self._devices.io.volume = self.volume / 100

    async def load(self, settings: KioskSettings, *, again: bool = False) -> None:
        """Load the sounds for the open devices, unless they have been; ``again``: also then."""
        io = self._devices.io
        if io is None or (io is self._loaded_for and not again):
            return
        try:
            self.sounds.loaded = await run_detached(partial(_sounds, settings, io.output.rate))
        except ConfigError as error:
            _logger.warning("the sounds cannot be read any more: %s", error)
        self._loaded_for = io  # only now: whoever waits may give up

    async def play(self, file: str) -> None:
        """Play a sound of its own by name, or a WAV file, unless the agent is heard.

        Raises:
            ConfigError: there is none.
        """
        names = {say.value: say for say in Say}
        if (say := names.get(file)) is not None:
            if say is not Say.DIALLING:  # which does not end
                self.sounds.say(say)
            return
        if (io := self._devices.io) is not None:
            self.sounds.play(await run_detached(partial(_read_sound, file, io.output.rate)))


async def check_sounds(settings: KioskSettings) -> None:
    """See whether the sounds can be read, before any device is open; raises as ``load``."""
    await run_detached(partial(_sounds, settings, _LOWEST_RATE))


def _sounds(settings: KioskSettings, rate: int) -> dict[Say, Samples]:
    """Return what it says for itself; see ``load``. Blocks."""
    return load(settings.sounds.value, rate, settings.sounds_percent.value / 100)


def _read_sound(file: str, rate: int) -> Samples:
    """Return a WAV file at this rate, Hz. Blocks.

    Raises:
        ConfigError: it cannot be read, or is too long.
    """
    with suppress(OSError):  # which reading it tells of in words
        if Path(file).stat().st_size > _LONGEST_SOUND:
            raise ConfigError(f"{file}: it is longer than {_LONGEST_SOUND // 1_000_000} MB")
    samples, own_rate = read_wav(file)
    return resample_whole(samples, own_rate, rate)
