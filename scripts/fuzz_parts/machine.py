"""Targets beside what servers and callers send: the machine, its owner's programs, files."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import NoReturn

import numpy as np
from bench_parts import packet_traces, traces

from retell_voice.audio.format import AudioFormat
from retell_voice.audio.opus import OpusDecoder, packet_duration
from retell_voice.audio.packets.packet import Packet
from retell_voice.audio.packets.packet_playout import PacketPlayout
from retell_voice.cli.call_page import call_page
from retell_voice.cli.details import lines, to_json
from retell_voice.cli.keys import Decoder
from retell_voice.devices.portaudio.sound_server import ask
from retell_voice.errors import ConfigError, RestError
from retell_voice.kiosk.joining import read_joining
from retell_voice.kiosk.triggers.mqtt_topics import Topics
from retell_voice.net.http import error_words, retry_after
from retell_voice.protocol.gateway import UnreadableAnswer
from retell_voice.protocol.lenient import load_json
from retell_voice.protocol.sdp import (
    ask_for_fec,
    check_answer,
    check_offer,
    leave_open,
    prepare_offer,
    without_mdns,
)
from retell_voice.rest.account import _agent, _voice
from retell_voice.rest.api import Api
from retell_voice.rest.calls import _registration, read_call
from retell_voice.rest.refusal import refusal
from retell_voice.shown import clean, clean_lines

_SECRET = "call_0123456789abcdef"
_TOPICS = Topics("hall", "homeassistant")
_API = Api("http://127.0.0.1", "key_0123456789abcdef", 1.0, what="call")


def no_json(constant: str) -> NoReturn:
    """Be given to ``json.loads`` as ``parse_constant``."""
    raise AssertionError(f"{constant} is no JSON")


def account(data: bytes) -> None:
    """What the REST API answers: a call, an agent, a voice, a registration, a refusal."""
    try:
        body = load_json(data.decode("utf-8", "replace"))
    except ValueError:
        body = data.decode("utf-8", "replace")
    retry_after(data.decode("latin-1"))
    said = refusal(422, body, host="h", path="/", what="x", fields=(), wait=None, hide=str)
    assert clean(str(said)) == str(said)
    error_words(body)
    if not isinstance(body, dict):
        return
    with suppress(RestError):
        details = read_call(body, _SECRET, _API)
        json.loads(to_json(details), parse_constant=no_json)
        for text in (call_page(details), "\n".join(lines(details))):
            assert clean_lines(text) == text
    for read in (_agent, _voice):
        with suppress(RestError):
            read(body, _API)
    with suppress(RestError):
        _registration(body, "agent", AudioFormat(), _API)


def sdp(data: bytes) -> None:
    """An offer or an answer of a web call, before the library sees it."""
    text = data.decode("utf-8", "replace")
    for change in (ask_for_fec, leave_open, prepare_offer, without_mdns):
        change(text)
    for check in (check_answer, check_offer):
        with suppress(UnreadableAnswer):
            check(text)


def packets(data: bytes) -> None:
    """RTP packets of Opus, in any order: two bytes of their number, then the payload."""
    playout = PacketPlayout(48000, OpusDecoder(48000))
    out = np.zeros(960, np.int16)
    for number, part in enumerate(data.split(b"\x00\xff\x00")):
        sequence = int.from_bytes(part[:2], "big")
        with suppress(ValueError):
            duration = packet_duration(part[2:])
            playout.push(Packet(sequence, sequence * 960, duration, part[2:], number % 2))
        playout.pull(out)


def mqtt(data: bytes) -> None:
    """A message of a broker: which command, then the payload."""
    topic = _TOPICS.commands[data[0] % len(_TOPICS.commands)] if data else "x"
    _TOPICS.event(topic, data[1:])


def joining(data: bytes) -> None:
    """What the owner's program or endpoint says of the call to join."""
    text = data.decode("utf-8", "replace")
    with suppress(ConfigError):
        read_joining(text, url="wss://host/x", audio=AudioFormat())


def keys(data: bytes) -> None:
    """What a terminal sends, in two pieces."""
    decoder = Decoder()
    middle = len(data) // 2
    for piece in (data[:middle], data[middle:]):
        decoder.feed(piece)
        if decoder.waiting:
            decoder.flush()


def sound_server(data: bytes) -> None:
    """What pactl prints: three answers."""
    answers = iter(data.split(b"\x00\xff\x00"))
    ask(lambda _command, _seconds: next(answers, b"").decode("utf-8", "replace"))


def recorded_traces(data: bytes) -> None:
    """What benches replay."""
    text = data.decode("utf-8", "replace")
    with suppress(traces.TraceError):
        traces.parse(text)
    with suppress(traces.TraceError):
        packet_traces.parse(text)
