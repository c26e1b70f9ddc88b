"""A call as JSON, as Retell's REST API and webhooks have it. Pure.

The fields are those of ``retell-sdk`` 6.2 (``WebCallResponse``, ``PhoneCallResponse``) and those
of the days of the Audio WebSocket (``audio_websocket_protocol`` and the like). What the emulator
does not have is absent, such as cost. Some that the SDK requires are made up: ``agent_version`` is
0 unless a number was asked for, ``access_token`` is empty but for web calls, and so are the numbers
of a phone call, which is inbound, where it was registered without.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from retell_voice.emulator.calls import RegisteredCall
from retell_voice.protocol.llm import transcript_item


def registration_body(call: RegisteredCall) -> dict[str, Any]:
    """Return the answer to ``POST /register-call``."""
    return _with_start(call, _known(call))


def first_call_body(call: RegisteredCall) -> dict[str, Any]:
    """Return the call as the first version of the API did."""
    return _with_start(call, call_body(call))


def _with_start(call: RegisteredCall, body: dict[str, Any]) -> dict[str, Any]:
    """Add what the first clients require of a call that has not begun."""
    return {"start_timestamp": _milliseconds(call.registered_at), **body}


def _known(call: RegisteredCall) -> dict[str, Any]:
    known = {
        "end_call_after_silence_ms": call.end_call_after_silence_ms,
        "from_number": call.from_number,
        "to_number": call.to_number,
        "direction": call.direction,
        "metadata": call.metadata,
        "retell_llm_dynamic_variables": _variables(call),
        "start_timestamp": _milliseconds(call.started_at),
        "end_timestamp": _milliseconds(call.ended_at),
    }
    return {
        "call_id": call.call_id,
        "agent_id": call.agent_id,
        **(_socket(call) if call.protocol != "gateway" else {}),
        "call_status": str(call.status),
        "drop_call_if_machine_detected": call.drop_call_if_machine_detected,
        "opt_out_sensitive_data_storage": False,
        **{name: value for name, value in known.items() if value is not None},
    }


def call_body(call: RegisteredCall, transcripts: bool = True) -> dict[str, Any]:
    """Return the call, with its transcripts unless ``transcripts`` is false."""
    body = _known(call) | {
        "call_type": "web_call" if call.protocol in ("web", "gateway") else "phone_call",
        "access_token": call.access_token or "",
        "agent_version": call.agent_version if isinstance(call.agent_version, int) else 0,
        "data_storage_setting": call.storage,
    }
    if call.agent_name:
        body["agent_name"] = call.agent_name
    if body["call_type"] == "phone_call":
        body = {"direction": "inbound", "from_number": "", "to_number": ""} | body
    if call.custom_attributes is not None:
        body["custom_attributes"] = dict(call.custom_attributes)
    if call.started_at is not None and call.ended_at is not None:
        body["duration_ms"] = round((call.ended_at - call.started_at) * 1000)
    for name in ("recording_url", "public_log_url", "call_analysis"):
        if (value := getattr(call, name)) is not None:
            body[name] = value
    if call.disconnection_reason is not None:
        body["disconnection_reason"] = call.disconnection_reason
    if call.over and call.latencies:
        body["latency"] = {kind: _spread(values) for kind, values in call.latencies.items()}
    if transcripts and (call.transcript or call.over):
        body["transcript"] = "".join(
            f"{said.role.capitalize()}: {said.content}\n" for said in call.transcript
        )
        body["transcript_object"] = [transcript_item(said) for said in call.transcript]
        if call.transcript_with_tool_calls is not None:
            body["transcript_with_tool_calls"] = [
                transcript_item(said) for said in call.transcript_with_tool_calls
            ]
    return body


def _variables(call: RegisteredCall) -> dict[str, str] | None:
    if call.dynamic_variables is None and call.dynamic_overrides is None:
        return None
    return {**(call.dynamic_variables or {}), **(call.dynamic_overrides or {})}


def _socket(call: RegisteredCall) -> dict[str, Any]:
    return {
        "audio_websocket_protocol": call.protocol,
        "audio_encoding": str(call.audio.encoding),
        "sample_rate": call.audio.rate,
    }


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _spread(values: Sequence[float]) -> dict[str, Any]:
    percentiles = {f"p{p}": round(float(np.percentile(values, p)), 3) for p in (50, 90, 95, 99)}
    extremes = {"min": min(values), "max": max(values), "num": len(values)}
    return percentiles | extremes | {"values": list(values)}
