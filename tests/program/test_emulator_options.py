"""Options of the emulator that would have no effect are refused, not ignored."""

from __future__ import annotations

from typing import Any

import pytest
from support.callers import ask, join

from retell_voice.errors import ConfigError
from retell_voice.program.emulator import run_emulator
from retell_voice.settings.load import ConfigFile, load
from retell_voice.settings.tables.emulator import EmulatorSettings


def settings(environ: Any = None, **flags: Any) -> EmulatorSettings:
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


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"webhook_events": "call_ended"}, "--webhook-events is for webhooks, and they go nowhere"),
        ({"webhook_timeout_ms": "5000"}, "--webhook-timeout-ms is for webhooks"),
        ({"dialect": "twilio"}, "--dialect is for calls that nobody registered"),
    ],
)
async def test_an_option_that_needs_another_is_refused_without_it(
    flags: dict[str, Any], says: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        async with run_emulator(settings(**flags)):
            pass
    assert str(caught.value).startswith(says)


@pytest.mark.parametrize(
    ("flags", "says"),
    [
        ({"refuse": "register=429x2,cook=500"}, "--refuse: 'register=429x2,cook=500': a list like"),
        ({"refuse": "any=200"}, "a list like register=429x2,any=500"),
        ({"refuse": "any=500x0"}, "a list like"),
        ({"call_analysis": "good"}, "it must be a JSON object"),
        ({"call_analysis": "[" * 9999}, "it must be a JSON object"),
        ({"call_analysis": '{"call_successful":"yes"}'}, "call_successful must be true or false"),
        (
            {"webhook_events": "call_cooked", "webhook_url": "http://localhost/"},
            "call_cooked is not one of call_started, call_ended, call_analyzed, transcript_updated",
        ),
    ],
)
async def test_a_wrong_text_is_named_with_its_option(flags: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError) as caught:
        async with run_emulator(settings(**flags)):
            pass
    assert says in str(caught.value)
    assert len(str(caught.value)) < 300


async def test_requests_are_refused_and_calls_have_what_is_made_up() -> None:
    flags: dict[str, Any] = {
        "refuse": "register=429x2,get=500,any=503",
        "recording_url": "https://a/r.wav",
        "public_log_url": "https://a/log",
        "call_analysis": '{"call_summary":"s"}',
    }
    async with run_emulator(settings(**flags)) as running:
        emulator = running.emulator
        call = emulator.register()
        asked = [
            await ask(emulator, method, path, body)
            for method, path, body in (
                *[("POST", "/register-call", b"{}")] * 3,
                ("GET", f"/v2/get-call/{call.call_id}", b""),
                ("GET", f"/v2/get-call/{call.call_id}", b""),
            )
        ]
        # The third to register is the first of any.
        assert [status for status, _ in asked] == [429, 429, 503, 500, 200]
        async with join(emulator, call):
            pass
        await call.wait()
        _, body = await ask(emulator, "GET", f"/v2/get-call/{call.call_id}")
        _, listed = await ask(emulator, "POST", "/v3/list-calls")
    made_up = {"recording_url": "https://a/r.wav", "public_log_url": "https://a/log"}
    for shown in (body, listed["items"][0]):
        assert shown.items() >= (made_up | {"call_analysis": {"call_summary": "s"}}).items()
