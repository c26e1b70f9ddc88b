import copy
import io
import json
import pickle
import re
import sys
import traceback
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.pretty import pretty_repr
from rich.traceback import Traceback

from retell_voice import Call, get_call, register_call
from retell_voice.audio.format import AudioFormat
from retell_voice.cli.talk import talk
from retell_voice.devices.files import NullMicrophone, NullSpeaker
from retell_voice.emulator import Emulator, RegisteredCall
from retell_voice.emulator.llm.dial import LinkSettings, LlmFailure, dial
from retell_voice.errors import RetellVoiceError
from retell_voice.rest import Registration
from retell_voice.secret import Secret, hiding, mask, mask_url, wrap_secrets
from retell_voice.settings.load import environment, load, read_file
from retell_voice.settings.schema import Sourced
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings

CALL_ID = "call_0123456789/abcdef"
KEY = "key_abcdef0123456789"
LONG = "long_" + "0123456789abcdef" * 20
NOWHERE = "ws://127.0.0.1:1/x"


def shows_nothing(text: str) -> None:
    """Check that no eight characters in a row of a secret are in a text."""
    for secret in (CALL_ID, CALL_ID.replace("/", "%2F"), KEY, LONG):
        for begin in range(len(secret) - 7):
            assert secret[begin : begin + 8] not in text


@pytest.mark.parametrize(
    ("secret", "shown"),
    [("", "…"), ("short", "…"), ("12345678901", "…"), ("call_1234567890ab", "…90ab")],
)
def test_mask_never_shows_more_than_the_last_four(secret: str, shown: str) -> None:
    assert mask(secret) == shown


def test_a_url_is_shown_without_what_lets_others_in() -> None:
    assert mask_url("wss://me:pass@host:1/a/b?key=1#x") == "wss://host:1/a/b"


def test_a_secret_is_text_that_is_not_shown() -> None:
    secret = Secret(CALL_ID)
    assert (secret, hash(secret), f"{secret}", json.dumps(secret)) == (
        CALL_ID,
        hash(CALL_ID),
        CALL_ID,
        json.dumps(CALL_ID),
    )
    for kept in (
        secret,
        Secret(f" {CALL_ID}\n").strip(),
        copy.deepcopy(secret),
        pickle.loads(pickle.dumps(secret)),
    ):
        assert kept == CALL_ID
        assert repr(kept) == "'…cdef'"


def test_a_piece_of_a_secret_shows_nothing_at_all() -> None:
    piece = Secret(LONG)[:80]
    assert piece == LONG[:80]
    assert repr(piece) == repr(piece[3]) == "'…'"
    shows_nothing(pretty_repr([Secret(LONG)], max_string=80))


def test_what_lets_others_in_is_a_secret_wherever_a_body_holds_it() -> None:
    body = {"call_id": CALL_ID, "calls": [{"recording_url": KEY, "status": "ended"}], "n": 1}
    wrapped = wrap_secrets(body)
    assert wrapped == body
    assert repr(wrapped) == (
        "{'call_id': '…cdef', 'calls': [{'recording_url': '…6789', 'status': 'ended'}], 'n': 1}"
    )


@dataclass
class Holder:
    call_id: str


@pytest.mark.parametrize(
    "holder",
    [
        Call(CALL_ID),
        Holder(Secret(CALL_ID)),
        Sourced(Secret(CALL_ID)),
        TalkSettings(call_id=Sourced(Secret(CALL_ID)), api_key=Sourced(Secret(KEY))),
        RegisteredCall(call_id=CALL_ID),
        Registration(call_id=CALL_ID, agent_id="a", audio=AudioFormat(), body={"call_id": CALL_ID}),
    ],
    ids=lambda each: type(each).__name__,
)
def test_whatever_holds_a_call_id_shows_its_end(holder: object) -> None:
    shows_nothing(repr(holder))
    shows_nothing(pretty_repr(holder))
    assert "cdef" in repr(holder)


def test_secrets_of_the_environment_stay_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETELL_API_KEY", KEY)
    monkeypatch.setenv("RETELL_VOICE_CALL_ID", CALL_ID)
    monkeypatch.setenv("RETELL_VOICE_EMULATOR_API_KEY", KEY)
    found = environment()
    assert found["RETELL_API_KEY"] == KEY
    assert "PATH" not in found
    shows_nothing(repr(found))


# Tracebacks with local variables. CALL_ID and KEY are globals, which no traceback shows.

Fails = Callable[[Emulator], Awaitable[object]]


async def frame_too_short(_: Emulator) -> None:
    Call(CALL_ID, frame_ms=1)


async def nobody_there(_: Emulator) -> None:
    async with Call(CALL_ID, url=NOWHERE, connect_attempts=1, **devices()):
        pass


async def no_such_call(emulator: Emulator) -> None:
    async with Call(CALL_ID, url=emulator.url, **devices()):
        pass


async def no_such_long_call(emulator: Emulator) -> None:
    async with Call(LONG, url=emulator.url, **devices()):
        pass


async def not_a_url(_: Emulator) -> None:
    async with Call(CALL_ID, url="ws://[::1/x", **devices()):
        pass


async def nobody_to_look_it_up(_: Emulator) -> None:
    await get_call(CALL_ID, api_key=KEY, api_url="http://127.0.0.1:1", timeout=5)


async def nothing_to_look_up(emulator: Emulator) -> None:
    await get_call(CALL_ID, api_key=KEY, api_url=emulator.api_url)


async def key_refused(emulator: Emulator) -> None:
    await register_call("agent", api_key=f"{KEY}_", api_url=emulator.api_url)


async def no_llm_server(_: Emulator) -> None:
    await dial("ws://127.0.0.1:1/llm", Secret(CALL_ID), LinkSettings(attempts=1))


async def no_such_file(_: Emulator) -> None:
    settings = load(TalkSettings, read_file(Path("/nowhere/c.toml")), environment(), {})
    raise AssertionError(settings)


def devices() -> dict[str, Any]:
    return {"microphone": NullMicrophone(24000), "speaker": NullSpeaker(24000)}


@pytest.mark.parametrize(
    "fail",
    [
        frame_too_short,
        nobody_there,
        no_such_call,
        no_such_long_call,
        not_a_url,
        nobody_to_look_it_up,
        nothing_to_look_up,
        key_refused,
        no_llm_server,
        no_such_file,
    ],
)
async def test_a_traceback_with_locals_shows_no_secret(fail: Fails) -> None:
    async with Emulator(api_key=KEY) as emulator:
        with pytest.raises((RetellVoiceError, LlmFailure)) as caught:
            await fail(emulator)
    check_traceback(caught.value)


def test_nor_does_one_of_the_program(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Through all of ``talk``, from the settings down to what fails."""
    config = tmp_path / "config.toml"
    config.write_text(f'api_key = "{KEY}"\ncall_id = "{CALL_ID}"\nurl = "{NOWHERE}"\n')
    monkeypatch.setenv("RETELL_VOICE_EMULATOR_API_KEY", KEY)
    environ, flags = environment(), {"output_file": "/dev/null", "input_file": "/nowhere.wav"}
    settings = load(TalkSettings, read_file(config), environ, flags)
    emulator = load(EmulatorSettings, read_file(config), environ, {})
    interval = sys.getswitchinterval()
    try:
        with pytest.raises(RetellVoiceError) as caught:
            talk(settings, emulator)
    finally:
        sys.setswitchinterval(interval)
    check_traceback(caught.value)


@pytest.mark.parametrize(
    "line", ["rate = 1", "nonsense = 1", "[emulator]\nport = -1", "rate ="], ids=repr
)
def test_nor_does_one_of_a_config_file(line: str, tmp_path: Path) -> None:
    config = tmp_path / "config.toml"
    config.write_text(f'api_key = "{KEY}"\ncall_id = "{CALL_ID}"\n{line}\n')
    with pytest.raises(RetellVoiceError) as caught:
        read_file(config)
    check_traceback(caught.value)


def check_traceback(error: BaseException) -> None:
    ours = str(Path(__file__).parent)
    told = traceback.TracebackException.from_exception(error, capture_locals=True)
    assert any(frame.locals for frame in told.stack if not frame.filename.startswith(ours))
    shows_nothing("".join(told.format()))
    shown = io.StringIO()
    Console(file=shown, width=200).print(
        Traceback.from_exception(
            type(error),
            error,
            error.__traceback__,
            show_locals=True,
            locals_max_length=1000,
            locals_max_string=80,
        )
    )
    assert "locals" in shown.getvalue()
    shows_nothing(shown.getvalue())


def test_the_check_of_tracebacks_sees_what_is_shown() -> None:
    def fail(call_id: str) -> None:
        raise ValueError(len(call_id))

    with pytest.raises(ValueError, match="22") as caught:
        fail(CALL_ID)
    with pytest.raises(AssertionError):
        check_traceback(caught.value)


def test_what_hides_is_compiled_only_where_there_is_something_to_hide(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compiled: list[str] = []

    def compile_(secret: str) -> re.Pattern[str]:
        compiled.append(secret)
        return re.compile(re.escape(secret), re.IGNORECASE)

    monkeypatch.setattr("retell_voice.secret._pattern", compile_)
    hide = hiding(["call_0123456789", "key_0123456789"])
    assert hide("an ordinary message") == "an ordinary message"
    assert not compiled
    assert hide("no CALL_0123456789 here") == "no …6789 here"
    assert compiled == ["call_0123456789"]
