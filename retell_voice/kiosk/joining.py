"""What one needs to join a call, as a command or an endpoint of the owner's returns it. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from retell_voice.audio.format import AudioFormat
from retell_voice.errors import AudioFormatError, ConfigError
from retell_voice.protocol.gateway import (
    Admission,
    NotGateway,
    UnreadableAnswer,
    read_admission,
)
from retell_voice.protocol.lenient import load_json
from retell_voice.secret import Secret

_MOST = 65536


@dataclass(frozen=True, slots=True)
class Joining:
    """Lets its bearer join one call over the Audio WebSocket.

    Attributes:
        call_id: a secret.
        url: where; ``/{call_id}`` is appended.
        audio: encoding and rate with which it was registered.
    """

    call_id: str
    url: str
    audio: AudioFormat


def read_joining(text: str, *, url: str, audio: AudioFormat) -> Joining | Admission:
    """Return what a text lets one join: a call_id, or a JSON object that has one.

    What a server answered to create-web-call is the admission to a web call.

    Of an object, ``url``, ``encoding`` (or ``audio_encoding``) and ``rate`` (or ``sample_rate``)
    go before what is set; what else it holds, an answer of register-call's for example, does not
    matter.

    Args:
        text: as it came.
        url, audio: where it says nothing else.

    Raises:
        ConfigError: no call can be joined with it; never shows it.
    """
    text = Secret(text).strip()
    if len(text) > _MOST:
        raise ConfigError("what came back is too long to be a call")
    if not text.startswith(("{", '"')):
        return Joining(_call_id(text), url, audio)
    try:
        found = load_json(text)
    except ValueError:
        raise ConfigError("what came back is neither a call_id nor JSON") from None
    if isinstance(found, str):
        return Joining(_call_id(found), url, audio)
    if not isinstance(found, dict):
        raise ConfigError("what came back is no JSON object")
    if "access_token" in found:
        return _admission(found)
    encoding: Any = found.get("encoding", found.get("audio_encoding", str(audio.encoding)))
    rate: Any = found.get("rate", found.get("sample_rate", audio.rate))
    try:
        audio = AudioFormat(encoding, rate)
    except (AudioFormatError, TypeError, ValueError) as error:
        raise ConfigError(f"what came back has no usable audio format: {error}") from None
    return Joining(_call_id(found.get("call_id")), _url(found.get("url", url)), audio)


def _admission(found: dict[str, Any]) -> Admission:
    try:
        return read_admission(found)
    except (NotGateway, UnreadableAnswer) as error:
        raise ConfigError(f"what came back is no web call that can be joined: {error}") from None


def _call_id(value: object) -> Secret:
    if not isinstance(value, str) or not value or not value.isprintable() or " " in value:
        raise ConfigError("what came back has no call_id", "print it alone, or as JSON")
    return Secret(value)


def _url(value: object) -> str:
    try:
        if isinstance(value, str) and value.isprintable():
            parts = urlsplit(value)
            if parts.scheme in ("ws", "wss") and parts.hostname:
                return value
    except ValueError:
        pass
    raise ConfigError("what came back has a url that no call can be joined at")
