"""``retell-voice devices``: the available microphones and speakers."""

from __future__ import annotations

import dataclasses
import json

from retell_voice.devices.portaudio.devices import DeviceInfo, list_devices
from retell_voice.errors import DeviceNotFound
from retell_voice.program import failure, stdout
from retell_voice.shown import clean, escape_json


def list_all(*, as_json: bool) -> int:
    """Print every device and return the exit code; as JSON, no device is an empty array.

    Raises:
        DeviceNotFound: there are none.
    """
    devices = list_devices()
    none = DeviceNotFound(
        "no sound device", "plug one in, or give talk --input-file and --output-file"
    )
    if as_json:
        listed = [dataclasses.asdict(each) for each in devices]
        stdout.say(escape_json(json.dumps(listed, indent=2)))
        if not devices:
            failure.complain(str(none), none.hint)
            return none.exit_code
    elif not devices:
        raise none
    elif stdout.is_terminal():
        _print_tables(devices)
    else:
        stdout.put("".join(f"{line(each)}\n" for each in devices))
    return 0


def line(device: DeviceInfo) -> str:
    """Return a device as one line, columns separated by tabs."""
    return "\t".join(
        (
            device.direction,
            clean(device.name),
            clean(device.host_api),
            f"{device.channels} channel{'s' * (device.channels != 1)}",
            _rates(device),
            f"default: {clean(device.why)}" if device.is_default else "",
        )
    ).rstrip()


def _rates(device: DeviceInfo) -> str:
    return " ".join(map(str, device.rates)) + " Hz" if device.rates else "busy or broken"


def _print_tables(devices: list[DeviceInfo]) -> None:
    from rich.console import Console  # only for a terminal
    from rich.markup import escape
    from rich.table import Table

    console = Console(highlight=False)
    for direction, title in (("input", "Microphones"), ("output", "Speakers")):
        table = Table(title=title, title_justify="left", title_style="bold")
        for name in ("", "name", "host API", "ch.", "rates, Hz"):
            table.add_column(name, overflow="fold")
        chosen = [each for each in devices if each.direction == direction]
        for each in chosen:
            rates = " ".join(map(str, each.rates)) or "busy or broken"
            mark = "[green]*[/]" if each.is_default else ""
            name, host_api = (escape(clean(text)) for text in (each.name, each.host_api))
            table.add_row(mark, name, host_api, str(each.channels), rates)
        console.print(table if chosen else f"[bold]{title}[/]: none")
        for each in chosen:
            if each.is_default:
                why = escape(clean(f"{each.name}: default, {each.why}"))
                console.print(f"* {why}\n")
