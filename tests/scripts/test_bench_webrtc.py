"""The parts of scripts/bench webrtc that need neither a card nor a browser."""

import asyncio
import struct
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.recorder import Samples
from support.speech import babble

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts.packet_heard import Delays, delays, distance, time_to_come_back, timeline
from bench_parts.packet_programs import Figures
from bench_parts.packet_relay import Relay, first_host, is_audio, redirected
from bench_parts.packet_soak import Soaked
from bench_parts.packet_soak import rows as soak_rows
from bench_parts.packet_weather import calm, loss, placed, recorded, stall
from bench_parts.webrtc_rows import Heard, Result, rows

RATE = 48000


@cache
def said() -> Samples:
    return babble(4.0, RATE, seed=5, pauses=False)


def late(*parts: tuple[float, float]) -> np.ndarray:
    """Return what was said from each moment on, so much later."""
    heard = np.zeros(len(said()) + RATE, np.int16)
    for begin, delay in parts:
        at = round(begin * RATE)
        heard[at + round(delay * RATE) :][: len(said()) - at] = said()[at:]
    return heard


def test_the_phases_of_a_network() -> None:
    _, second, third = placed([calm(1.0), stall(0.1, 0.2, 0.3), loss(0.1, 2.0)])
    assert (second.first, second.begin, second.end) == (50, 1.0, pytest.approx(1.6))
    assert second.phase.fates[4:7] == (0.0, pytest.approx(0.2), pytest.approx(0.18))
    assert second.phase.fates[14:] == (pytest.approx(0.02), *[0.0] * 15)
    assert third.phase.fates.count(None) == 10
    assert loss(0.1, 2.0) == third.phase, "always the same"
    known = [fate for fate in recorded("wifi", 2.0).fates if fate is not None]
    assert len(known) < 100
    assert min(known) < 0.01


def test_the_delay_is_found_wherever_something_is_heard() -> None:
    found = delays(said(), late((0, 0.06), (2.0, 0.16)), RATE)
    assert found.between(0, 1.8).median == pytest.approx(0.06, abs=2e-4)
    assert found.between(2.1, 4).median == pytest.approx(0.16, abs=2e-4)
    assert not len(delays(said(), np.zeros(len(said()), np.int16), RATE).places)
    assert np.isnan(found.between(9, 10).median)


def test_when_it_has_come_back() -> None:
    places = np.arange(0, 4, 0.5)
    found = Delays(places, np.array([0.2, 0.2, 0.15, 0.09, 0.07, 0.06, 0.06, 0.06]))
    assert time_to_come_back(found, 0.2, 0.06) == pytest.approx(1.5 + 0.09 - 0.2)
    assert time_to_come_back(found, 0.2, 0.3) == 0.0


def test_the_distance_tells_what_was_lost_and_not_how_late_or_loud_it_was() -> None:
    heard = late((0, 0.06))
    quieter = (heard * 0.5).astype(np.int16)
    broken = heard.copy()
    for at in range(0, len(broken), RATE // 2):
        broken[at : at + RATE // 20] = 0
    near, same, far = (
        distance(said(), each, RATE, delays(said(), each, RATE))
        for each in (heard, quieter, broken)
    )
    assert near < 0.05
    assert far > 1
    assert same < far / 2


def test_a_recording_begins_where_it_is_asked_to() -> None:
    samples = np.arange(4800, dtype=np.int16)
    marks = [(10.0 + count / RATE, count) for count in range(480, 4801, 480)]
    assert timeline(samples, marks, 10.05, RATE)[0] == 2400
    assert not timeline(samples, marks, 9.95, RATE)[:2400].any()


SDP = (
    "v=0\r\n"
    "m=audio 9 UDP/TLS/RTP/SAVPF 96\r\n"
    "a=candidate:1 1 udp 2130706431 10.0.0.7 5004 typ host\r\n"
    "a=candidate:2 1 udp 1 ::1 5005 typ host\r\n"
    "a=mid:0\r\n"
    "m=application 9 UDP/DTLS/SCTP x\r\n"
    "a=mid:1\r\n"
)


def test_both_sides_are_sent_to_the_relay() -> None:
    assert first_host(SDP) == ("10.0.0.7", 5004)
    changed = redirected(SDP, ("127.0.0.1", 7))
    assert changed.count("a=candidate") == changed.count("127.0.0.1 7 typ host") == 2
    assert first_host(changed) == ("127.0.0.1", 7)
    with pytest.raises(ValueError, match="no candidate"):
        first_host("v=0\r\n")


def rtp(number: int) -> bytes:
    return struct.pack("!BBHII", 128, 96, number, (1000 + number * 960) % 2**32, 7)


class End(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.heard: asyncio.Queue[tuple[bytes, Any]] = asyncio.Queue()

    def datagram_received(self, data: bytes, address: Any) -> None:
        self.heard.put_nowait((data, address))


async def test_audio_is_lost_or_late_and_all_else_passes() -> None:
    fates = {40: None, 41: 0.02}
    loop = asyncio.get_running_loop()
    caller, ours = await loop.create_datagram_endpoint(End, ("127.0.0.1", 0))
    gateway, theirs = await loop.create_datagram_endpoint(End, ("127.0.0.1", 0))
    relay = await Relay.open(
        gateway.get_extra_info("sockname"), lambda: 39, lambda number: fates.get(number, 0.0)
    )
    try:
        async with asyncio.timeout(5):
            for hello in (b"\0stun", b"\0again"):
                caller.sendto(hello, relay.address)
                data, back = await theirs.heard.get()
                assert data == hello
            for data in (rtp(0), rtp(1), rtp(2), b"\x80\xc8rtcp, as it is", rtp(3)):
                gateway.sendto(data, back)
            arrived = [(await ours.heard.get())[0] for _ in range(4)]
    finally:
        for each in (relay, caller, gateway):
            each.close()
    assert arrived == [rtp(0), b"\x80\xc8rtcp, as it is", rtp(3), rtp(2)]
    assert (relay.passed, relay.dropped) == (3, 1)
    assert [is_audio(each) for each in (rtp(1), b"\x80\xc8" + bytes(20), b"\x16" * 20)] == [
        *(True, False, False)
    ]


def heard(delay: float, cpu: float, *, lost: bool = False) -> Heard:
    samples = late((0, delay))
    if lost:
        samples[RATE:][: RATE // 2] = 0
    marks = [Figures(0.0, 0.0), Figures(0.0, 2.0), Figures(0.1, 4.0)]
    return Heard(samples, [delay] * 3, marks, cpu, 50.0)


def test_each_target_is_met_or_missed() -> None:
    phases = placed([calm(2.0), stall(0.5, 0.2, 1.3)])
    programs = {"ours": heard(0.05, 4), "chromium": heard(0.06, 9), "bare": heard(0.04, 4)}
    depths = [(2.2, 0.02), (2.8, 0.1), (3.5, 0.03), (3.9, 0.02)]
    good = Result(phases, programs, [1.0], depths)
    table = rows(good, said())
    assert not [row.what for row in table if row.missed]
    assert table[0].ratio == "1.25"
    assert next(row.figures for row in table if row.what.startswith("depth")) == "0.8 s"
    bad = Result(phases, {**programs, "ours": heard(0.07, 5, lost=True)}, [1.3], depths[:2])
    missed = [row.what.partition(" ")[0] for row in rows(bad, said()) if row.missed]
    assert missed == ["packet", "spoken", "depth", "0%", "CPU", "talk"]


def test_the_books_of_a_soak() -> None:
    packets = {"received": 1000, "lost": 52, "late": 2, "recovered": 0.5}
    figures = {
        "heard": 19.5,
        "discarded": 0.3,
        "playout_depth": 0.2,
        "concealed": 0.6,
        "frames_sent": 1050,
        "frames_dropped": 0,
        "malformed_messages": 0,
        "capture_xruns": 0,
        "playback_xruns": 0,
        "packets": packets,
    }
    good = Soaked(1.0, [(0.1, 60.0, 80.0), (0.9, 60.1, 80.1)], 1002, 50, 1050, 1.0, figures)
    assert soak_rows(good)[0].figures == "yes"
    bad = replace(good, passed=1020, statistics=figures | {"heard": 19.4})
    verdict = soak_rows(bad)[0]
    assert verdict.missed
    assert "not received" in verdict.figures
    assert "neither heard" in verdict.figures
