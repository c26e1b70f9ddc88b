"""The commands that are neither ``talk`` nor about an account nor groups of commands.

Heavy modules are imported inside them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retell_voice.cli import manual
from retell_voice.cli.talk_command import Parameters
from retell_voice.devices.portaudio.stderr import native_stderr_silenced
from retell_voice.program.commands import Program
from retell_voice.program.failure import reported
from retell_voice.program.options import (
    Debug,
    Metadata,
    Variables,
    command,
    json_option,
    of_setting,
)
from retell_voice.program.realtime import put_off_collecting
from retell_voice.settings.load import environment, load, read_file
from retell_voice.settings.tables.call import CallSettings, RegisterSettings
from retell_voice.settings.tables.emulator import EmulatorSettings
from retell_voice.settings.tables.talk import TalkSettings

app = Program()

_Config = Annotated[Path | None, typer.Option(metavar="FILE", help="Config file (TOML).")]


@app.command(
    help=manual.REGISTER,
    short_help="Register a call with an agent and print its call_id.",
)
@command(RegisterSettings)
def register(
    settings: RegisterSettings, *, metadata: Metadata = None, dynamic_variable: Variables = None
) -> int:
    """Register a call."""
    from retell_voice.cli.register import register

    return register(settings, metadata=metadata or (), variables=dynamic_variable or ())


@app.command(
    help=manual.EMULATOR,
    short_help="Emulate Retell's servers, for talk and for your own client.",
)
@command(EmulatorSettings)
def emulator(settings: EmulatorSettings) -> int:
    """Serve calls."""
    put_off_collecting()
    from retell_voice.cli.serve import serve

    return serve(settings)


@app.command(help=manual.DEVICES, short_help="List microphones and speakers.")
def devices(
    as_json: Annotated[bool, json_option("As JSON: an array of objects.")] = False,
    debug: Debug = False,
) -> None:
    """List sound devices."""
    with reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.cli.listing import list_all

        code = list_all(as_json=as_json)
    raise SystemExit(code)


@app.command(
    help=manual.DOCTOR,
    short_help="Check everything a call needs, and say how to fix it.",
)
def doctor(
    *,
    only: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PART",
            help="Look at this part only: system, config, sound, network, account, or a web call "
            "(call), which is made only when asked for; repeatable.",
        ),
    ] = None,
    no_sound: Annotated[
        bool,
        typer.Option(
            "--no-sound", metavar="", help="Play no chimes; missing sound is not a failure."
        ),
    ] = False,
    seconds: Annotated[
        float, typer.Option(min=0.2, max=600, metavar="S", help="How long to listen to you.")
    ] = 4.0,
    url: Annotated[str | None, of_setting(CallSettings, "url")] = None,
    api_url: Annotated[str | None, of_setting(CallSettings, "api_url")] = None,
    agent: Annotated[str | None, of_setting(CallSettings, "agent")] = None,
    input_name: Annotated[str | None, of_setting(CallSettings, "input")] = None,
    output_name: Annotated[str | None, of_setting(CallSettings, "output")] = None,
    rate: Annotated[str | None, of_setting(CallSettings, "rate")] = None,
    as_json: Annotated[bool, json_option("As JSON: one object.")] = False,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Examine."""
    with native_stderr_silenced(), reported(debug=debug, as_json=lambda: as_json):
        from retell_voice.cli.doctor import examine

        code = examine(
            only or [],
            config=config,
            flags={
                "url": url,
                "api_url": api_url,
                "agent": agent,
                "input": input_name,
                "output": output_name,
                "rate": rate,
            },
            seconds=seconds,
            chimes=not no_sound,
            as_json=as_json,
        )
    raise SystemExit(code)


@app.command(
    help=manual.REPORT,
    short_help="Write a page about a recorded call.",
)
def report(
    files: Annotated[
        list[Path],
        typer.Argument(metavar="FILE", help="The recording; two of them, to compare them."),
    ],
    *,
    output: Annotated[
        Path | None,
        typer.Option(metavar="HTML", help="Where to write the page; by default next to FILE."),
    ] = None,
    opens: Annotated[
        bool, typer.Option("--open", metavar="", help="Show the page in your browser.")
    ] = False,
    no_sound: Annotated[
        bool, typer.Option("--no-sound", metavar="", help="Leave the sound out of the page.")
    ] = False,
    png: Annotated[
        Path | None, typer.Option(metavar="PNG", help="Also write an image; needs matplotlib.")
    ] = None,
    debug: Debug = False,
) -> None:
    """Write a report."""
    with reported(debug=debug):
        from retell_voice.cli.report import report

        report(files, output, png, sound=not no_sound, opens=opens)


@app.command(
    help=manual.SWARM,
    short_help="Hold many calls at once and say how fast they are answered.",
)
def swarm(
    *,
    calls: Annotated[int, typer.Option(min=1, max=10_000, metavar="N", help="How many.")] = 10,
    ramp: Annotated[
        float, typer.Option(min=0, metavar="S", help="Seconds over which they are dialled.")
    ] = 10.0,
    answer_timeout: Annotated[
        float,
        typer.Option(min=0.1, metavar="S", help="How long callers wait for their last answer."),
    ] = 10.0,
    url: Annotated[str | None, of_setting(CallSettings, "url")] = None,
    dialect: Annotated[str | None, of_setting(TalkSettings, "dialect")] = None,
    codec: Annotated[str | None, of_setting(TalkSettings, "codec")] = None,
    input_file: Annotated[
        str | None,
        typer.Option(metavar="FILE", help="What each caller says: a sound file, as talk takes it."),
    ] = None,
    from_number: Annotated[str | None, of_setting(CallSettings, "from_number")] = None,
    to_number: Annotated[str | None, of_setting(CallSettings, "to_number")] = None,
    parameter: Parameters = None,
    agent: Annotated[str | None, of_setting(CallSettings, "agent")] = None,
    api_url: Annotated[str | None, of_setting(CallSettings, "api_url")] = None,
    transport: Annotated[str | None, of_setting(TalkSettings, "transport")] = None,
    encoding: Annotated[str | None, of_setting(CallSettings, "encoding")] = None,
    rate: Annotated[str | None, of_setting(CallSettings, "rate")] = None,
    as_json: Annotated[bool, json_option("As JSON: one object, histograms included.")] = False,
    page: Annotated[
        Path | None, typer.Option(metavar="HTML", help="Write a page with plots there.")
    ] = None,
    dask: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Let the workers of this Dask scheduler call."),
    ] = None,
    config: _Config = None,
    debug: Debug = False,
) -> None:
    """Hold many calls."""
    with reported(debug=debug, as_json=lambda: as_json):
        put_off_collecting()
        from retell_voice.cli.swarm import Wanted
        from retell_voice.cli.swarm import swarm as hold

        flags = {
            "url": url,
            "dialect": dialect,
            "codec": codec,
            "input_file": input_file,
            "from_number": from_number,
            "to_number": to_number,
            "agent": agent,
            "api_url": api_url,
            "transport": transport,
            "encoding": encoding,
            "rate": rate,
        }
        settings = load(TalkSettings, read_file(config), environment(), flags)
        wanted = Wanted(calls, ramp, answer_timeout, as_json, page, dask)
        code = hold(settings, wanted, parameter or ())
    raise SystemExit(code)
