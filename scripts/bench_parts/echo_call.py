"""Whole calls with open speakers: does the agent interrupt itself, and does the user get through?

::

    emulator ─▶ caller ─▶ virtual speaker ─▶ room ─▶ virtual microphone ─▶ caller ─▶ emulator
                                the user, as loud as the echo ──┘

The caller is ``talk`` with and without echo control, or Chromium with a canceller of its own; for
comparison also ``talk`` where no echo is, as with headphones: no canceller notices the user sooner
than the voice detection does then. Each call has a card, a room and an
emulator of its own. The agent goes by the emulator's voice detection: whatever that notices while
the user says nothing is an interruption of its own. A real one counts from the user's first sound,
as handed to the sound server some 50 ms before the emulator has it, to the server's ``clear``.
Where a thread had to wait for a processor, sound was lost that no canceller can know of; a row says
how long.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from support import chromium
from support.card import CardError, VirtualCard
from support.interrupted import Conversation
from support.open_speaker import Mouth, in_room
from support.program import Talk
from support.recorder import RATE as CARD_RATE
from support.rooms import Room, with_rms
from support.voices import AGENT, USER, speak
from support.waits import Waits, ahead

from bench_parts.card import ROUTES
from bench_parts.conversations import SOON
from bench_parts.figures import REPO, Row, percentile, table
from bench_parts.words import Ears
from retell_voice.audio.format import AudioFormat, Samples
from retell_voice.emulator import Emulator, RegisteredCall

RATE = 24000
ROOMS = {
    "desk": Room(),
    "loud room": Room(decay=0.2, delay=0.02, level=0),
    "diffuse": Room(decay=0.3, direct=-30, delay=0.1),
}
_HEADPHONES = "headphones"
CALLERS = ("webrtc", "off", "Chromium", _HEADPHONES)
_OFF_MINUTES = 1.0
"""Without echo control, that is enough to see it fail."""
_LOUDNESS = 3000.0  # RMS
_FIRST = 10.0  # seconds
_UNDERSTOOD = 0.95
_MARGIN = 0.3
"""Seconds of what is received around a turn that the recogniser gets."""
_PAGE = (REPO / "tests" / "peers" / "web_call.js").read_text("utf-8")
_OPEN_SPEAKER = """\
microphone = () => navigator.mediaDevices.getUserMedia({ audio: { echoCancellation: true } });
record = (stream) => {
  const audio = new Audio();
  audio.srcObject = stream;
  return audio.play();
};
"""


@dataclass
class Case:
    """One call: a caller in a room, and what became of it."""

    name: str
    room: Room
    caller: str
    conversation: Conversation
    card: VirtualCard
    call: RegisteredCall | None = None
    statistics: dict[str, Any] | None = None
    words: tuple[int, int] = (0, 0)
    waited: str = ""
    failed: str = ""


@asynccontextmanager
async def _talking(case: Case, emulator: Emulator) -> AsyncIterator[Talk]:
    """Let our program hold the call."""
    case.call = emulator.register(AudioFormat(rate=RATE))
    clean = {k: v for k, v in case.card.env.items() if not k.startswith("RETELL_VOICE_")}
    env = clean | {"PYTHONPATH": str(REPO), "XDG_CONFIG_HOME": "/nonexistent"}
    echo = "off" if case.caller == _HEADPHONES else case.caller
    words = ("--url", emulator.url, "--rate", str(RATE), "--echo", echo)
    async with Talk(case.call.call_id, *words, env=env, is_ahead=True) as talk:
        await talk.live()
        yield talk
        ended = talk.having("call_ended") or talk.events[-1:]
        case.statistics = ended[-1].get("statistics") if ended else None


@asynccontextmanager
async def _in_browser(case: Case, emulator: Emulator) -> AsyncIterator[None]:
    """Let Chromium hold the call, with a canceller of its own."""
    async with chromium.Chromium(env=case.card.env) as browser:
        page = await browser.open()
        await page.run(
            "const tag = document.createElement('script'); tag.text = argument;"
            "document.body.append(tag);",
            _PAGE + _OPEN_SPEAKER,
        )
        created = await page.run("return create(argument, 'key')", emulator.api_url)
        (case.call,) = emulator.calls
        await page.run(
            "return join(argument[0], argument[1].call_id, argument[1].access_token, 'client')",
            [emulator.api_url, created],
        )
        yield


async def _hold(case: Case) -> None:
    """Hold one call to its end."""
    try:
        async with AsyncExitStack() as stack:
            emulator = Emulator(agent=case.conversation, record=True, api_key="key")
            await stack.enter_async_context(emulator)
            caller = _in_browser if case.caller == "Chromium" else _talking
            talk = await stack.enter_async_context(caller(case, emulator))
            assert case.call is not None
            with Waits() as waits:
                async with asyncio.timeout(case.conversation.seconds + 60):
                    await case.call.wait()
            case.waited = f"{waits.whose}, {waits.longest * 1e3:.0f} ms"
            if talk is not None:
                await talk.wait()
    except (AssertionError, TimeoutError, OSError) as error:
        # The other calls are worth their minutes.
        case.failed = (str(error).splitlines() or ["it did not end"])[0][:80]


def _held(cases: Sequence[Case], route: str, rooms: ExitStack) -> None:
    """Hold some calls at the same time, each with a card of its own."""
    for case in cases:
        card = rooms.enter_context(case.card)
        card.run_ahead()
        card.env = card.through(route)
        if case.caller != _HEADPHONES:
            rooms.enter_context(in_room(card, case.room))
        case.conversation.mouth = rooms.enter_context(Mouth(card))

    async def all_of_them() -> None:
        await asyncio.gather(*map(_hold, cases))

    with ahead():
        asyncio.run(all_of_them())


def _cases(minutes: float, rooms: int, callers: Sequence[str]) -> list[Case]:
    said = [with_rms(each, _LOUDNESS) for each in speak("espeak", AGENT, RATE, "en-us+f3")]
    found: list[Case] = []
    for name, room in [*ROOMS.items()][:rooms]:
        loudness = _LOUDNESS * 10 ** (room.level / 20)
        user = [with_rms(each, loudness) for each in speak("piper", USER, CARD_RATE)]
        for caller in callers:
            if caller == _HEADPHONES and found and name != found[0].name:
                continue  # it hears no room
            long = min(minutes, _OFF_MINUTES) if caller == "off" else minutes
            conversation = Conversation(said, user, None, long * 60)  # type: ignore[arg-type]
            found.append(Case(name, room, caller, conversation, VirtualCard()))
    return found


def _understood(case: Case, ears: Ears) -> tuple[int, int]:
    """Return how many of the user's words outside double talk are understood, and how many."""
    assert case.call is not None
    received: Samples = case.call.received
    right = total = 0
    for turn in case.conversation.turns:
        if turn.interrupts:
            continue
        start = max(0, turn.position - round(_MARGIN * RATE))
        long = len(case.conversation.user[turn.number]) / CARD_RATE
        part = received[start : turn.position + round((long + 2 * _MARGIN) * RATE)]
        counts = ears.right(part, RATE, USER[turn.number])
        right, total = right + counts[0], total + counts[1]
    return right, total


def _rows(case: Case) -> list[Row]:
    talk = case.conversation
    ours, minutes = case.caller in ("webrtc", _HEADPHONES), talk.seconds / 60
    first = sum(each < _FIRST for each in talk.own)
    late = [turn.late for turn in talk.interruptions]
    soon = sum(each <= SOON for each in late)
    middle, most = (percentile(late, each) * 1e3 for each in (50, 95))
    right, total = case.words
    share = right / total if total else float("nan")
    what = f"{case.name}, {case.caller}, {minutes:g} min"
    if case.failed:
        return [Row(what, f"failed: {case.failed}", missed=True)]
    figures = case.statistics or {}
    erle, cost = figures.get("echo_erle"), figures.get("echo_cost") or 0.0
    echo = "" if erle is None else f"; ERLE {erle:.0f} dB, {cost:.1%} of a core"
    own = f"{len(talk.own)}, {first} of them in the first 10 s"
    is_off = case.caller == "off"
    target = "> 0" if is_off else "0" if ours else ""
    missed = (is_off and not talk.own) or (ours and bool(talk.own))
    return [
        Row(f"{what}: the agent interrupts itself", own, target, missed=missed),
        Row(
            "  the user interrupts it: in 300 ms; median / p95",
            f"{soon} of {len(late)}; {middle:.0f} / {most:.0f} ms",
            "all" if ours else "",
            missed=ours and soon < len(late),
        ),
        Row(
            "  words understood outside double talk",
            f"{right} of {total}, {share:.0%}{echo}",
            f"≥ {_UNDERSTOOD:.0%}" if ours else "",
            missed=ours and not share >= _UNDERSTOOD,
        ),
        Row("  longest wait for a processor", case.waited),
    ]


def run(
    *,
    minutes: float = 10.0,
    rooms: int = 3,
    together: int = 2,
    callers: Sequence[str] = CALLERS,
    route: str = ROUTES[0],
    tell: Callable[[str], None] = print,
) -> list[Row]:
    """Hold every call.

    Args:
        minutes: of conversation; without echo control at most one.
        rooms: how many of ``ROOMS``.
        together: how many calls at a time.
        callers: which of ``CALLERS``.
        route: how ALSA reaches the sound server.
        tell: says what is done, and the figures of each call when it is over.
    """
    callers = [each for each in callers if each != "Chromium" or chromium.find()]
    cases = sorted(_cases(minutes, rooms, callers), key=lambda each: -each.conversation.seconds)
    held: list[Case] = []
    try:
        for start in range(0, len(cases), together):
            some = cases[start : start + together]
            tell(" and ".join(f"{each.name}, {each.caller}" for each in some) + " …")
            _hold_and_judge(some, route)
            held += some
            tell(table([row for case in some for row in _rows(case)]) + "\n")
    except KeyboardInterrupt:
        tell("interrupted; these were over:")
    order = list(ROOMS)
    held.sort(key=lambda each: (order.index(each.name), CALLERS.index(each.caller)))
    return [row for case in held for row in _rows(case)]


def _hold_and_judge(cases: Sequence[Case], route: str) -> None:
    """Hold some calls at the same time, and let a recogniser hear them."""
    try:
        with ExitStack() as stack:
            _held(cases, route, stack)
    except (CardError, OSError) as error:  # the other calls are worth their minutes
        for case in cases:
            case.failed = case.failed or str(error).splitlines()[0][:80]
    with Ears() as ears:
        for case in cases:
            if ears is not None and not case.failed:
                case.words = _understood(case, ears)


LEGEND = "rooms: " + "; ".join(f"{name}: {room}" for name, room in ROOMS.items())
