"""Leaving while a call is being taken over."""

from __future__ import annotations

from typing import Any, cast

import pytest

from retell_voice.cli import listen
from retell_voice.cli.monitor import JsonLines
from retell_voice.devices.files import NullMicrophone
from retell_voice.engine.call import Call
from retell_voice.engine.listen_call import ListenCall
from retell_voice.errors import DeviceError, RetellVoiceError
from retell_voice.settings.tables.call import ListenSettings


class Ending:
    """A call that ends while its microphone is switched."""

    def __init__(self, leave: Any) -> None:
        self._leave = leave
        self.hung_up = 0

    async def use(self, **_: object) -> None:
        self._leave()
        raise DeviceError("the call is over: devices cannot be switched")

    async def hang_up(self) -> None:
        self.hung_up += 1


@pytest.mark.parametrize("leaves", [True, False])
async def test_only_who_has_not_left_is_told_that_it_failed(
    monkeypatch: pytest.MonkeyPatch, leaves: bool
) -> None:
    monkeypatch.setattr(listen, "find_microphone", lambda *_, **__: NullMicrophone(48000))
    listening = listen._Listening(ListenSettings(), JsonLines(), at_once=True)
    call = Ending(listening._leave if leaves else lambda: None)
    listening._call = cast("Call", call)
    listening._route = ListenCall("call_0123456789", api_key="key_1234567890abcdef")
    await listening._take_over()
    failure: RetellVoiceError | None = listening._failure
    assert isinstance(failure, DeviceError) is not leaves
    for task in list(listening._tasks):
        await task
    assert call.hung_up == 1
