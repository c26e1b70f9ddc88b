"""What reads input from outside, each as a function of bytes that must raise nothing.

A parser's own, documented errors are caught here; whatever else comes out is a finding. So is
output of ours that is not what it should be: JSON that is none, text that steers a terminal.
"""

from __future__ import annotations

import atexit
import io
import json
import os
import shutil
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from fuzz_parts import machine
from fuzz_parts.machine import no_json
from retell_voice.cli.plain import Lines
from retell_voice.cli.view import View, reduce
from retell_voice.devices.files import read_wav
from retell_voice.emulator.calls import Calls, RegisteredCall
from retell_voice.emulator.http import HttpPeer
from retell_voice.emulator.javascript import stringify
from retell_voice.emulator.registry import Registry
from retell_voice.emulator.rest.api import Rest
from retell_voice.emulator.rest.replies import Reply, Request
from retell_voice.emulator.scenario.parser import parse_scenario
from retell_voice.emulator.server_events import ServerEvents
from retell_voice.emulator.visitors import Visitors
from retell_voice.errors import ConfigError
from retell_voice.kiosk.control.messages import (
    BadCommand,
    read_command,
    read_message,
    read_token,
)
from retell_voice.net.proxy import proxy_for
from retell_voice.net.refusal import read_refusal
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.dialects import PHONES
from retell_voice.protocol.exotel import ExotelClient
from retell_voice.protocol.gateway import (
    Admission,
    UnreadableAnswer,
    read_admission,
    read_control,
    read_join,
    read_joined,
    read_trickle,
)
from retell_voice.protocol.lenient import decode_base64, load_json, to_json
from retell_voice.protocol.llm import LlmPayloadError, LlmSide, RetellSide
from retell_voice.protocol.messages import AgentAudio
from retell_voice.protocol.messages import Reply as Sent
from retell_voice.protocol.monitor import MonitorClient
from retell_voice.protocol.phone import Caller
from retell_voice.protocol.plivo import PlivoClient
from retell_voice.protocol.telnyx import TelnyxClient
from retell_voice.protocol.twilio import TwilioClient
from retell_voice.protocol.vonage import VonageClient
from retell_voice.protocol.web import WebClient, WebServer
from retell_voice.recording.jsonl import line
from retell_voice.recording.story import Story, as_json, as_text
from retell_voice.report.account import read
from retell_voice.report.page import Recorded, page
from retell_voice.report.sound import hear, sound_for
from retell_voice.secret import hiding
from retell_voice.settings.load import read_file
from retell_voice.shown import clean, clean_lines

Target = Callable[[bytes], object]
_SECRET = "call_0123456789abcdef"
# In memory, where there is such a place: two targets read files.
_memory = Path("/dev/shm")
_scratch = Path(tempfile.mkdtemp(prefix="fuzz-", dir=_memory if _memory.is_dir() else None))
atexit.register(shutil.rmtree, _scratch, ignore_errors=True)


def _messages(data: bytes) -> list[str | bytes]:
    """Several messages, as one text or one binary each."""
    parts: list[str | bytes] = []
    for part in data.split(b"\x00\xff\x00"):
        with suppress(UnicodeDecodeError):
            parts.append(part.decode())
            continue
        parts.append(part)
    return parts


def _client(make: Callable[[], object]) -> Target:
    def target(data: bytes) -> None:
        client, story, view, lines = make(), Story(), View(), Lines()
        for message in _messages(data):
            for event in client.receive(message, 1.0):  # type: ignore[attr-defined]  # a dialect
                if isinstance(event, AgentAudio | Sent):
                    continue
                view = reduce(view, event)
                for text in (*lines.feed(event), *(each.content for each in view.said)):
                    assert clean(text) == text
                for each in (line(event), story.tell(event)):
                    json.loads(each, parse_constant=no_json)
        json.loads(as_json(story.utterances), parse_constant=no_json)
        assert clean_lines(as_text(story.utterances)) == as_text(story.utterances)

    return target


def _lenient(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(ValueError):
        json.loads(to_json(load_json(text)), parse_constant=no_json)
    with suppress(ValueError):
        decode_base64(text)


def _llm(data: bytes) -> None:
    for message in _messages(data):
        for side in (RetellSide(), LlmSide()):
            with suppress(LlmPayloadError):
                side.receive(message)


def _emulator(data: bytes) -> None:
    server = WebServer(2)
    for message in _messages(data):
        server.receive(message)


def _phones(data: bytes) -> None:
    """What callers say to the emulator in the dialects of phone providers."""
    for phone in PHONES.values():
        codec = Codec("PCMU", 8000) if phone.mulaw else Codec("L16", phone.linear[0])
        server = phone.server(codec)
        for message in _messages(data):
            server.receive(message, 1.0)


def _http(data: bytes) -> None:
    peer = HttpPeer(lambda request: Reply(200, {"target": request.target}))
    middle = len(data) // 2
    for piece in (data[:middle], data[middle:]):
        peer.receive(piece)
        while peer.has_more:
            peer.go_on()


def _refusal(data: bytes) -> None:
    read_refusal(data)


def _report(data: bytes) -> None:
    text = data.decode("utf-8", "replace")
    with suppress(ConfigError):
        shown = page(Recorded(text[:20], read(text, "events.jsonl")))
        assert clean_lines(shown) == shown


def _wav(data: bytes) -> None:
    path = _scratch / f"{os.getpid()}.wav"
    path.write_bytes(data)
    with suppress(ConfigError):
        read_wav(path)
    hear(path, 0.0)
    sound_for(path, path, 2**20)


def _scenario(data: bytes) -> None:
    with suppress(ConfigError):
        parse_scenario(data.decode("utf-8", "replace"))


def _config(data: bytes) -> None:
    path = _scratch / f"{os.getpid()}.toml"
    path.write_bytes(data)
    with suppress(ConfigError):
        read_file(path)


def _gateway(data: bytes) -> None:
    """The control channel of a web call, and what its gateway is sent and answers."""
    story = Story()
    for message in _messages(data):
        for event in read_control(message, 1.0):
            for each in (line(event), story.tell(event)):
                json.loads(each, parse_constant=no_json)
        for parse in (read_join, read_joined, read_trickle):
            with suppress(UnreadableAnswer):
                parse(message)
        with suppress(UnreadableAnswer, ValueError):
            body = load_json(message if isinstance(message, str) else message.decode("latin-1"))
            if isinstance(body, dict):
                read_admission(body)


def _rest(data: bytes) -> None:
    """A request to the emulator's REST API: method and target, then a body."""
    head, _, body = data.partition(b"\n")
    method, _, target = head.decode("latin-1").partition(" ")
    registry = Registry(Calls(limit=3), ServerEvents(), now=lambda: 1.0)
    call = RegisteredCall(call_id="call_0123456789abcdef")
    registry.register(call)
    rest = Rest(registry, _NobodyLive())
    reply = rest.respond(Request(method, target, {"authorization": "Bearer x"}, body))
    if reply.status != 204:
        json.loads(reply.encode(), parse_constant=no_json)


class _NobodyLive:
    """No call is going on."""

    def create(self, call: RegisteredCall) -> Admission:
        return Admission(call_id=call.call_id, access_token="x", expires_at=2.0)

    def stop(self, call: RegisteredCall) -> None:
        pass

    def listen(self, call: RegisteredCall) -> Admission:
        return self.create(call)

    def take_over(self, call: RegisteredCall, identity: str) -> None:
        pass

    def steer(self, call: RegisteredCall, context: str | None, respond: bool) -> None:
        pass


def _control(data: bytes) -> None:
    """What a kiosk is told over its socket, line by line."""
    for message in data.split(b"\n"):
        with suppress(BadCommand):
            read_command(message)
        for parse in (read_token, read_message):
            with suppress(ValueError):
                parse(message)


def _javascript(data: bytes) -> None:
    """Webhooks: what is written is JSON that is written again just so."""
    with suppress(ValueError, RecursionError):
        text = stringify(json.loads(data))
        assert stringify(json.loads(text, parse_constant=no_json)) == text
        text.encode()


def _proxy(data: bytes) -> None:
    value, _, exceptions = data.decode("utf-8", "replace").partition("\n")
    with suppress(ConfigError):
        proxy_for("wss://host.example/x", {"https_proxy": value, "no_proxy": exceptions})


def _visitors(data: bytes) -> None:
    host, _, origin = data.decode("latin-1").partition("\n")
    Visitors(("app.example",)).refusal({"host": host, "origin": origin})


def _text(data: bytes) -> None:
    text = data.decode("utf-8", "surrogateescape")
    assert clean(clean(text)) == clean(text)
    clean(text).encode()
    assert _SECRET not in hiding((_SECRET,))(text)
    io.StringIO().write(clean_lines(text))


TARGETS: dict[str, Target] = {
    "web": _client(lambda: WebClient(2)),
    "monitor": _client(MonitorClient),
    "twilio": _client(lambda: TwilioClient(Caller())),
    "telnyx": _client(lambda: TelnyxClient(Caller())),
    "vonage": _client(lambda: VonageClient(Caller())),
    "plivo": _client(lambda: PlivoClient(Caller())),
    "exotel": _client(lambda: ExotelClient(Caller())),
    "emulator": _emulator,
    "phones": _phones,
    "lenient": _lenient,
    "llm": _llm,
    "http": _http,
    "gateway": _gateway,
    "rest": _rest,
    "control": _control,
    "javascript": _javascript,
    "refusal": _refusal,
    "report": _report,
    "wav": _wav,
    "scenario": _scenario,
    "config": _config,
    "proxy": _proxy,
    "visitors": _visitors,
    "text": _text,
    "account": machine.account,
    "sdp": machine.sdp,
    "packets": machine.packets,
    "mqtt": machine.mqtt,
    "joining": machine.joining,
    "keys": machine.keys,
    "sound_server": machine.sound_server,
    "traces": machine.recorded_traces,
}
