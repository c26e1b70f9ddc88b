"""Parses each kind of step that has no steps within it. Pure.

A function takes the step's table and returns what the step does, or raises ``ConfigError``. The
key that names the kind is the key of ``SIMPLE_STEPS``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import cast, get_args

from retell_voice.audio.format import MIN_RATE
from retell_voice.emulator.gateway.path import Network
from retell_voice.emulator.scenario.bad_messages import BAD_MESSAGES, HUGE_TEXT
from retell_voice.emulator.scenario.steps import (
    ANY_DIGIT,
    Alignment,
    BadMessage,
    BadNetwork,
    Clear,
    Close,
    Condition,
    Delivery,
    Direction,
    Drop,
    DropControl,
    HalfOpen,
    Recording,
    Reset,
    Send,
    SendMetadata,
    Speak,
    Stall,
    StepAction,
    Stops,
    Tone,
    Update,
    Wait,
    Words,
)
from retell_voice.emulator.scenario.table import Table
from retell_voice.errors import show
from retell_voice.events import Role, Utterance, Word
from retell_voice.protocol.dialect import DIGITS

_SHORTEST, _LONGEST = 0.001, 86_400.0  # seconds
_MOST_SOUND = 600.0  # seconds in one step
_MOST_FRAMES = 1_000_000_000
_MOST_DIGITS = 100
_SLOWEST_MS = 10_000  # of a packet
_MEBIBYTE = 1 << 20
_REASON = 123  # bytes that a close frame has for it
_CODES = (*range(1000, 1004), *range(1007, 1015))  # that a close frame may carry, RFC 6455


def _say(body: Table) -> StepAction:
    return _sound(body, Words(body.text("say", least=1)))


def _play(body: Table) -> StepAction:
    return _sound(body, Recording(Path(body.text("play", least=1))), body.text("text", ""))


def _tone(body: Table) -> StepAction:
    with body.table("tone") as tone:
        source = Tone(
            seconds=tone.number("seconds", _SHORTEST, _MOST_SOUND, "seconds"),
            hz=tone.number("hz", 1, MIN_RATE / 2, "Hz", 440),
            dbfs=tone.number("dbfs", -90, 0, "dBFS", -12),
        )
    return _sound(body, source, body.text("text", ""))


def _silence(body: Table) -> StepAction:
    with body.table("silence") as silence:
        source = Tone(silence.number("seconds", _SHORTEST, _MOST_SOUND, "seconds"))
    return _sound(body, source, body.text("text", ""))


def _sound(body: Table, source: Words | Recording | Tone, text: str = "") -> StepAction:
    if "chunk_ms" in body and "chunk_bytes" in body:
        raise body.wrong("chunk_ms and chunk_bytes exclude each other")
    in_time = "jitter_ms" in body or "burst_seconds" in body
    most_ms = int(_MOST_SOUND * 1000)
    return Speak(
        source=source,
        text=text,
        alignment=cast(Alignment, body.choice("alignment", get_args(Alignment), "asked")),
        delivery=Delivery(
            pace=body.number("pace", 0, 100, "times real time", 1 if in_time else 0),
            chunk_ms=body.whole("chunk_ms", 0, most_ms, "ms", 0),
            chunk_bytes=body.whole("chunk_bytes", 0, 64 * _MEBIBYTE, "bytes", 0),
            jitter_ms=body.number("jitter_ms", 0, most_ms, "ms", 0),
            burst_seconds=body.number("burst_seconds", 0, _MOST_SOUND, "seconds", 0),
        ),
    )


def _wait(body: Table) -> StepAction:
    with body.table("wait") as wait:
        given = [condition for condition in get_args(Condition) if condition in wait]
        if len(given) != 1:
            known = ", ".join(get_args(Condition))
            raise wait.wrong(f"it needs one of {known}; it has {', '.join(given) or 'none'}")
        condition: Condition = given[0]
        amount, text = 0.0, ""
        match condition:
            case "seconds" | "microphone_seconds":
                amount = wait.number(condition, _SHORTEST, _LONGEST, "seconds")
            case "microphone_frames":
                amount = wait.whole(condition, 1, _MOST_FRAMES, "frames")
            case "text":
                text = wait.text(condition)
            case "digits":
                text = _digits(wait)
            case _:
                wait.flag(condition)
        if condition == "seconds":
            return Wait(condition=condition, amount=amount)
        return Wait(
            condition=condition,
            amount=amount,
            text=text,
            at_most=wait.number("at_most_seconds", 0, _LONGEST, "seconds", 0),
            go_on=wait.choice("otherwise", ("fail", "go_on"), "fail") == "go_on",
        )


def _digits(wait: Table) -> str:
    text = wait.text("digits", least=1)
    if len(text) > _MOST_DIGITS or set(text) - set(f"{DIGITS}{ANY_DIGIT}"):
        raise wait.wrong(
            f"digits: {show(text)} is not 1–{_MOST_DIGITS} of {DIGITS}",
            f"{ANY_DIGIT} stands for any of them",
        )
    return text


def _update(body: Table) -> StepAction:
    with body.table("update") as update:
        transcript = None
        if "transcript" in update:
            said = enumerate(update.tables("transcript"), 1)
            where = f"{update.where}, transcript line"
            transcript = tuple(_utterance(Table(f"{where} {n}", line)) for n, line in said)
        turn = update.choice("turn", get_args(Role)) if "turn" in update else None
        return Update(transcript, cast("Role | None", turn), forced=update.flag("forced"))


def _utterance(line: Table) -> Utterance:
    with line:
        words = line.tables("words") if "words" in line else []
        return Utterance(
            role=cast(Role, line.choice("role", get_args(Role))),
            content=line.text("content"),
            words=tuple(_word(Table(f"{line.where}, word {n}", w)) for n, w in enumerate(words, 1)),
        )


def _word(word: Table) -> Word:
    with word:
        times = [
            word.number(key, 0, _LONGEST, "seconds") for key in ("start_seconds", "end_seconds")
        ]
        return Word(word.text("word"), *times)


def _send(body: Table) -> StepAction:
    with body.table("send") as send:
        if ("text" in send) == ("hex" in send):
            raise send.wrong("it needs one of text, hex")
        if "text" in send:
            return Send(send.text("text"))
        try:
            return Send(bytes.fromhex(send.text("hex")))
        except ValueError:
            raise send.wrong("hex must be pairs of digits, like 00 ff 1b") from None


def _bad_message(body: Table) -> StepAction:
    kind = body.choice("bad_message", tuple(BAD_MESSAGES))
    size = 1.0
    if kind == HUGE_TEXT:
        size = body.number("mebibytes", 0.001, 64, "mebibytes", 1)
    return BadMessage(kind, round(size * _MEBIBYTE))


def _stall(body: Table) -> StepAction:
    with body.table("stall") as stall:
        seconds = stall.number("seconds", _SHORTEST, _LONGEST, "seconds")
        stops = stall.choice("stops", get_args(Stops), "sending")
        return Stall(seconds, cast(Stops, stops))


def _network(body: Table) -> StepAction:
    with body.table("network") as network:
        return BadNetwork(
            Network(
                loss=network.number("loss", 0, 1, "of the packets", 0),
                lost_in_a_row=network.number("lost_in_a_row", 1, 1000, "packets", 1),
                delay_ms=network.number("delay_ms", 0, _SLOWEST_MS, "ms", 0),
                jitter_ms=network.number("jitter_ms", 0, _SLOWEST_MS, "ms", 0),
                reorder=network.number("reorder", 0, 1, "of the packets", 0),
                duplicate=network.number("duplicate", 0, 1, "of the packets", 0),
            ),
            cast(Direction, network.choice("direction", get_args(Direction), "both")),
        )


def _close(body: Table) -> StepAction:
    if body.take("close") is True:
        return Close(1000, "", "agent_hangup")
    with body.table("close") as close:
        code = close.whole("code", 1000, 4999, default=1000)
        if not (code in _CODES or code >= 3000):
            raise close.wrong(f"code: {code} cannot be sent", "1000, 1008, 1011 or 3000–4999 can")
        reason = close.text("reason", "")
        if len(reason.encode()) > _REASON:
            raise close.wrong(f"reason is longer than the {_REASON} bytes that a close frame holds")
        why = "agent_hangup" if code in (1000, 1001) else "error_unknown"
        return Close(code, reason, close.text("disconnection_reason", why, least=1))


def _plain(name: str, action: StepAction) -> Callable[[Table], StepAction]:
    def parse(body: Table) -> StepAction:
        body.flag(name)
        return action

    return parse


SIMPLE_STEPS: Mapping[str, Callable[[Table], StepAction]] = {
    "say": _say,
    "play": _play,
    "tone": _tone,
    "silence": _silence,
    "wait": _wait,
    "clear": _plain("clear", Clear()),
    "update": _update,
    "metadata": lambda body: SendMetadata(body.json("metadata")),
    "send": _send,
    "close": _close,
    "bad_message": _bad_message,
    "stall": _stall,
    "network": _network,
    "drop_control": _plain("drop_control", DropControl()),
    "half_open": _plain("half_open", HalfOpen()),
    "reset": _plain("reset", Reset()),
    "drop": _plain("drop", Drop()),
}
"""By the key that names them."""
