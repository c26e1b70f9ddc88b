"""A bad network between the gateway and its caller."""

import asyncio
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.gateway.path import CALM, Fate, Network, Path

RTP, RTCP, DTLS = b"\x80\x60 audio", b"\x80\xc8 report", b"\x17 data"
SHARE = st.floats(0, 1)


def fates(network: Network, count: int = 20_000) -> list[tuple[float, ...]]:
    fate = Fate(network, Random(1))
    return [fate.next(n * 0.02) for n in range(count)]


@pytest.mark.parametrize("loss", [0.0, 0.02, 0.1, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("row", [1.0, 4.0])
def test_the_share_that_is_lost_is_the_one_asked_for(loss: float, row: float) -> None:
    lost = [not each for each in fates(Network(loss=loss, lost_in_a_row=row))]
    assert sum(lost) / len(lost) == pytest.approx(loss, abs=0.03)


def test_losses_come_in_rows_as_long_as_asked_for() -> None:
    lost = "".join("x" if not each else " " for each in fates(Network(loss=0.1, lost_in_a_row=4)))
    rows = lost.split()
    assert sum(map(len, rows)) / len(rows) == pytest.approx(4, abs=0.5)


def test_delay_and_jitter_are_within_bounds_and_keep_the_order() -> None:
    arrivals = [each[0] for each in fates(Network(delay_ms=50, jitter_ms=100), 2000)]
    late = [at - n * 0.02 for n, at in enumerate(arrivals)]
    assert min(late) == pytest.approx(0.05, abs=0.005)
    assert max(late) == pytest.approx(0.15, abs=0.005)
    assert arrivals == sorted(arrivals)


def test_some_are_overtaken_and_some_come_twice() -> None:
    found = fates(Network(reorder=0.1, duplicate=0.2))
    assert sum(len(each) == 2 for each in found) / len(found) == pytest.approx(0.2, abs=0.02)
    late = [each[0] - n * 0.02 for n, each in enumerate(found)]
    assert sum(each > 0.02 for each in late) / len(late) == pytest.approx(0.1, abs=0.02)


@given(
    st.builds(
        Network,
        loss=SHARE,
        lost_in_a_row=st.floats(1, 50),
        delay_ms=st.floats(0, 5000),
        jitter_ms=st.floats(0, 5000),
        reorder=SHARE,
        duplicate=SHARE,
    ),
    st.integers(),
)
def test_nothing_arrives_before_it_is_sent(network: Network, seed: int) -> None:
    fate = Fate(network, Random(seed))
    for n in range(20):
        assert all(due >= n * 0.02 for due in fate.next(n * 0.02))


class Wire:
    """A path, and what came out of it."""

    def __init__(self) -> None:
        self.out: list[bytes] = []
        self.news = asyncio.Event()
        self.path = Path(self._send, asyncio.get_running_loop().time)

    async def _send(self, data: bytes) -> None:
        self.out.append(data)
        self.news.set()


async def test_a_calm_path_lets_everything_through_at_once() -> None:
    wire = Wire()
    wire.path.become(CALM, Random(1))
    for data in (RTP, RTCP, DTLS):
        await wire.path.send(data)
    assert wire.out == [RTP, RTCP, DTLS]


async def test_a_bad_network_spares_all_but_audio() -> None:
    wire = Wire()
    wire.path.become(Network(loss=1), Random(1))
    for data in (RTP, RTCP, DTLS, b""):
        await wire.path.send(data)
    assert wire.out == [RTCP, DTLS, b""]
    await wire.path.stop()


async def test_what_is_held_comes_at_once_and_in_order() -> None:
    wire = Wire()
    wire.path.hold()
    for n in range(5):
        await wire.path.send(RTP + bytes([n]))
    assert not wire.out
    await wire.path.release()
    assert wire.out == [RTP + bytes([n]) for n in range(5)]


async def test_what_is_late_arrives_later_and_never_after_the_end() -> None:
    wire = Wire()
    wire.path.become(Network(delay_ms=20), Random(1))
    await wire.path.send(RTP)
    assert not wire.out
    async with asyncio.timeout(5):
        await wire.news.wait()
    await wire.path.send(RTP)
    await wire.path.stop()
    await wire.path.send(DTLS)
    await asyncio.sleep(0.03)
    assert wire.out == [RTP]
