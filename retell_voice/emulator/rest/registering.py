"""What requests say of a call: when it is registered, and once it is over. Pure."""

from __future__ import annotations

from retell_voice.audio.format import MAX_RATE, MIN_RATE, AudioFormat, Encoding
from retell_voice.emulator.calls import RegisteredCall
from retell_voice.emulator.dialects import DIALECTS, refusal
from retell_voice.emulator.rest.fields import Fields, parse_object
from retell_voice.emulator.rest.live_calls import read_metadata, read_storage

MIN_SILENCE_MS = 10_000
"""Least ``end_call_after_silence_ms`` (Retell, "Register Call")."""


def parse_registration(body: bytes) -> RegisteredCall:
    """Read the body of ``POST /register-call``; fields it does not know are ignored.

    Raises:
        HttpError: 400 when it is not a JSON object, 422 naming the field that is wrong.
    """
    read = parse_object(body)
    protocol = read.choice("audio_websocket_protocol", tuple(DIALECTS), required=True)
    encoding = read.choice("audio_encoding", tuple(map(str, Encoding)), required=True)
    rate = read.integer("sample_rate", MIN_RATE, MAX_RATE, required=True)
    return _registered(read, protocol, encoding, rate)


def parse_phone_registration(body: bytes) -> RegisteredCall:
    """Read the body of ``POST /v2/register-phone-call``.

    Today's Retell is then dialled over SIP, which the emulator has not: the caller joins on the
    Audio WebSocket, in the dialect of ``audio_websocket_protocol``, which together with
    ``audio_encoding`` and ``sample_rate`` is of this call's early days and may be left out:
    ``twilio``, ``mulaw``, 8000.

    Raises:
        HttpError: as ``parse_registration``.
    """
    read = parse_object(body)
    protocol = read.choice("audio_websocket_protocol", tuple(DIALECTS)) or "twilio"
    encoding = read.choice("audio_encoding", tuple(map(str, Encoding))) or "mulaw"
    rate = read.integer("sample_rate", MIN_RATE, MAX_RATE) or 8000
    return _registered(read, protocol, encoding, rate)


def _registered(read: Fields, protocol: str, encoding: str, rate: int) -> RegisteredCall:
    audio = AudioFormat(Encoding(encoding), rate)
    if why := refusal(protocol, audio):
        read.wrong("sample_rate", f"does not fit: {why}")
    return RegisteredCall(
        agent_id=read.string("agent_id", required=True)
        or read.wrong("agent_id", "must not be empty"),
        agent_version=read.version("agent_version"),
        protocol=protocol,
        audio=audio,
        end_call_after_silence_ms=read.integer("end_call_after_silence_ms", MIN_SILENCE_MS),
        from_number=read.string("from_number"),
        to_number=read.string("to_number"),
        direction=read.choice("direction", ("inbound", "outbound")),
        metadata=read.object("metadata"),
        dynamic_variables=read.map("retell_llm_dynamic_variables", str, "strings"),
        drop_call_if_machine_detected=bool(read.boolean("drop_call_if_machine_detected")),
    )


def update_call(call: RegisteredCall, body: bytes) -> None:
    """Carry out the body of ``PATCH /v2/update-call``; what it does not name stays.

    Retell ignores custom attributes that are not defined in its dashboard; here every one is.

    Raises:
        HttpError: 400 when it is not a JSON object, 422 naming the field that is wrong.
    """
    read = parse_object(body)
    metadata, storage = read_metadata(read), read_storage(call, read)
    attributes = read.map("custom_attributes", (str, int, float), "strings, numbers, true or false")
    call.metadata = call.metadata if metadata is None else metadata
    call.storage = storage or call.storage
    if attributes is not None:
        call.custom_attributes = {**(call.custom_attributes or {}), **attributes}
