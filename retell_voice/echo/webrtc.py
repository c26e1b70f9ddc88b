"""WebRTC's echo canceller (AEC3), with its high-pass and, on request, its noise suppression and
automatic gain.

Two packages have it: ``pywebrtc-audio``, small and quick to load, and ``livekit``, newer but thirty
times as large, which is used if the first is not installed. Each is imported only when an instance
is created.

Neither needs to know the delay of the echo. Both work at 16, 32 or 48 kHz internally and resample
other rates, which takes another 1 to 3 ms.
"""

from __future__ import annotations

from collections.abc import Collection
from importlib.util import find_spec
from typing import Any

import numpy as np

from retell_voice.audio.format import Samples
from retell_voice.echo.ports import EchoControl, EchoMeasures, block_samples
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install

PACKAGES = {"pywebrtc-audio": "pywebrtc_audio", "livekit": "livekit.rtc"}
"""Names of the packages, the better one first, and the modules to import."""

_DELAYS = {
    8000: 0.011,
    11000: 0.0104,
    12000: 0.0103,
    16000: 0.008,
    22000: 0.0094,
    24000: 0.0093,
    32000: 0.0081,
    44100: 0.0097,
    48000: 0.009,
}
"""Delay in seconds, measured; for rates in between, about that of the nearest."""
_NOISE_SUPPRESSION_DELAY = 0.006
_FAINTEST = 1
"""Amplitude of the noise that pywebrtc-audio gets in place of digital silence, −90 dBFS. Silence
lets its filters fade into denormal numbers, which take ten times the processor time."""


def installed() -> tuple[str, ...]:
    """Return which of ``PACKAGES`` are installed."""
    return tuple(name for name, module in PACKAGES.items() if _is_there(module))


def new_webrtc(
    rate: int,
    *,
    echo: bool = True,
    noise_suppression: bool = False,
    gain: bool = False,
    packages: Collection[str] | None = None,
) -> EchoControl:
    """Return WebRTC's near-end processing, for one thread.

    Args:
        rate: samples a second, 8000–48000.
        echo: cancel it.
        noise_suppression: reduce steady noise; costs 6 ms of delay.
        gain: bring speech to a normal level.
        packages: which of ``PACKAGES`` may be used; those installed if None.

    Raises:
        ConfigError: none is installed, or none works.
        ValueError: the rate is out of range.
    """
    usable = installed() if packages is None else packages
    options = {"echo": echo, "noise_suppression": noise_suppression, "gain": gain}
    failures = []
    for name, make in (("pywebrtc-audio", PyWebRtc), ("livekit", LiveKit)):
        if name in usable:
            try:
                return make(rate, **options)
            except (ImportError, OSError, AttributeError) as error:
                failures.append(f"{name} fails to load: {error}")
    what = "echo cancellation" if echo else "noise suppression and automatic gain"
    if failures:
        raise ConfigError(
            f"no {what}: {'; '.join(failures)}", f"{how_to_install('echo')} --force-reinstall"
        )
    raise ConfigError(f"{what} needs the package pywebrtc-audio", how_to_install("echo"))


class _Processing:
    """Common to both packages."""

    def __init__(self, rate: int, echo: bool, noise_suppression: bool, gain: bool) -> None:
        self._size = block_samples(rate)
        self._rate = self._size * 100
        self._echo, self._noise_suppression, self._gain = echo, noise_suppression, gain

    @property
    def delay(self) -> float:
        """Delay it adds to the near end, seconds."""
        nearest = min(_DELAYS, key=lambda rate: abs(rate - self._rate))
        return _DELAYS[nearest] + self._noise_suppression * _NOISE_SUPPRESSION_DELAY

    def measures(self) -> EchoMeasures:
        """Return nothing: it is measured from outside, see ``Guarded``."""
        return EchoMeasures()


class PyWebRtc(_Processing):
    """An ``EchoControl`` of the package pywebrtc-audio; see ``new_webrtc``."""

    name = "webrtc"

    def __init__(
        self, rate: int, *, echo: bool = True, noise_suppression: bool = False, gain: bool = False
    ) -> None:
        from pywebrtc_audio import AudioProcessor  # noqa: PLC0415 - an extra

        super().__init__(rate, echo, noise_suppression, gain)
        noise = np.random.default_rng(1).integers(-_FAINTEST, _FAINTEST + 1, self._size)
        self._faintest: Samples = noise.astype(np.int16)
        self._processor = AudioProcessor(
            sample_rate=self._rate,
            echo_cancellation=echo,
            high_pass_filter=True,
            noise_suppression=noise_suppression,
            auto_gain_control=gain,
        )

    @property
    def gain(self) -> float:
        """dB by which automatic gain amplified the last block."""
        return float(self._processor.gain_db) if self._gain else 0.0

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the next block of the near end, ``delay`` later."""
        if not self._echo:
            return self._processor.process(near, None)
        return self._processor.process(near, far if np.count_nonzero(far) else self._faintest)

    def reset(self) -> None:
        """Forget the room."""
        self._processor.reset()


class LiveKit(_Processing):
    """An ``EchoControl`` of the package livekit; see ``new_webrtc``.

    Its automatic gain does not report its gain; it counts as 0 dB.
    """

    name = "webrtc (livekit)"
    gain = 0.0

    def __init__(
        self, rate: int, *, echo: bool = True, noise_suppression: bool = False, gain: bool = False
    ) -> None:
        from livekit.rtc import AudioFrame  # noqa: PLC0415 - an extra
        from livekit.rtc.apm import AudioProcessingModule  # noqa: PLC0415 - an extra

        super().__init__(rate, echo, noise_suppression, gain)
        self._frame_type: Any = AudioFrame
        self._module_type: Any = AudioProcessingModule
        self.reset()

    def process(self, near: Samples, far: Samples) -> Samples:
        """Return the next block of the near end, ``delay`` later."""
        if self._echo:
            self._module.process_reverse_stream(self._frame(far))
        frame = self._frame(near)
        self._module.process_stream(frame)
        return np.frombuffer(frame.data, np.int16)

    def reset(self) -> None:
        """Forget the room."""
        self._module: Any = self._module_type(
            echo_cancellation=self._echo,
            high_pass_filter=True,
            noise_suppression=self._noise_suppression,
            auto_gain_control=self._gain,
        )
        if self._echo:
            self._module.set_stream_delay_ms(0)  # it requires a value, but finds the real one

    def _frame(self, samples: Samples) -> Any:
        return self._frame_type(bytearray(samples.tobytes()), self._rate, 1, self._size)


def _is_there(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that it is in
        return False
