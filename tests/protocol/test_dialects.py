"""Every dialect that can be chosen is spoken on both sides."""

from __future__ import annotations

import pytest

from retell_voice.emulator import dialects as emulator
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.dialects import DIALECTS, PHONES
from retell_voice.settings.schema import table
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings
from retell_voice.transport.phone import PROVIDERS


def test_all_who_know_dialects_know_the_same() -> None:
    assert tuple(PROVIDERS) == tuple(PHONES) == DIALECTS[1:]
    assert tuple(emulator.DIALECTS) == DIALECTS
    for name, provider in PROVIDERS.items():
        assert not provider.rates or provider.rates == PHONES[name].linear
    for settings in (TalkSettings, EmulatorSettings):
        assert table(settings)["dialect"].choices == DIALECTS


@pytest.mark.parametrize("name", PHONES)
def test_what_a_call_may_be_a_server_can_speak(name: str) -> None:
    phone = PHONES[name]
    codecs = [Codec("PCMU", rate) for rate in phone.mulaw]
    codecs += [Codec("L16", rate) for rate in phone.linear]
    for codec in codecs:
        server = phone.server(codec)
        assert not server.is_ready
        assert server.audio(b"\0" * (codec.rate // 10))
