"""The command ``talk`` and its options, apart from the others, so that it starts sooner."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Annotated

import typer

from retell_voice.devices.portaudio import library
from retell_voice.program.memory import share_one_heap
from retell_voice.program.options import Metadata, Variables, command
from retell_voice.program.realtime import put_off_collecting
from retell_voice.settings.load import ConfigFile, environment, load
from retell_voice.settings.tables.talk import PHONE, TalkSettings

Parameters = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        metavar="NAME=VALUE",
        rich_help_panel=PHONE,
        help="With --dialect: what the server is told as the call begins; repeatable.",
    ),
]
"""What a phone provider tells the server of a call; ``program.call_fields`` reads it."""


@command(TalkSettings)
def talk(
    settings: TalkSettings,
    *,
    file: ConfigFile,
    metadata: Metadata = None,
    dynamic_variable: Variables = None,
    parameter: Parameters = None,
    web_call: Annotated[
        str | None,
        typer.Option(
            metavar="FILE",
            rich_help_panel="The call",
            help="Join a web call that was created elsewhere, without an API key: FILE has the "
            "JSON that the server answered, call_id and access_token in it; '-' is standard input.",
        ),
    ] = None,
    speed: Annotated[float | None, typer.Option(hidden=True, min=0.1, max=100.0)] = None,
) -> int:
    """Hold a call."""
    put_off_collecting()
    share_one_heap()
    # The sound system and what follows here load at the same time.
    with library.loading() if _needs_card(settings) else nullcontext():
        from retell_voice.cli.talk import talk

        emulator = None
        if settings.local.value or settings.llm.value or settings.scenario.value:
            from retell_voice.settings.tables.emulator import EmulatorSettings

            emulator = load(EmulatorSettings, file, environment(), {})
        return talk(
            settings,
            emulator,
            metadata=metadata or (),
            variables=dynamic_variable or (),
            parameters=parameter or (),
            web_call=web_call,
            speed=speed or 1.0,
        )


def _needs_card(settings: TalkSettings) -> bool:
    has_input = settings.typed.value or settings.input_file.value is not None
    return not has_input or settings.output_file.value is None
