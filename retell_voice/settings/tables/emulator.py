"""Settings of ``retell-voice emulator``."""

# ruff: noqa: RUF009 - setting() makes fields, as dataclasses.field does

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from retell_voice.protocol.dialects import DIALECTS
from retell_voice.secret import Secret
from retell_voice.settings.schema import Settings, Sourced, setting

_SERVER, _AGENT, _TURNS = "The server", "The agent", "Turns of an LLM server's calls"
_AFTER = "Calls that are over"


class AgentNames(dict[str, str]):
    """Names of agents by their ids."""

    def __str__(self) -> str:
        return ",".join(f"{agent_id}={name}" for agent_id, name in self.items())


def _agents(text: str) -> AgentNames:
    names = AgentNames()
    for part in text.split(","):
        agent_id, mark, name = part.partition("=")
        agent_id, name = agent_id.strip(), name.strip()
        if not mark or not re.fullmatch(r"[!-~]{1,200}", agent_id) or agent_id in names:
            raise ValueError("a list of agents with distinct ids: agent_1=Front desk,agent_2=Ann")
        names[agent_id] = name
    return names


@dataclass(frozen=True, kw_only=True)
class EmulatorSettings(Settings):
    """Settings of ``retell-voice emulator``; section ``[emulator]`` of the file."""

    section: ClassVar[str] = "emulator"

    host: Sourced[str] = setting(
        "127.0.0.1",
        "Address to listen on. 0.0.0.0 lets everyone on your network in.",
        _SERVER,
        metavar="ADDRESS",
    )
    port: Sourced[int] = setting(
        8090,
        "Port to listen on; 0 takes any free one.",
        _SERVER,
        minimum=0,
        maximum=65535,
        metavar="PORT",
    )
    allowed_hosts: Sourced[str] = setting(
        "",
        "Host names, separated by commas, by which programs and web pages may reach the emulator, "
        "besides this machine's own; * for any.",
        _SERVER,
        metavar="NAMES",
    )
    prefix: Sourced[str] = setting(
        "", "Path prefix of every route, for example /retell.", _SERVER, metavar="PATH"
    )
    api_key: Sourced[str | None] = setting(
        None,
        "The only API key that REST calls may carry; by default any will do. It is a secret: "
        "set it in the environment or the config file instead.",
        _SERVER,
        kind=Secret,
        metavar="KEY",
    )
    agents: Sourced[AgentNames | None] = setting(
        None,
        "The agents that exist, ID=NAME, separated by commas: they are listed, and calls with "
        "others are refused. By default any agent_id will do.",
        _SERVER,
        kind=str,
        metavar="ID=NAME,…",
        read=_agents,
    )
    accept_any: Sourced[bool] = setting(
        False,
        "Accept any call_id, registered or not, in the format of --encoding and --rate.",
        _SERVER,
    )
    dialect: Sourced[str] = setting(
        "web",
        "Dialect of unregistered calls.",
        _SERVER,
        choices=DIALECTS,
        metavar="NAME",
    )
    encoding: Sourced[str] = setting(
        "s16le",
        "Encoding of unregistered calls.",
        _SERVER,
        choices=("s16le", "mulaw"),
        metavar="NAME",
    )
    rate: Sourced[int] = setting(
        24000,
        "Sample rate of unregistered calls.",
        _SERVER,
        minimum=8000,
        maximum=48000,
        unit="Hz",
        metavar="HZ",
    )
    expiry: Sourced[float] = setting(
        300.0,
        "Seconds within which a registered call must be joined.",
        _SERVER,
        minimum=1,
        maximum=86400,
        unit="s",
        metavar="SECONDS",
    )
    max_calls: Sourced[int] = setting(
        10_000,
        "Calls registered or ongoing at a time; one more is answered with 429.",
        _SERVER,
        minimum=1,
        maximum=10_000,
        metavar="N",
    )
    webhook_url: Sourced[str | None] = setting(
        None,
        "Where webhooks are posted, signed with --api-key.",
        _SERVER,
        kind=str,
        prefixes=("http://", "https://"),
        metavar="URL",
    )
    webhook_events: Sourced[str] = setting(
        "call_started,call_ended,call_analyzed",
        "Webhooks that are posted, separated by commas; transcript_updated is one more.",
        _SERVER,
        metavar="NAMES",
    )
    webhook_timeout_ms: Sourced[int] = setting(
        10_000,
        "Time within which a webhook must be answered before it is sent again.",
        _SERVER,
        minimum=100,
        maximum=60_000,
        unit="ms",
        metavar="MS",
    )
    refuse: Sourced[str | None] = setting(
        None,
        "Refuse the first requests of a kind, for example register=429x2,any=500; also create, "
        "get, list, join, trickle, leave.",
        _SERVER,
        kind=str,
        metavar="KIND=STATUSxN,…",
    )
    recording_url: Sourced[str | None] = setting(
        None, "The recording_url of calls that are over.", _AFTER, kind=str, metavar="URL"
    )
    public_log_url: Sourced[str | None] = setting(
        None, "The public_log_url of calls that are over.", _AFTER, kind=str, metavar="URL"
    )
    call_analysis: Sourced[str | None] = setting(
        None,
        "The call_analysis of calls that are over, a JSON object such as "
        '{"call_successful":true}; the webhook call_analyzed is sent then.',
        _AFTER,
        kind=str,
        metavar="JSON",
    )
    auth_token: Sourced[str | None] = setting(
        None,
        "The secret with which phone providers must sign their WebSocket requests, such as "
        "Twilio's auth token; by default they need not.",
        _SERVER,
        kind=Secret,
        is_option=False,
    )
    answer_pings: Sourced[bool] = setting(True, "Answer the text 'ping' with 'pong'.", _SERVER)
    llm: Sourced[str | None] = setting(
        None,
        "Custom LLM server to connect to for each call; /CALL_ID is appended. By default the "
        "agent is a parrot.",
        _AGENT,
        kind=str,
        prefixes=("ws://", "wss://"),
        metavar="URL",
    )
    scenario: Sourced[str | None] = setting(
        None,
        "TOML file that scripts what the server does, faults included.",
        _AGENT,
        kind=str,
        metavar="FILE",
    )
    interruptible: Sourced[bool] = setting(
        True, "Let callers talk over the agent; turn off if their microphones pick it up.", _AGENT
    )
    tts: Sourced[str] = setting(
        "auto",
        "Speech synthesis for an LLM server or a scenario: piper, espeak, mumble (no words, "
        "always available), or a Piper voice (.onnx); auto picks the best one installed.",
        _AGENT,
        metavar="NAME",
    )
    asr: Sourced[str] = setting(
        "auto",
        "Speech recognition for an LLM server: whisper, pocketsphinx, none (type what the caller "
        "says), or a directory with a faster-whisper model; auto picks the best one installed.",
        _AGENT,
        metavar="NAME",
    )
    detector: Sourced[str] = setting(
        "auto",
        "Voice detector: energy uses the level and is cheap, neural needs the extra 'emulator'. "
        "auto: neural for an LLM server if installed, else energy.",
        _AGENT,
        choices=("auto", "neural", "energy"),
        metavar="NAME",
    )
    endpoint_ms: Sourced[int] = setting(
        600,
        "Silence that ends the caller's turn, at responsiveness 1.",
        _TURNS,
        minimum=100,
        maximum=5000,
        unit="ms",
        metavar="MS",
    )
    barge_in_ms: Sourced[int] = setting(
        200,
        "Speech that interrupts the agent, at interruption sensitivity 1.",
        _TURNS,
        minimum=20,
        maximum=2000,
        unit="ms",
        metavar="MS",
    )
    begin_message_delay_ms: Sourced[int] = setting(
        0,
        "How long the agent waits before its first words.",
        _TURNS,
        minimum=0,
        maximum=5000,
        unit="ms",
        metavar="MS",
    )
    reminder_trigger_ms: Sourced[int] = setting(
        10_000,
        "Silence after which the LLM server is asked for a reminder.",
        _TURNS,
        minimum=1000,
        maximum=600_000,
        unit="ms",
        metavar="MS",
    )
    reminder_max_count: Sourced[int] = setting(
        1, "Reminders in a row.", _TURNS, minimum=0, maximum=100, metavar="N"
    )
    end_call_after_silence_ms: Sourced[int] = setting(
        600_000,
        "Silence of the caller that ends the call, unless the call was registered with its own.",
        _TURNS,
        minimum=10_000,
        maximum=3_600_000,
        unit="ms",
        metavar="MS",
    )
