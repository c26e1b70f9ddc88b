"""Everything the server knows about one call, as lines for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from retell_voice.cli.when import show_time
from retell_voice.program.account import is_over
from retell_voice.protocol.monitor import item_content
from retell_voice.rest import CallDetails
from retell_voice.rest.fields import inner, number, text
from retell_voice.secret import mask
from retell_voice.shown import clean, clock

_WIDTH = 12
_FIGURES = (("llm", "LLM"), ("tts", "TTS"), ("asr", "ASR"))
_SPEAKERS = {"agent": "agent", "user": "user", "transfer_target": "third party"}


def call_page(details: CallDetails) -> str:
    """Return the page; until the call is over, its call_id is masked."""
    lines = [f"{name:{_WIDTH}}{clean(value)}".rstrip() for name, value in _rows(details) if value]
    said = list(_transcript(details))
    return "\n".join([*lines, *([""] if said else []), *said])


def _rows(details: CallDetails) -> Iterator[tuple[str, str]]:
    body = details.body
    yield "call", details.call_id if is_over(details) else mask(details.call_id)
    yield "status", " by ".join(filter(None, (details.status, details.disconnection_reason)))
    yield "agent", _agent(details)
    yield "kind", " ".join(filter(None, (text(body, "direction"), _kind(details))))
    yield "numbers", _numbers(body)
    yield "began", show_time(details.started)
    yield "ended", show_time(details.ended)
    yield "length", "" if details.duration is None else clock(details.duration)
    yield "latency", _latency(details)
    yield "cost", _cost(details)
    yield "variables", _object(body, "retell_llm_dynamic_variables")
    yield "collected", _object(body, "collected_dynamic_variables")
    yield "metadata", _object(body, "metadata")
    yield "summary", details.summary or ""
    yield "mood", details.sentiment or ""
    if details.successful is not None:
        yield "successful", "yes" if details.successful else "no"
    yield "analysis", _object(inner(body, "call_analysis"), "custom_analysis_data")
    yield "recording", details.recording_url or ""


def _agent(details: CallDetails) -> str:
    words = [text(details.body, "agent_name"), details.agent_id]
    version = number(details.body, "agent_version")
    if version is not None:
        words.append(f"version {version:g}")
    return ", ".join(filter(None, words))


def _kind(details: CallDetails) -> str:
    return (text(details.body, "call_type") or "").replace("_", " ")


def _numbers(body: Mapping[str, Any]) -> str:
    caller, called = text(body, "from_number"), text(body, "to_number")
    return f"{caller or 'unknown'} called {called or 'unknown'}" if caller or called else ""


def _latency(details: CallDetails) -> str:
    latency = inner(details.body, "latency")
    whole = inner(latency, "e2e")
    words = [
        f"{value / 1000:.2f} s {what}"
        for name, what in (("p50", "(median)"), ("p95", "(95 %)"))
        if (value := number(whole, name)) is not None
    ]
    words += [
        f"{what} {value / 1000:.2f} s"
        for name, what in _FIGURES
        if (value := number(inner(latency, name), "p50")) is not None
    ]
    return ", ".join(words)


def _cost(details: CallDetails) -> str:
    if details.cost is None:
        return ""
    products = inner(details.body, "call_cost").get("product_costs")
    parts = [
        f"{text(each, 'product')} ${cost / 100:.3f}"
        for each in (products if isinstance(products, list) else ())
        if isinstance(each, dict) and (cost := number(each, "cost")) is not None
    ]
    return f"${details.cost / 100:.2f}" + (f" ({', '.join(parts)})" if parts else "")


def _transcript(details: CallDetails) -> Iterator[str]:
    """Yield what was said and done, with tool calls if the server has them, else as text."""
    for name in ("transcript_with_tool_calls", "transcript_object"):
        items = details.body.get(name)
        if isinstance(items, list) and items:
            yield from (_said(item) for item in items if isinstance(item, dict))
            return
    yield from (clean(line) for line in (details.transcript or "").splitlines())


def _said(item: Mapping[str, Any]) -> str:
    role = text(item, "role") or ""
    who = _SPEAKERS.get(role, role.replace("_", " "))
    words = item.get("words")
    first = words[0] if isinstance(words, list) and words else None
    at = number(first, "start") if isinstance(first, dict) else number(item, "time_sec")
    when = " " * 5 if at is None or not 0 <= at < 1e6 else clock(at)
    return f"{when}  {clean(who)}: {clean(item_content(role, item))}"


def _object(body: Mapping[str, Any], name: str) -> str:
    value = body.get(name)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict) and value else ""
