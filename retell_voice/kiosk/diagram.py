"""The table of a kiosk's states as a picture and as tables, for the documentation."""

from __future__ import annotations

from math import cos, hypot, pi, sin

from retell_voice.kiosk.states import LIMITS, TABLE, Action, Event, Say, State, Steps

_WIDTH, _HEIGHT = 900, 640
_BOX = 116, 30
_ORDER = (
    State.IDLE,
    State.DIALLING,
    State.IN_CALL,
    State.WRAPPING_UP,
    State.COOLING,
    State.STOPPING,
    State.FAULTED,
    State.OFFLINE,
    State.STARTING,
)
"""Around the picture, from the top, clockwise."""
_BEND = 0.14
_STYLE = (
    "text{font:11px sans-serif;text-anchor:middle;fill:#222}"
    ".state{fill:#fff;stroke:#222}.way{fill:none;stroke:#678}"
    ".label{paint-order:stroke;stroke:#fff;stroke-width:4px}"
)


def picture() -> str:
    """Return the states and the ways between them as an SVG; without those of STOP."""
    ways: dict[tuple[State, State], list[Event]] = {}
    for (before, event), (after, _) in TABLE.items():
        if event is not Event.STOP and before is not after:
            ways.setdefault((before, after), []).append(event)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        'aria-label="The states of a kiosk and what leads from one to another">',
        f"<style>{_STYLE}</style>",
        '<defs><marker id="end" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" '
        'markerHeight="8" orient="auto"><path d="M0 0L8 4L0 8z" fill="#678"/></marker></defs>',
    ]
    labels = []
    for (before, after), events in ways.items():
        path, label = _way(_place(before), _place(after), [each.value for each in events])
        parts.append(path)
        labels.append(label)
    return "".join([*parts, *labels, *map(_box, _ORDER), "</svg>"])


def rows() -> str:
    """Return all of the table in Markdown, state by state, with the limits."""
    lines = [
        "| state | at most | event | then | what is done |",
        "|---|---|---|---|---|",
    ]
    for state in State:
        first = f"**{state.value}**", f"{LIMITS[state]:g} s"
        for (before, event), (after, steps) in TABLE.items():
            if before is state:
                same = "" if after is before else after.value
                lines.append(
                    f"| {first[0]} | {first[1]} | {event.value} | {same} | {_words(steps)} |"
                )
                first = "", ""
    return "\n".join(lines)


def _words(steps: Steps) -> str:
    return ", ".join(
        each.value if isinstance(each, Action) else f"sound *{each.value}*"
        for each in steps
        if isinstance(each, Action | Say)
    )


def _place(state: State) -> tuple[float, float]:
    angle = 2 * pi * _ORDER.index(state) / len(_ORDER) - pi / 2
    return (
        _WIDTH / 2 + (_WIDTH / 2 - _BOX[0] / 2 - 10) * cos(angle),
        _HEIGHT / 2 + (_HEIGHT / 2 - _BOX[1] / 2 - 10) * sin(angle),
    )


def _box(state: State) -> str:
    x, y = _place(state)
    wide, high = _BOX
    return (
        f'<rect class="state" x="{x - wide / 2:.0f}" y="{y - high / 2:.0f}" width="{wide}" '
        f'height="{high}" rx="6"/><text x="{x:.0f}" y="{y + 4:.0f}">{state.value}</text>'
    )


def _way(
    start: tuple[float, float], end: tuple[float, float], events: list[str]
) -> tuple[str, str]:
    """Return a curve, bent so that the way there is not the way back, and its label."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    middle = (start[0] + end[0]) / 2 - dy * _BEND, (start[1] + end[1]) / 2 + dx * _BEND
    begin, finish = _edge(start, middle), _edge(end, middle)
    path = (
        f'<path class="way" marker-end="url(#end)" d="M{begin[0]:.0f} {begin[1]:.0f}'
        f'Q{middle[0]:.0f} {middle[1]:.0f} {finish[0]:.0f} {finish[1]:.0f}"/>'
    )
    # A third of the way along: in the middle of the picture all of them would meet.
    at = [0.44 * begin[i] + 0.44 * middle[i] + 0.12 * finish[i] for i in (0, 1)]
    first = at[1] - 6 * (len(events) - 1)
    lines = "".join(
        f'<tspan x="{at[0]:.0f}" y="{first + 12 * number:.0f}">{each}</tspan>'
        for number, each in enumerate(events)
    )
    return path, f'<text class="label">{lines}</text>'


def _edge(place: tuple[float, float], towards: tuple[float, float]) -> tuple[float, float]:
    """Return where a line from the middle of a box leaves it."""
    dx, dy = towards[0] - place[0], towards[1] - place[1]
    length = hypot(dx, dy)
    dx, dy = dx / length, dy / length
    reach = min(
        (_BOX[0] / 2 + 2) / abs(dx) if dx else length, (_BOX[1] / 2 + 2) / abs(dy) if dy else length
    )
    return place[0] + dx * reach, place[1] + dy * reach
