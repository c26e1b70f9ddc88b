"""The commands about an account's agents and calls, and their options."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

import typer

from retell_voice.cli import manual
from retell_voice.program.options import command
from retell_voice.program.realtime import put_off_collecting
from retell_voice.secret import Secret
from retell_voice.settings.tables.call import ListenSettings, LookupSettings

_PANEL = "Your account"
_LISTENING = (
    *("api_url", "volume", "jitter_ms", "output", "output_file", "input", "input_file"),
    *("echo", "noise_suppression", "automatic_gain", "record", "record_minutes", "json"),
)
_Id = Annotated[
    str,
    typer.Argument(
        metavar="ID",
        show_default=False,
        parser=Secret,
        help="The call: its call_id, the end of it (four characters or more), or last. '-' reads "
        "it from standard input: the call_id of an ongoing call is a secret.",
    ),
]


def _which(flag: str, metavar: str, text: str, panel: str = "Which calls") -> Any:
    return typer.Option(flag, metavar=metavar, rich_help_panel=panel, help=text)


def add_to(app: typer.Typer) -> None:
    """Add the commands to the program."""
    made: dict[str, tuple[Callable[..., None], str, str]] = {
        "agents": (
            command(LookupSettings)(agents),
            manual.AGENTS,
            "List the agents of your account.",
        ),
        "calls": (
            command(LookupSettings)(calls),
            manual.CALLS,
            "List the calls of your account, the latest first.",
        ),
        "call": (
            command(LookupSettings)(call),
            manual.CALL,
            "Show everything about one call.",
        ),
        "monitor": (
            command(LookupSettings)(monitor),
            manual.MONITOR,
            "Print what is said in an ongoing call.",
        ),
        "listen": (
            command(ListenSettings, _LISTENING)(listen),
            manual.LISTEN,
            "Listen to an ongoing call.",
        ),
        "take-over": (
            command(ListenSettings, _LISTENING)(take_over),
            manual.TAKE_OVER,
            "Take the agent's place in an ongoing call.",
        ),
        "stop": (command(LookupSettings)(stop), manual.STOP, "End an ongoing call."),
    }
    for name, (function, text, summary) in made.items():
        app.command(name, help=text, short_help=summary, rich_help_panel=_PANEL)(function)


def agents(
    settings: LookupSettings,
    *,
    name: Annotated[
        str,
        typer.Argument(metavar="NAME", show_default=False, help="Part of the name or id."),
    ] = "",
    channel: Annotated[
        str, _which("--channel", "CHANNEL", "One of voice, chat, any.", "Which agents")
    ] = "voice",
) -> int:
    """List agents."""
    from retell_voice.cli import account

    return account.agents(settings, name=name, channel=channel)


def calls(
    settings: LookupSettings,
    *,
    agent: Annotated[
        str | None, _which("--agent", "NAME|ID", "Calls with this agent: its name or id.")
    ] = None,
    status: Annotated[
        list[str] | None,
        _which(
            "--status",
            "STATUS",
            "Calls that are registered, not_connected, ongoing, ended or error; repeatable.",
        ),
    ] = None,
    reason: Annotated[
        list[str] | None,
        _which("--reason", "REASON", "Calls that ended this way: user_hangup, …; repeatable."),
    ] = None,
    kind: Annotated[str | None, _which("--type", "TYPE", "One of web, phone.")] = None,
    since: Annotated[
        str | None,
        _which("--since", "TIME", "Calls that began since: 90m, 2h, 3d or 1w ago, or a date."),
    ] = None,
    until: Annotated[str | None, _which("--until", "TIME", "Calls that began before.")] = None,
    limit: Annotated[
        int,
        typer.Option(
            min=1,
            max=10_000,
            metavar="N",
            rich_help_panel="Which calls",
            help="Maximum number of calls.",
        ),
    ] = 20,
    oldest_first: Annotated[bool, _which("--oldest-first", "", "List the oldest first.")] = False,
) -> int:
    """List calls."""
    from retell_voice.cli import account

    wanted = account.Wanted(
        agent=agent,
        status=tuple(status or ()),
        reason=tuple(reason or ()),
        kind=kind,
        since=since,
        until=until,
        limit=limit,
        oldest_first=oldest_first,
    )
    return account.calls(settings, wanted)


def call(
    settings: LookupSettings,
    *,
    call_id: _Id,
    wait: Annotated[
        bool,
        typer.Option(
            "--wait", metavar="", help="Wait until the call is over and has been analysed."
        ),
    ] = False,
    timeout: Annotated[
        float,
        typer.Option(
            min=0,
            max=86_400,
            metavar="S",
            help="With --wait: time for the analysis once the call is over.",
        ),
    ] = 120.0,
) -> int:
    """Show a call."""
    from retell_voice.cli import account

    return account.call(settings, call_id, wait=wait, timeout=timeout)


def stop(settings: LookupSettings, *, call_id: _Id) -> int:
    """End a call."""
    from retell_voice.cli import account

    return account.stop(settings, call_id)


def monitor(settings: LookupSettings, *, call_id: _Id) -> int:
    """Monitor a call."""
    from retell_voice.cli.monitor import monitor

    return monitor(settings, call_id)


def listen(settings: ListenSettings, *, call_id: _Id) -> int:
    """Listen to a call."""
    put_off_collecting()
    from retell_voice.cli.listen import listen

    return listen(settings, call_id)


def take_over(
    settings: ListenSettings,
    *,
    call_id: _Id,
    yes: Annotated[bool, typer.Option("--yes", metavar="", help="Do not ask.")] = False,
) -> int:
    """Take a call over."""
    put_off_collecting()
    from retell_voice.cli.listen import confirm, listen

    confirm(yes=yes)
    return listen(settings, call_id, at_once=True)
