"""Options of the emulator that would have no effect are refused, not ignored."""

from __future__ import annotations

from typing import Any

import pytest

from retell_voice.errors import ConfigError
from retell_voice.program.emulator import run_emulator
from retell_voice.settings.load import ConfigFile, load
from retell_voice.settings.tables import EmulatorSettings


def settings(environ: dict[str, str] | None = None, **flags: Any) -> EmulatorSettings:
    return load(EmulatorSettings, ConfigFile(), environ or {}, {"port": "0", **flags})


@pytest.mark.parametrize(
    ("flags", "option", "kind"),
    [
        ({"detector": "energy"}, "--detector", "the parrot"),
        ({"endpoint_ms": "500"}, "--endpoint-ms", "the parrot"),
        ({"barge_in_ms": "200"}, "--barge-in-ms", "the parrot"),
        ({"begin_message_delay_ms": "100"}, "--begin-message-delay-ms", "the parrot"),
        ({"end_call_after_silence_ms": "10000"}, "--end-call-after-silence-ms", "the parrot"),
        ({"reminder_trigger_ms": "9000"}, "--reminder-trigger-ms", "the parrot"),
        ({"reminder_max_count": "2"}, "--reminder-max-count", "the parrot"),
        ({"tts": "mumble"}, "--tts", "the parrot"),
        ({"asr": "none"}, "--asr", "the parrot"),
        ({"asr": "none", "scenario": "x.toml"}, "--asr", "--scenario"),
        ({"interruptible": False, "scenario": "x.toml"}, "--no-interruptible", "--scenario"),
    ],
)
async def test_an_option_that_has_no_effect_is_refused(
    flags: dict[str, Any], option: str, kind: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with run_emulator(settings(**flags)):
            pass
    assert str(caught.value).startswith(option)
    assert str(caught.value).endswith(f"not for {kind}")


async def test_what_a_file_or_the_environment_says_is_for_whoever_it_suits() -> None:
    environ = {"RETELL_VOICE_EMULATOR_DETECTOR": "energy"}
    async with run_emulator(settings(environ, interruptible=False)) as running:
        assert running.emulator.port
