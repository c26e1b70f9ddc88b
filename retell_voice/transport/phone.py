"""The routes to voice servers that phone providers call: as Twilio dials them, and others.

A new dialect takes a row in ``PROVIDERS``, under its name in ``protocol.dialects``.
"""

from __future__ import annotations

import json
import secrets
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from urllib.parse import quote, urlsplit, urlunsplit

from retell_voice.audio.format import AudioFormat, Encoding
from retell_voice.errors import ConfigError, did_you_mean, show
from retell_voice.events import ProviderComplaint
from retell_voice.extras import how_to_install
from retell_voice.protocol import exotel, plivo, telnyx, twilio, vonage
from retell_voice.protocol.codecs import LINEAR, PCMU, Codec
from retell_voice.protocol.dialect import ClientDialect
from retell_voice.protocol.phone import Caller
from retell_voice.secret import Secret, mask_url
from retell_voice.transport.ports import Route
from retell_voice.transport.route import WebSocketRoute
from retell_voice.transport.websocket import Dial, server_of


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What is to be dialled.

    Attributes:
        url: of the server, whole. It may hold a secret.
        caller: who calls, with ids of this attempt.
        sends, receives: codecs of the caller's and the agent's voice.
        strict: tell what the provider would complain of.
        auth_token: with which the provider shows who it is; None: it does not.
    """

    url: str = field(repr=False)
    caller: Caller
    sends: Codec
    receives: Codec
    strict: bool
    auth_token: str | None = field(repr=False)


@dataclass(frozen=True, slots=True)
class Provider:
    """A phone provider.

    Attributes:
        name: as people write it.
        dial: returns what an attempt to connect takes.
        codec: of both directions, if none is asked for.
        codecs: those it has, without those of its rates that it has not; empty: only that one.
        rates: samples a second of its linear codecs.
        frame_ms: length that every frame of the caller's voice has.
        has_two: whether the two directions may have different codecs.
        unspoken: codecs that it has and that are not spoken here.
    """

    name: str
    dial: Callable[[_Wanted], Dial]
    codec: Codec = PCMU
    codecs: tuple[str, ...] = ()
    rates: tuple[int, ...] = ()
    frame_ms: int = 20
    has_two: bool = False
    unspoken: tuple[str, ...] = ()

    def check(self, codec: Codec) -> Codec:
        """Return a codec that the provider has.

        Raises:
            ConfigError: it has not.
        """
        if codec == self.codec or (
            codec.name in self.codecs and (codec.name not in LINEAR or codec.rate in self.rates)
        ):
            return codec
        raise ConfigError(f"{self.name} has no {codec}", f"it has: {self.known}")

    @property
    def known(self) -> str:
        """The codecs, for people."""
        linear = [each for each in self.codecs if each in LINEAR]
        others = [each for each in self.codecs or (self.codec.name,) if each not in LINEAR]
        others += [f"{name}/{rate}" for name in linear for rate in self.rates]
        return ", ".join(others)


def phone_route(
    dialect: str,
    url: str,
    *,
    call_id: str = "",
    from_number: str | None = None,
    to_number: str | None = None,
    parameters: Mapping[str, str] | None = None,
    codec: str | None = None,
    strict: bool = True,
    auth_token: str | None = None,
    connect_timeout: float = 10.0,
) -> Route:
    """Return the route to a voice server that is called as a phone provider calls it.

    Args:
        dialect: which provider: a key of ``PROVIDERS``.
        url: of the server's WebSocket, whole.
        call_id: appended to the URL, for calls that were registered; a secret.
        from_number, to_number: phone numbers of caller and called.
        parameters: what the server is told with the beginning of the stream.
        codec: ``PCMU``, ``PCMA``, ``L16/16000`` and the like, or two of them with a colon between:
            of the caller's and of the agent's voice; None: the provider's usual one.
        strict: tell what the provider would complain of (``ProviderComplaint``), and do what it
            would do.
        auth_token: with which the provider signs its request or shows who it is; a secret.
        connect_timeout: seconds that the server may take to answer.

    Raises:
        ConfigError: there is no such dialect or codec, or the URL is not that of a WebSocket.
    """
    for name, value in (("dialect", dialect), ("url", url)):
        if not isinstance(value, str):
            raise TypeError(f"the {name} is text, not {type(value).__name__}")
    if not isinstance(parameters, Mapping | None):
        raise TypeError(f"parameters= takes a mapping, not {type(parameters).__name__}")
    provider = provider_of(dialect)
    sends, receives = codecs_of(provider, codec)
    token = Secret(auth_token) if auth_token else None
    whole = Secret(f"{url.rstrip('/')}/{quote(call_id, safe='')}") if call_id else url
    server_of(url)

    def dial() -> Dial:
        caller = Caller(from_number=from_number, to_number=to_number, parameters=parameters or {})
        dialled = provider.dial(_Wanted(whole, caller, sends, receives, strict, token))
        refused = None if call_id else _REFUSED
        return replace(dialled, refused=refused, closed="the log of your server may say why")

    return WebSocketRoute(
        provider.name,
        dial,
        near_end=_format(sends),
        far_end=_format(receives),
        frame_ms=provider.frame_ms,
        secrets=tuple(Secret(each) for each in (call_id, auth_token) if each),
        connect_timeout=connect_timeout,
    )


_REFUSED: Mapping[int, str] = {
    **dict.fromkeys(
        (401, 403),
        "does it want to see the provider's secret? RETELL_VOICE_AUTH_TOKEN, or auth_token",
    ),
    404: "check the path in the URL, which is dialled as it is",
}
"""What to try where a server that is no registered call's refuses one, by HTTP status."""


def provider_of(dialect: str) -> Provider:
    """Return a phone provider.

    Raises:
        ConfigError: there is none of that name.
    """
    provider = PROVIDERS.get(dialect)
    if provider is None:
        raise ConfigError(
            f"there is no dialect {show(dialect)}", did_you_mean(dialect, tuple(PROVIDERS))
        )
    return provider


def codecs_of(provider: Provider, text: str | None) -> tuple[Codec, Codec]:
    """Return the codecs of the caller's and the agent's voice that a text means.

    Raises:
        ConfigError: there is no such codec, or the provider does not have it.
    """
    if not text:
        return provider.codec, provider.codec
    near, mark, far = text.partition(":")
    sends = _codec_of(provider, near)
    receives = _codec_of(provider, far) if mark else sends
    if sends != receives and not provider.has_two:
        raise ConfigError(
            f"{provider.name} has one codec for both directions, not {sends}:{receives}"
        )
    return sends, receives


def _codec_of(provider: Provider, text: str) -> Codec:
    name = text.strip().upper().partition("/")[0]
    if name in provider.unspoken:
        raise ConfigError(
            f"{provider.name} has {name}, which is not spoken here",
            f"set the stream up with another one: {provider.known}",
        )
    try:
        codec = Codec.parse(text)
    except ConfigError as error:
        raise ConfigError(str(error), f"{provider.name} has: {provider.known}") from None
    return provider.check(codec)


def formats_of(dialect: str, codec: str | None = None) -> tuple[AudioFormat, AudioFormat]:
    """Return the formats of the caller's and of the agent's voice.

    Raises:
        ConfigError: there is no such dialect or codec.
    """
    sends, receives = codecs_of(provider_of(dialect), codec)
    return _format(sends), _format(receives)


def _format(codec: Codec) -> AudioFormat:
    return AudioFormat(Encoding.MULAW if codec.is_mulaw else Encoding.S16LE, codec.rate)


def _sid(kind: str) -> str:
    return kind + secrets.token_hex(16)


def _twilio(wanted: _Wanted) -> Dial:
    caller = replace(wanted.caller, account=_sid("AC"), call=_sid("CA"), stream=_sid("MZ"))
    complaints = []
    url = wanted.url
    if wanted.strict:
        parts = urlsplit(url)
        if parts.query:
            url = Secret(urlunsplit(parts._replace(query="")))
            problem = (
                "the URL has a query, which Twilio does not take: it is left out here; "
                "<Parameter> (--parameter NAME=VALUE) is for that"
            )
            complaints.append(ProviderComplaint(provider="Twilio", code="31920", problem=problem))
        local = server_of(url)[1]
        if parts.scheme != "wss" and not local:
            problem = f"the URL {mask_url(url)!r} is not wss://, and Twilio dials no other"
            complaints.append(ProviderComplaint(provider="Twilio", code="31922", problem=problem))
        complaints += [
            ProviderComplaint(
                provider="Twilio",
                code="",
                problem=f"the parameter {show(name)} is longer, with its value, than the "
                f"{twilio.LONGEST_PARAMETER} characters that Twilio takes",
            )
            for name, value in caller.all_parameters.items()
            if len(name) + len(value) > twilio.LONGEST_PARAMETER
        ]
    headers = {}
    if wanted.auth_token:
        headers[twilio.SIGNATURE] = twilio.signature(wanted.auth_token, url)
    dialect: ClientDialect = twilio.TwilioClient(caller, strict=wanted.strict)
    return Dial(url, dialect, headers, tuple(complaints))


def _telnyx(wanted: _Wanted) -> Dial:
    account, session, stream = (str(uuid.uuid4()) for _ in range(3))
    call = f"v3:{secrets.token_urlsafe(40)}"
    caller = replace(wanted.caller, account=account, call=call, stream=stream)
    dialect: ClientDialect = telnyx.TelnyxClient(
        caller,
        session=session,
        sends=wanted.sends,
        receives=wanted.receives,
        strict=wanted.strict,
        auth_token=wanted.auth_token,
        epoch=time.time(),
    )
    headers = {telnyx.TOKEN: wanted.auth_token} if wanted.auth_token else {}
    return Dial(wanted.url, dialect, headers)


def _vonage(wanted: _Wanted) -> Dial:
    headers = wanted.caller.all_parameters
    complaints = []
    size = len(json.dumps(headers).encode())
    if wanted.strict and headers and size > vonage.LONGEST_HEADERS:
        problem = (
            f"the parameters take {size} bytes, and Vonage takes headers of "
            f"{vonage.LONGEST_HEADERS} at the most"
        )
        complaints.append(ProviderComplaint(provider="Vonage", code="", problem=problem))
    dialect: ClientDialect = vonage.VonageClient(
        wanted.caller, codec=wanted.sends, strict=wanted.strict
    )
    signed = {"Authorization": f"Bearer {_jwt(wanted.auth_token)}"} if wanted.auth_token else {}
    return Dial(wanted.url, dialect, signed, tuple(complaints))


def _plivo(wanted: _Wanted) -> Dial:
    account = f"MA{secrets.token_hex(9).upper()}"
    call, stream = str(uuid.uuid4()), str(uuid.uuid4())
    caller = replace(wanted.caller, account=account, call=call, stream=stream)
    dialect: ClientDialect = plivo.PlivoClient(
        caller, codec=wanted.sends, strict=wanted.strict, epoch=time.time()
    )
    return Dial(wanted.url, dialect)


def _exotel(wanted: _Wanted) -> Dial:
    account, call, stream = (secrets.token_hex(16) for _ in range(3))
    caller = replace(wanted.caller, account=account, call=call, stream=stream)
    dialect: ClientDialect = exotel.ExotelClient(caller, codec=wanted.sends, strict=wanted.strict)
    return Dial(wanted.url, dialect)


def _jwt(secret: str) -> str:
    try:
        return vonage.signed_token(secret, now=time.time(), jti=str(uuid.uuid4()))
    except ImportError:
        raise ConfigError(
            "Vonage's token needs the package PyJWT", how_to_install("vonage")
        ) from None


PROVIDERS: Mapping[str, Provider] = {
    "twilio": Provider("Twilio", _twilio),
    "telnyx": Provider(
        *("Telnyx", _telnyx),
        codecs=("PCMU", "PCMA", "L16", "L16BE"),
        rates=telnyx.RATES,
        has_two=True,
        unspoken=telnyx.UNSPOKEN,
    ),
    "vonage": Provider(
        "Vonage", _vonage, vonage.LINEAR, codecs=("L16",), rates=(8000, 16_000, 24_000)
    ),
    "plivo": Provider("Plivo", _plivo, codecs=("PCMU", "L16"), rates=(8000, 16_000)),
    "exotel": Provider(
        *("Exotel", _exotel, exotel.LINEAR),
        codecs=("L16",),
        rates=(8000, 16_000, 24_000),
        frame_ms=exotel.FRAME_MS,
    ),
}
"""Those that can be played, by the name of their dialect."""
