"""Echo control in simulated rooms: what is left of the echo and of whoever speaks in the room.

::

    agent's voice ─▶ room (delay, reverberation, drift, a bad loudspeaker) ─┐
    user's voice, as loud as the echo ──────────────────────────────────────┴▶ microphone ─▶ method

No sound card and no time: the same for every method, but for the cost, as fast as it goes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence

import numpy as np
from support.rooms import Room, Scene, db, fsdr, power, scene

from bench_parts.conversations import ALONE, LEAD, SOON, Cast, cast, converse
from bench_parts.figures import Row, median, percentile
from bench_parts.words import Ears
from retell_voice.audio.format import Samples
from retell_voice.echo.guard import Guarded
from retell_voice.echo.half_duplex import HalfDuplex
from retell_voice.echo.ports import Blocks, EchoControl, EchoMeasures, block_samples
from retell_voice.echo.webrtc import LiveKit, PyWebRtc
from retell_voice.emulator.speech.vad import EnergyDetector

RATES = (8000, 16000, 24000, 48000)
MOST_COST = 0.03
"""Of a core."""
ROOMS = {
    "desk": Room(),
    "desk, 50 ppm": Room(drift=50),
    "loud room": Room(decay=0.2, delay=0.02, level=0),
    "diffuse": Room(decay=0.2, direct=-30),
    "worst": Room(decay=0.3, direct=-30, delay=0.2, level=0, drift=50, distorts=True),
}
LEGEND = """\
rooms: {rooms}
echo: dB taken out in the 1st second / the 2nd / the rest; loudest 20 ms left, dBFS; times that a
  server's detector takes the rest for somebody
user alone, interrupts: dB of what is the user's against all else / its level, after the best 24 ms
  filter; interrupts also: ms until the detector knows, and words that Whisper gets; agent yields:
  it is silent after 300 ms, as after a clear"""

_AT = (6.0, 12.4, 18.3)
"""When the user interrupts, seconds: within a sentence of the agent's."""


class Off:
    """No echo control."""

    name, delay, gain = "off", 0.0, 0.0

    def process(self, near: Samples, far: Samples) -> Samples:  # noqa: ARG002 - as the port has it
        """Return the near end."""
        return near

    def reset(self) -> None:
        """Do nothing."""

    def measures(self) -> EchoMeasures:
        """Return nothing."""
        return EchoMeasures()


Method = Callable[[int], EchoControl]
METHODS: dict[str, Method] = {
    "off": lambda _: Off(),
    "webrtc, no guard": PyWebRtc,
    "webrtc": lambda rate: Guarded(PyWebRtc(rate), rate),
    "livekit": lambda rate: Guarded(LiveKit(rate), rate),
    "half-duplex": HalfDuplex,
}


def noticed(samples: Samples, rate: int) -> list[float]:
    """Return when a server's detector knows that somebody began to speak, seconds."""
    return [each.known / rate for each in EnergyDetector(rate).process(samples) if each.speaking]


def echo_left(made: Scene, out: Samples) -> str:
    """Return the figures of an echo alone; the user's turn after it is left out."""
    heard, ends = LEAD + made.room.delay, _ends(made)
    parts = [(heard, heard + 1), (heard + 1, heard + 2), (heard + 2, ends)]
    taken = " / ".join(f"{made.erle(out, *each):.0f}" for each in parts)
    left = made.part(out, 0, ends)
    size = made.rate // 50
    frames = left[: len(left) // size * size].reshape(-1, size)
    loudest = max(db(power(frame) / 32768**2) for frame in frames)
    return f"{taken} dB, {loudest:.0f} dBFS, {own_interruptions(made, out)}"


def own_interruptions(made: Scene, out: Samples) -> int:
    """Return how often the agent would interrupt itself."""
    return len(noticed(made.part(out, 0, _ends(made)), made.rate))


def latencies(made: Scene, out: Samples, at: Sequence[float]) -> list[float]:
    """Return how long after each interruption the detector knows of it; 2 s: it never does."""
    known = noticed(out, made.rate)
    return [
        min([each - when for each in known if when < each < when + 2], default=2.0) for when in at
    ]


def user_left(made: Scene, out: Samples, at: Sequence[float], said: Sequence[Samples]) -> str:
    """Return how much of what somebody said came through, and how loud."""
    found = []
    for start, each in zip(at, said, strict=False):
        end = start + len(each) / made.rate
        found.append(fsdr(made.part(made.near, start, end), made.part(out, start, end), made.rate))
    likeness, level = (median(each) for each in zip(*found, strict=True))
    return f"{likeness:.1f} / {level:+.1f} dB"


def _ends(made: Scene) -> float:
    return len(made.far) / made.rate - ALONE


def words_left(made: Scene, out: Samples, voices: Cast, ears: Ears | None) -> str:
    """Return how many words of the interruptions are understood."""
    if ears is None:
        return ""
    counts = []
    for start, each, text in zip(_AT, voices.user, voices.words, strict=False):
        end = start + len(each) / made.rate
        counts.append(ears.right(made.part(out, start - 0.2, end + 0.5), made.rate, text))
    right, total = map(sum, zip(*counts, strict=True))
    return f", {right} of {total} words"


def in_rooms(voices: Cast, ears: Ears | None) -> Iterator[Row]:
    """Yield the rows of every room and method."""
    for name, room in ROOMS.items():
        alone, both = voices.meet(room), voices.meet(room, _AT)
        yielding = voices.meet(room, _AT, yields=True)
        after = _ends(alone) + 1.0
        for method, make in METHODS.items():
            out = alone.through(make(voices.rate))
            own = own_interruptions(alone, out)
            missed = bool(own) and method not in ("off", "webrtc, no guard")
            target = "" if method in ("off", "webrtc, no guard") else "0 interruptions"
            yield Row(f"{name}, {method}: echo", echo_left(alone, out), target, missed=missed)
            said = user_left(alone, out, [after], voices.user)
            yield Row("  user alone", said)
            out = both.through(make(voices.rate))
            late = " ".join(f"{each * 1e3:.0f}" for each in latencies(both, out, _AT))
            said = user_left(both, out, _AT, voices.user)
            words = words_left(both, out, voices, ears)
            yield Row("  user interrupts", f"{said}, after {late} ms{words}")
            out = yielding.through(make(voices.rate))
            said = user_left(yielding, out, _AT, voices.user)
            words = words_left(yielding, out, voices, ears)
            yield Row("  user interrupts, agent yields", f"{said}{words}")


def in_many_rooms(voices: Cast, count: int, seed: int = 5) -> Iterator[Row]:
    """Yield, for each method, how it fares in rooms drawn by chance."""
    random = np.random.default_rng(seed)
    own: dict[str, int] = dict.fromkeys(METHODS, 0)
    late: dict[str, list[float]] = {method: [] for method in METHODS}
    for number in range(count):
        room = Room(
            decay=random.uniform(0.1, 0.3),
            delay=random.uniform(0.02, 0.2),
            level=random.uniform(-6, 0),
            direct=float(random.choice([-30, 0, 3, 6])),
            drift=float(random.choice([0, 50])),
            distorts=bool(random.integers(2)),
            seed=int(random.integers(1 << 30)),
        )
        alone, both = (voices.meet(room, at, seed=number) for at in ((), _AT))
        for method, make in METHODS.items():
            own[method] += own_interruptions(alone, alone.through(make(voices.rate)))
            late[method] += latencies(both, both.through(make(voices.rate)), _AT)
    for method in METHODS:
        if method == "off":
            continue  # it is talked over all the time
        yield _conversed(f"{count} rooms by chance, {method}", method, own[method], late[method])


def long_conversations(voices: Cast, minutes: float) -> Iterator[Row]:
    """Yield what becomes of a long conversation in each room, from its first word on."""
    for name, room in ROOMS.items():
        made, turns = converse(voices, room, minutes)
        at = [turn.at for turn in turns if turn.interrupts]
        for method, make in METHODS.items():
            if method == "off":
                continue
            out = made.through(make(voices.rate))
            mine = [(turn.at, turn.end(voices.rate) + 0.3) for turn in turns]
            own = [
                known
                for known in noticed(out, voices.rate)
                if not any(start < known < end for start, end in mine)
            ]
            yield _conversed(
                f"{minutes:g} min, {name}, {method}", method, len(own), latencies(made, out, at)
            )


def _conversed(what: str, method: str, own: int, late: list[float]) -> Row:
    soon = sum(each <= SOON for each in late)
    middle, most = (percentile(late, each) * 1e3 for each in (50, 95))
    figures = (
        f"{own} own interruptions; the user's: {soon} of {len(late)} in 300 ms, "
        f"{middle:.0f} / {most:.0f} ms"
    )
    bare = method == "webrtc, no guard"
    return Row(what, figures, "" if bare else "0 own", missed=bool(own) and not bare)


def changes(voices: Cast) -> Iterator[Row]:
    """Yield what each method makes of a ``clear`` and of a delay that jumps."""
    room, later = Room(decay=0.2), Room(decay=0.2, delay=0.06)
    made = voices.meet(room)
    cut, jump = 10.0, 12.0
    far = made.far.copy()
    far[round(cut * made.rate) :] = 0
    cleared = scene(room, made.rate, far, lead=0, tail=0)
    there = voices.meet(later)
    at = round(jump * made.rate)
    heard = np.concatenate((made.microphone[:at], there.microphone[at:]))
    jumped = Scene(later, made.rate, made.far, made.near, made.echo, heard)
    for method, make in METHODS.items():
        out = cleared.through(make(made.rate))
        left = db(power(cleared.part(out, cut + 0.05, cut + 0.5)) / 32768**2)
        yield Row(f"after a clear, {method}: left from 50 to 500 ms", f"{left:.0f} dBFS")
        out = jumped.through(make(made.rate))
        parts = [(jump + 0.06, jump + 1.06), (jump + 1.06, jump + 2.06), (jump + 2.06, 24.0)]
        taken = " / ".join(f"{jumped.erle(out, *each):.0f}" for each in parts)
        yield Row(f"delay jumps by 20 ms, {method}: 1st s / 2nd / rest", f"{taken} dB")


def cost() -> Iterator[Row]:
    """Yield the processor time that a block takes, by method and rate."""
    for method, make in METHODS.items():
        if method == "off":
            continue
        for rate in RATES:
            size = block_samples(rate)
            random = np.random.default_rng(1)
            near, far = random.integers(-3000, 3000, (2, 2000 * size)).astype(np.int16)
            blocks = Blocks(make(rate), rate)
            spent = []
            for start in range(0, len(near), size):
                here = slice(start, start + size)
                began = time.thread_time()
                blocks.process(near[here], far[here])
                spent.append(time.thread_time() - began)
            middle = median(spent)
            yield Row(
                f"cost, {method}, {rate} Hz",
                f"{middle * 1e6:.0f} µs a block, {middle * 100 * 100:.1f} % of a core",
                f"≤ {MOST_COST:.0%}" if rate == 24000 else "",
                missed=rate == 24000 and not middle / 0.01 <= MOST_COST,
            )


def run(
    *,
    rate: int = 24000,
    agent: str = "espeak",
    user: str = "piper",
    rooms: int = 12,
    minutes: float = 10.0,
) -> list[Row]:
    """Measure every method.

    Args:
        rate: samples a second.
        agent, user: whose voices: ``piper`` or ``espeak``.
        rooms: how many to draw by chance.
        minutes: of conversation in each of the rooms that have a name.
    """
    voices = cast(rate, agent, user)
    with Ears() as ears:
        rows = [*in_rooms(voices, ears)]
    rows += in_many_rooms(voices, rooms) if rooms else ()
    rows += long_conversations(voices, minutes) if minutes else ()
    return [*rows, *changes(voices), *cost()]


def legend() -> str:
    """Return what the figures mean."""
    return LEGEND.format(rooms="; ".join(f"{name}: {room}" for name, room in ROOMS.items()))
