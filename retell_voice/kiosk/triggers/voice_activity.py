"""Calls when someone speaks."""

from __future__ import annotations

from collections.abc import Iterable

from retell_voice.audio.format import Samples
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.kiosk.ports import Part, Surroundings, WantsCall
from retell_voice.kiosk.triggers.hearing import Hearing
from retell_voice.settings.tables.kiosk import KioskSettings

ONSET_MS = 300
"""Speech that it takes: more than a cough or a door, less than a short word and its echo."""
_NAME = "voice activity"


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the trigger, if the settings want it.

    Raises:
        ConfigError: the neural network is wanted, and is not installed.
    """
    way = settings.voice_activity.value
    if way != "off":
        neural = way == "neural"
        if neural:
            VoiceEar(neural=True).begin(16000)
        yield Hearing(_NAME, lambda: VoiceEar(neural=neural), surroundings, any_voice=True)


class VoiceEar:
    """Hears speech.

    Args:
        neural: by a neural network instead of by level.
    """

    def __init__(self, *, neural: bool) -> None:
        # The detectors are the emulator's, which nobody else's kiosk has to load.
        from retell_voice.emulator.speech import neural as network  # noqa: PLC0415
        from retell_voice.emulator.speech import vad  # noqa: PLC0415

        def make(rate: int) -> vad.Detector:
            if neural:
                return network.NeuralDetector(rate, network.NeuralSettings(onset_ms=ONSET_MS))
            return vad.EnergyDetector(rate, vad.DetectorSettings(onset_ms=ONSET_MS))

        self._make = make
        self._detector: vad.Detector = vad.EnergyDetector(16000)

    def begin(self, rate: int) -> None:
        """Forget what was heard; from here on ``rate`` samples a second follow.

        Raises:
            ConfigError: the neural network is not installed.
        """
        try:
            self._detector = self._make(rate)
        except ConfigError as error:
            raise ConfigError(str(error), how_to_install("emulator-small")) from None

    def hear(self, samples: Samples) -> WantsCall | None:
        """Take the next samples, shape (n,), mono int16, and return the wish that was in them."""
        if any(boundary.speaking for boundary in self._detector.process(samples)):
            return WantsCall(_NAME, by_voice=True)
        return None

    def close(self) -> None:
        """Do nothing: it holds nothing."""
