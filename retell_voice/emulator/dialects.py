"""In which dialect a call is answered on its WebSocket.

Those of phone providers are listed in ``protocol.dialects``; how a provider proves who it is, here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from websockets.http11 import Request

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.extras import how_to_install
from retell_voice.protocol import telnyx, twilio, vonage
from retell_voice.protocol.codecs import Codec
from retell_voice.protocol.dialect import ServerDialect
from retell_voice.protocol.dialects import PHONES, Phone
from retell_voice.protocol.web import WebServer

Query: TypeAlias = Mapping[str, list[str]]
"""The query of the URL that a caller dialled."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a caller is answered.

    Attributes:
        dialect: what is spoken, new for each caller.
        updates, alignment: what the caller asked for.
    """

    dialect: ServerDialect
    updates: bool = False
    alignment: bool = False


def _web(call: RegisteredCall, query: Query) -> Answer:
    alignment = _flag(query, "enable_audio_alignment")
    return Answer(
        WebServer(call.audio.sample_width, alignment=alignment),
        updates=_flag(query, "enable_update"),
        alignment=alignment,
    )


def _answering(phone: Phone) -> Callable[[RegisteredCall, Query], Answer]:
    return lambda call, _: Answer(phone.server(_codec(call)))


def _codec(call: RegisteredCall) -> Codec:
    is_mulaw = call.audio.encoding is Encoding.MULAW
    return Codec("PCMU" if is_mulaw else "L16", call.audio.rate)


DIALECTS: Mapping[str, Callable[[RegisteredCall, Query], Answer]] = {
    "web": _web,
    **{name: _answering(phone) for name, phone in PHONES.items()},
}
"""Those spoken here, by ``audio_websocket_protocol``."""


def refusal(dialect: str, audio: AudioFormat) -> str:
    """Return why no call can be registered for a dialect, for people; empty: it can."""
    if dialect not in DIALECTS:
        return f"the dialect {dialect} is not spoken here"
    phone = PHONES.get(dialect)
    if phone is None:
        return ""
    formats = {Encoding.MULAW: phone.mulaw, Encoding.S16LE: phone.linear}
    if audio.rate in formats.get(audio.encoding, ()):
        return ""
    known = ", ".join(f"{each} {rate} Hz" for each, rates in formats.items() for rate in rates)
    return f"{dialect} carries {known}, not {audio.encoding} {audio.rate} Hz"


def format_example(dialect: str) -> str:
    """Return the options of the first format that a dialect carries; empty: it is not known."""
    phone = PHONES.get(dialect)
    if phone is None:
        return ""
    encoding, rates = ("mulaw", phone.mulaw) if phone.mulaw else ("s16le", phone.linear)
    return f": for example --encoding {encoding} --rate {rates[0]}"


def unproven(call: RegisteredCall, request: Request, auth_token: str) -> str:
    """Return what keeps a phone provider from having shown who it is; empty: nothing."""
    return _PROOFS[call.protocol](request, auth_token) if call.protocol in _PROOFS else ""


def _signed_by_twilio(request: Request, auth_token: str) -> str:
    given = request.headers.get(twilio.SIGNATURE)
    if given is None:
        return f"there is no {twilio.SIGNATURE}"
    where = f"{request.headers.get('Host', '')}{request.path}"
    # What a proxy with TLS in front of this was dialled as is not known here.
    if any(twilio.is_signed(given, auth_token, f"{scheme}://{where}") for scheme in ("wss", "ws")):
        return ""
    return f"the {twilio.SIGNATURE} is not that of wss://{where.split('/', 1)[0]}/…"


def _shown_by_telnyx(request: Request, auth_token: str) -> str:
    given = request.headers.get(telnyx.TOKEN)
    if given is None:
        return f"there is no {telnyx.TOKEN}"
    return "" if telnyx.is_token(given, auth_token) else f"the {telnyx.TOKEN} is another"


def _signed_by_vonage(request: Request, auth_token: str) -> str:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        return "there is no Authorization: Bearer"
    try:
        wrong = vonage.wrong_token(token.strip(), auth_token)
    except ImportError:
        return f"the emulator cannot check a JWT: {how_to_install('vonage')}"
    return wrong and f"the JWT is not good: {wrong}"


_PROOFS: Mapping[str, Callable[[Request, str], str]] = {
    "twilio": _signed_by_twilio,
    "telnyx": _shown_by_telnyx,
    "vonage": _signed_by_vonage,
}


def _flag(query: Query, name: str) -> bool:
    return query.get(name, ["false"])[-1].lower() in ("true", "1")
