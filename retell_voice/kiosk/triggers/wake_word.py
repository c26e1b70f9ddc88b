"""Words that call, found by microWakeWord's models: 0.25 % of a core each, and nothing leaves us.

::

    microphone ─▶ 16 kHz ─▶ features, 10 ms each ─▶ a model a word ─▶ mean of 50 ms ─▶ threshold

The models' weights are in the package (Apache-2.0). They were trained on voices of people and of
good synthesizers; a robot's voice (eSpeak) they often miss.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from retell_voice.audio.format import Samples
from retell_voice.audio.resample import Resampler
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install
from retell_voice.kiosk.ports import Part, Surroundings, WantsCall
from retell_voice.kiosk.triggers.hearing import Hearing
from retell_voice.settings.tables.kiosk import KioskSettings
from retell_voice.settings.tables.kiosk_parts import WakeWords

RATE = 16000


def make(settings: KioskSettings, surroundings: Surroundings) -> Iterable[Part]:
    """Return the trigger, if the settings want one.

    Raises:
        ConfigError: pymicro-wakeword is not installed.
    """
    words = settings.wake_words.value
    if words is not None:
        _library()
        yield Hearing(
            f"wake word {', '.join(name for name, _ in words.words)}",
            lambda: WordEar(words),
            surroundings,
        )


class WordEar:
    """Hears words.

    Args:
        words: which, and from what certainty on.

    Raises:
        ConfigError: pymicro-wakeword is not installed.
    """

    def __init__(self, words: WakeWords) -> None:
        library = _library()
        self._features = library.MicroWakeWordFeatures()
        self._models: list[tuple[str, Any, float]] = []
        for name, cutoff in words.words:
            model = library.MicroWakeWord.from_builtin(library.Model(name))
            self._models.append((name, model, cutoff or model.probability_cutoff))
        self._resampler = Resampler(RATE, RATE)

    def begin(self, rate: int) -> None:
        """Forget what was heard; from here on ``rate`` samples a second follow."""
        self._resampler = Resampler(rate, RATE)
        self._features.reset()
        for _, model, _ in self._models:
            model.reset()

    def hear(self, samples: Samples) -> WantsCall | None:
        """Take the next samples, shape (n,), mono int16, and return the wish that was in them."""
        heard = self._resampler.process(samples)
        for window in self._features.process_streaming(heard.tobytes()):
            for name, model, cutoff in self._models:
                certainty = model.process_streaming_prob(window)
                if certainty is not None and certainty > cutoff:
                    return WantsCall(f"wake word {name}", round(certainty, 3), by_voice=True)
        return None

    def close(self) -> None:
        """Give back the models' memory."""
        for _, model, _ in self._models:
            model.close()


def _library() -> Any:
    try:
        import pymicro_wakeword  # noqa: PLC0415 - of an extra
    except (ImportError, OSError) as error:  # OSError: of the C library that it loads
        hint = f"on 64-bit Linux of 2022 or later: {how_to_install('kiosk-wake-word')}"
        raise ConfigError(f"wake words take the package pymicro-wakeword: {error}", hint) from None
    return pymicro_wakeword
