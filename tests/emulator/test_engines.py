"""Engines by name."""

import numpy as np
import pytest

from retell_voice.emulator.engines import open_engines
from retell_voice.errors import ConfigError


async def test_hum_and_none_are_always_there() -> None:
    async with open_engines("hum", "none") as engines:
        said = await engines.text_to_speech.synthesize("Hello there.", 8000)
        assert said.content == "Hello there."
        assert await engines.speech_to_text.recognize(np.zeros(8000, np.int16), 8000) == ()
        assert engines.describe() == ("voice: hum", "ears: none")


@pytest.mark.parametrize(("voice", "ears"), [("opera", "none"), ("hum", "elephant")])
async def test_an_unknown_name_is_a_mistake_of_yours(voice: str, ears: str) -> None:
    with pytest.raises(ConfigError, match=r"opera|elephant"):
        async with open_engines(voice, ears):
            pass
