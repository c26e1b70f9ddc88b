"""What a packet may be."""

import pytest

from retell_voice.audio.packets.packet import Packet


def test_a_packet_lasts() -> None:
    assert Packet(0, 0, 1, b"").duration == 1
    with pytest.raises(ValueError, match="a duration of 0"):
        Packet(0, 0, 0, b"")
