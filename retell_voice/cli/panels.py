"""Panels over the conversation: help, statistics, devices, the keypad. Pure."""

from __future__ import annotations

from rich.cells import cell_len
from rich.text import Text

from retell_voice.cli.controls import FIRST_HOLD, NEXT_HOLD, Controls
from retell_voice.cli.quality import JITTER, RECENT, ROUND_TRIP
from retell_voice.cli.summary import lost_share
from retell_voice.cli.view import View
from retell_voice.events import PacketFigures
from retell_voice.shown import clean, clock

_KEYS = (
    ("m", "mute or unmute yourself"),
    ("space", "hold to talk while muted"),
    ("+ -", "the agent's volume"),
    ("d", "another microphone or speaker"),
    ("t", "the phone keypad"),
    ("Enter", "type instead of speaking; Enter sends it, Esc cancels"),
    ("s", "statistics"),
    ("Up Down", "scroll back, also PgUp PgDn Home; End follows the conversation"),
    ("q", "hang up, as Ctrl-C does; Ctrl-C once more exits at once"),
    ("Ctrl-L", "redraw the screen"),
)

_NO_RELEASES = (
    f"This terminal does not report key releases: you are heard for {FIRST_HOLD:g} s after "
    f"one press of the space bar, and for {NEXT_HOLD:g} s after each repeat while it is held. "
    f"If keys do not repeat, use m."
)


def panel(view: View, controls: Controls, width: int) -> list[Text]:
    """Return the open panel, top first; its lines may be wider than the screen."""
    if controls.panel == "help":
        return _help(controls, width)
    if controls.panel == "statistics":
        return _statistics(view, width)
    if controls.panel == "keypad":
        return _keypad(controls)
    return _devices(controls, width)


def hint(controls: Controls) -> Text:
    """Return the keys of the open panel."""
    closes = (("Esc", "bold"), " closes   ", ("q", "bold"), " hangs up")
    if controls.panel == "keypad":
        return Text.assemble(("0-9 * #", "bold"), " are sent   ", *closes)
    if controls.panel != "devices" or not controls.choices:
        return Text.assemble(*closes)
    if controls.typed:
        return Text.assemble(f"number {controls.typed}   ", ("Enter", "bold"), " selects it")
    return Text.assemble((f"1-{len(controls.choices)}", "bold"), " selects it   ", *closes)


def _help(controls: Controls, width: int) -> list[Text]:
    label = 9 if width >= 40 else 8
    lines = []
    useless = {"t"} if not controls.has_keypad else set()
    useless |= {"Enter"} if controls.no_typing else set()
    for key, what in _KEYS:
        if key in useless:
            continue
        first, *more = _wrapped(what, width - label) or [""]
        lines.append(Text.assemble((f"{key:<{label}}", "bold"), first))
        lines += [Text(" " * label + line) for line in more]
    notes = (
        *([] if controls.tells_releases else [_NO_RELEASES]),
        f"Good: round trip up to {ROUND_TRIP[0] * 1000:.0f} ms, jitter buffer up to "
        f"{JITTER[0] * 1000:.0f} ms. Fair: up to {ROUND_TRIP[1] * 1000:.0f} and "
        f"{JITTER[1] * 1000:.0f} ms, or a gap within {RECENT:.0f} s. Poor: more, or audio lost.",
    )
    for note in notes:
        lines += [Text(), *(Text(line, "dim") for line in _wrapped(note, width))]
    return lines


def _keypad(controls: Controls) -> list[Text]:
    rows = [Text(f"  {'   '.join(row)}", "bold") for row in ("123", "456", "789", "*0#")]
    return [*rows, Text(), Text.assemble(("sent  ", "dim"), controls.pressed)]


def _wrapped(text: str, width: int) -> list[str]:
    import textwrap  # only here

    return textwrap.wrap(text, max(min(width, 90), 10))


def _statistics(view: View, width: int) -> list[Text]:
    groups = _figures(view)
    if width < 76:
        return [line for title, rows in groups for line in _group(title, rows)]
    half = width // 2
    left, right = (
        [line for title, rows in groups[side::2] for line in _group(title, rows)] for side in (0, 1)
    )
    lines = []
    for index in range(max(len(left), len(right))):
        line = left[index].copy() if index < len(left) else Text()
        line.truncate(half - 1, pad=True)
        if index < len(right):
            line.append(" ").append_text(right[index])
        lines.append(line)
    return lines


def _group(title: str, rows: list[tuple[str, str]]) -> list[Text]:
    return [
        Text(title, "bold"),
        *(Text.assemble((f"  {name:<17}", "dim"), value) for name, value in rows),
    ]


def _figures(view: View) -> list[tuple[str, list[tuple[str, str]]]]:
    """Return all figures in groups: four, and one of packets if there are any."""
    figures, packets = view.statistics, view.statistics.packets

    def ms(seconds: float | None) -> str:
        return "unknown" if seconds is None else f"{seconds * 1000:.0f} ms"

    def seconds(delay: float | None) -> str:
        return "unknown" if delay is None else f"{delay:.2f} s"

    def silence() -> str:
        most = figures.clear_to_silence_p95
        within = "" if most is None else f" (95 %: {most * 1000:.0f})"
        return ms(figures.clear_to_silence_p50) + within

    def responses() -> list[tuple[str, str]]:
        if not figures.responses:
            return [("answers after", "not known yet")]
        rows = [
            ("answers after", seconds(figures.response_last)),
            ("  median, 95 %", f"{seconds(figures.response_p50)}, {seconds(figures.response_p95)}"),
        ]
        if figures.barge_ins:
            rows.append(("gives way after", f"{seconds(figures.barge_in_p50)} (median)"))
        return rows

    def clears() -> list[tuple[str, str]]:
        if packets is not None:  # nothing is cleared in a web call
            return []
        return [("clears", f"{figures.clears}"), ("clear to silence", silence())]

    def echo() -> list[tuple[str, str]]:
        rows = [("echo control", clean(figures.echo))]
        if figures.echo_state != "off":
            erle = figures.echo_erle
            taken = "not known yet" if erle is None else f"{erle:.0f} dB, {figures.echo_state}"
            rows.append(("echo removed", taken))
        if figures.echo_cost is not None:
            rows.append(("echo CPU", f"{100 * figures.echo_cost:.1f} % of a core"))
        return rows

    def ppm(drift: float | None) -> str:
        return "not known yet" if drift is None else f"{drift:+.0f} ppm"

    return [
        (
            "Network",
            [
                ("round trip", ms(figures.round_trip)),
                ("sent", f"{figures.frames_sent} frames, {figures.bytes_sent / 1000:.0f} kB"),
                ("received", f"{figures.bytes_received / 1000:.0f} kB of audio"),
                ("frames dropped", f"{figures.frames_dropped}"),
                ("unrecognised", f"{figures.unknown_messages + figures.malformed_messages}"),
            ],
        ),
        (
            "The agent's voice",
            [
                *responses(),
                ("heard", f"{figures.heard:.1f} s"),
                ("cut short", f"{figures.discarded:.1f} s"),
                ("jitter buffer", ms(figures.playout_target)),
                ("queued", f"{figures.playout_depth:.1f} s"),
                ("gaps", f"{figures.underruns}"),
                ("concealed", ms(figures.concealed)),
                *clears(),
            ],
        ),
        (
            "Microphone",
            [
                ("latency", ms(figures.capture_latency)),
                ("gaps", f"{figures.capture_xruns}"),
                ("clock", ppm(figures.capture_drift)),
                ("you spoke", clock(view.you.seconds)),
                *echo(),
            ],
        ),
        (
            "Speaker",
            [
                ("latency", ms(figures.playback_latency)),
                ("gaps", f"{figures.playback_xruns}"),
                ("clock", ppm(figures.playback_drift)),
                ("the agent spoke", clock(view.agent.seconds)),
                ("devices lost", f"{figures.device_losses}"),
            ],
        ),
        *([] if packets is None else [("Packets", _packets(packets))]),
    ]


def _packets(packets: PacketFigures) -> list[tuple[str, str]]:
    lost = f"{packets.lost}" + (f" ({100 * share:.1f} %)" if (share := lost_share(packets)) else "")
    return [
        ("received", f"{packets.received}"),
        ("lost, late", f"{lost}, {packets.late}"),
        ("recovered", f"{packets.recovered * 1000:.0f} ms"),
        ("left out", f"{packets.accelerated * 1000:.0f} ms"),
        ("repeated", f"{packets.expanded * 1000:.0f} ms"),
        ("delay", f"{packets.delay * 1000:.0f} ms"),
    ]


def _devices(controls: Controls, width: int) -> list[Text]:
    if controls.choices is None:
        return [Text("looking for devices …")]
    lines = []
    sides = {"near_end": "Microphones", "far_end": "Speakers"}
    for side, title in sides.items():
        lines.append(Text(title, "bold"))
        of_side = [(n, c) for n, c in enumerate(controls.choices, 1) if c.side == side]
        if not of_side:
            lines.append(Text("     none", "dim"))
        for number, choice in of_side:
            name = clean(choice.name)
            line = Text.assemble((f"{number:>3}  ", "bold"), name)
            line.append(" " * max(34 - cell_len(name), 2)).append(choice.host_api, "dim")
            lines.append(line.append("  in use", "green") if choice.in_use else line)
    note = "Devices plugged in since the program started are not listed."
    return [*lines, Text(), *(Text(line, "dim") for line in _wrapped(note, width))]
