"""The commands of ``retell-voice`` and their help. Whatever is heavy is imported inside them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Any

import typer

from retell_voice import __version__
from retell_voice.cli.failure import EXIT_CODES, reported
from retell_voice.cli.options import Command, command, describe
from retell_voice.config import ConfigFile, default_path, load
from retell_voice.devices.quiet import native_stderr_silenced
from retell_voice.settings import table
from retell_voice.tables import EmulatorSettings, RegisterSettings, TalkSettings


def _codes(meanings: dict[int, str]) -> str:
    lines = (f"  {code:3}  {meaning}" for code, meaning in meanings.items())
    return "\n".join(["", "", "Exit codes:", *lines])


def _codes_of(done: str, *others: int) -> str:
    """Return the exit codes of a command that holds no call."""
    return _codes({0: done} | {code: EXIT_CODES[code] for code in (1, 2, *others)})


_CODES = _codes(EXIT_CODES)
_ABOUT = """\
Talk to a Retell voice agent over its Audio WebSocket: your microphone, its voice.

Without an account, against the built-in emulator:
  retell-voice talk --local

With an agent of yours; RETELL_API_KEY is set:
  retell-voice talk --agent AGENT_ID

With a call that was registered:
  retell-voice talk --url wss://your-server/audio-websocket CALL_ID

Files:
  config.toml         'config path' says where it is, 'config init' writes one

Environment:
  RETELL_VOICE_…      an option: RETELL_VOICE_RATE=16000 is --rate 16000
  RETELL_VOICE_DEBUG  1 shows tracebacks of errors, as --debug does
  RETELL_API_KEY      the key with which calls are registered and looked up
  NO_COLOR            unless it is empty, nothing is coloured"""
_KEY = """

The API key is that of RETELL_API_KEY, else api_key in the config file, else that of the system \
keyring (keyring set retell-voice api-key; needs the extra 'keyring')."""
_TALK = """\
Hold a spoken conversation with a voice agent.

Ctrl-C hangs up; Ctrl-C again exits at once.

Examples:
  retell-voice talk --local
  retell-voice talk --llm ws://localhost:8080/llm-websocket
  retell-voice talk --agent AGENT_ID --dynamic-variable name=Ann
  retell-voice talk --url wss://host/audio-websocket --rate 16000 CALL_ID
  retell-voice register --agent AGENT_ID | retell-voice talk -
  retell-voice talk --local --input-file me.wav --output-file agent.wav --json
  retell-voice talk --local --record calls

Every option but the last panel's can stand in the config file (rate = 16000) and in the \
environment (RETELL_VOICE_RATE=16000). The command line goes before the environment, that \
before the file.

With an API key, Retell's account of the call follows when it is over: why it ended, latency, \
cost, analysis."""
_REGISTER = """\
Register a call with an agent and print its call_id, for whoever is to join it, soon.

The call_id is a secret: it lets its bearer join the call.

Examples:
  retell-voice register --agent AGENT_ID | retell-voice talk -
  retell-voice register --agent AGENT_ID --metadata order=17 --json"""
_EMULATOR = """\
Serve what Retell's servers do: the REST calls, webhooks and the Audio WebSocket.

Its agent is a parrot: it greets you, listens, says back what you said, and falls silent \
when you talk over it. Needs no account and no network. With --llm it is your custom LLM \
server that answers: the emulator transcribes the caller, dials your server and speaks what \
it says. A line that you type is then a turn of the user; with no caller, a silent one is made.

Examples:
  retell-voice emulator
  retell-voice emulator --llm ws://localhost:8080/llm-websocket --port 8081
  retell-voice emulator --scenario interruption.toml

Settings also from section [emulator] of the config file and RETELL_VOICE_EMULATOR_…"""
_DEVICES = """\
List microphones and speakers: host API, channels, rates, and which is the default and why.

On a pipe: one line each, columns parted by tabs.

Examples:
  retell-voice devices
  retell-voice devices --json
  retell-voice devices | cut -f 2"""
_DOCTOR = """\
Look at all that a call needs and say what to mend: Python and its packages, the config file, \
sound and the way to the server.

You are asked to speak for a few seconds, then three chimes are played and listened for. The \
server is asked for a call that there is not: none of yours is spent.

Each line says pass, warn or fail; below it stands what to do.

Examples:
  retell-voice doctor
  retell-voice doctor --only network --url wss://your-server/audio-websocket
  retell-voice doctor --no-sound --json"""
_FAILED_FIRST = {
    0: "nothing failed",
    1: EXIT_CODES[1],
    2: "system or config failed first; or an option cannot be used",
    3: "sound failed first",
    4: "the server was not reached",
    5: "it answered as no server of calls does",
}
_REPORT = """\
Write a page about a recorded call: levels, turns, jitter buffer, interruptions and latencies \
along time, its figures and its transcript.

FILE is a directory that talk --record made, its events.jsonl, or what talk --json printed. The \
page is one HTML file that needs nothing else. It is drawn with matplotlib: pip install \
'retell-voice[report]'.

Examples:
  retell-voice report calls/2026-01-31T12-00-00
  retell-voice report call.jsonl --output call.html --png call.png"""
_SHOW = """\
Show every setting, its value and where that came from: the command line, the environment, the \
config file or the default. Secrets are masked.

Takes the options of talk, to show what they come to. With --json: an array of objects with key, \
value and source, all of them text.

Examples:
  retell-voice config show
  retell-voice config show --rate 16000 --json"""
_INIT = """\
Write a config file with every setting, its meaning and its default, for you to change.

Only you can read it, as it may hold secrets. One that is there is kept unless --force is given.

Examples:
  retell-voice config init
  retell-voice config init my.toml; retell-voice talk --config my.toml --local"""

app = typer.Typer(
    help=_ABOUT + _CODES,
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"retell-voice {__version__}")
        raise typer.Exit


@app.callback()
def _program(
    version: Annotated[
        bool,
        typer.Option(
            "--version", metavar="", callback=_version, is_eager=True, help="Show the version."
        ),
    ] = False,
) -> None:
    pass


def _pairs(flag: str, text: str) -> Any:
    return typer.Option(flag, metavar="NAME=VALUE", rich_help_panel="Other", help=text)


_Metadata = Annotated[
    list[str] | None, _pairs("--metadata", "Kept with a call that is registered; repeatable.")
]
_Variables = Annotated[
    list[str] | None,
    _pairs("--dynamic-variable", "Stands in the agent's prompt for {{NAME}}; repeatable."),
]


@app.command(help=_TALK + _KEY + _CODES, cls=Command)
@command(TalkSettings)
def talk(
    settings: TalkSettings,
    *,
    file: ConfigFile,
    metadata: _Metadata = None,
    dynamic_variable: _Variables = None,
    speed: Annotated[float, typer.Option(hidden=True, min=0.1, max=100.0)] = 1.0,
) -> int:
    """Hold a call."""
    from retell_voice.cli.talk import talk  # noqa: PLC0415

    here = settings.local.value or settings.llm.value or settings.scenario.value
    emulator = load(EmulatorSettings, file, os.environ, {}) if here else None
    return talk(
        settings,
        emulator,
        metadata=metadata or (),
        variables=dynamic_variable or (),
        speed=speed,
    )


@app.command(
    help=_REGISTER + _KEY + _codes_of("the call is registered", 7),
    short_help="Register a call with an agent and print its call_id.",
    cls=Command,
)
@command(RegisterSettings)
def register(
    settings: RegisterSettings, *, metadata: _Metadata = None, dynamic_variable: _Variables = None
) -> int:
    """Register a call."""
    from retell_voice.cli.register import register  # noqa: PLC0415

    return register(settings, metadata=metadata or (), variables=dynamic_variable or ())


@app.command(
    help=_EMULATOR.replace("[emulator]", r"\[emulator]") + _codes_of("Ctrl-C stopped it", 143),
    short_help="Serve what Retell's servers do, for talk and for your own client.",
    cls=Command,
)
@command(EmulatorSettings)
def emulator(settings: EmulatorSettings) -> int:
    """Serve calls."""
    from retell_voice.cli.serve import serve  # noqa: PLC0415

    return serve(settings)


@app.command(
    help=_DEVICES + _codes_of("they are listed", 3), short_help="List microphones and speakers."
)
def devices(
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="As JSON: an array of objects.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """List sound devices."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.cli.listing import list_all  # noqa: PLC0415

        list_all(as_json=as_json)


def _talk_option(name: str) -> Any:
    row = table(TalkSettings)[name]
    return typer.Option(row.flag, metavar=row.metavar, help=describe(row), show_default=False)


@app.command(
    help=_DOCTOR + _codes(_FAILED_FIRST),
    short_help="Look at all that a call needs, and say what to mend.",
)
def doctor(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(metavar="PART", help="Look at system, config, sound or network; repeatable."),
    ] = None,
    no_sound: Annotated[
        bool, typer.Option("--no-sound", metavar="", help="Play no chimes; nothing is heard.")
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=600, metavar="S", help="How long to listen to you.")
    ] = 4.0,
    url: Annotated[str | None, _talk_option("url")] = None,
    input_name: Annotated[str | None, _talk_option("input")] = None,
    output_name: Annotated[str | None, _talk_option("output")] = None,
    rate: Annotated[str | None, _talk_option("rate")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", metavar="", help="As JSON: one object.")
    ] = False,
    config: Annotated[Path | None, typer.Option(metavar="FILE", help="Config file (TOML).")] = None,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Examine."""
    with native_stderr_silenced(), reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.cli.doctor import examine  # noqa: PLC0415

        code = examine(
            only or [],
            config=config,
            flags={"url": url, "input": input_name, "output": output_name, "rate": rate},
            seconds=seconds,
            chimes=not no_sound,
            as_json=as_json,
        )
    raise SystemExit(code)


@app.command(
    help=_REPORT.replace("[report]", r"\[report]") + _codes_of("the page is written"),
    short_help="Write a page about a recorded call.",
)
def report(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The recording.")],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="Where the page goes; without it beside FILE."),
    ] = None,
    png: Annotated[Path | None, typer.Option(metavar="PNG", help="A picture as well.")] = None,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Write a report."""
    with reported(debug=debug):
        from retell_voice.cli.report import report  # noqa: PLC0415

        report(file, output, png)


configuring = typer.Typer(
    name="config",
    help="Show the settings and where they come from, or write a config file.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)
app.add_typer(configuring)


@configuring.command(
    help=_SHOW + _codes_of("they are shown"),
    short_help="Show every setting, its value and where that came from.",
)
@command(TalkSettings)
def show(settings: TalkSettings, *, file: ConfigFile) -> int:
    """Show settings."""
    from retell_voice.cli import configure  # noqa: PLC0415

    configure.show(settings, file)
    return 0


@configuring.command()
def path() -> None:
    """Print where the config file is looked for when --config names none."""
    print(default_path())


@configuring.command(
    help=_INIT + _codes_of("it is written; its path is printed"),
    short_help="Write a config file with every setting, for you to change.",
)
def init(
    file: Annotated[
        Path | None, typer.Argument(metavar="FILE", help="Where to; without it the usual place.")
    ] = None,
    *,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Replace one that is there.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", metavar="", help="Show tracebacks of errors.")
    ] = False,
) -> None:
    """Write a config file."""
    with reported(debug=debug):
        from retell_voice.cli import configure  # noqa: PLC0415

        configure.init(file, force=force)
