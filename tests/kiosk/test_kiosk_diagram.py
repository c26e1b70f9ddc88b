"""The picture and the table of the documentation are the table's."""

from __future__ import annotations

from xml.etree import ElementTree as ET

from retell_voice.kiosk.diagram import picture, rows
from retell_voice.kiosk.states import TABLE, Event, State

SVG = "{http://www.w3.org/2000/svg}"


def test_the_picture_has_every_state_and_every_way_between_two() -> None:
    root = ET.fromstring(picture())
    boxes = [text.text for text in root.findall(f"{SVG}text") if text.get("class") is None]
    assert sorted(map(str, boxes)) == sorted(state.value for state in State)
    ways = {
        (before, after)
        for (before, event), (after, _) in TABLE.items()
        if event is not Event.STOP and before is not after
    }
    assert len([path for path in root.findall(f"{SVG}path") if path.get("class")]) == len(ways)
    labels = [text.text for text in root.iter(f"{SVG}tspan")]
    assert len(labels) == len(
        [1 for (b, e), (a, _) in TABLE.items() if e is not Event.STOP and a is not b]
    )


def test_nothing_lies_outside_of_it() -> None:
    root = ET.fromstring(picture())
    wide, high = map(float, root.attrib["viewBox"].split()[2:])
    for each in root.iter(f"{SVG}rect"):
        assert 0 <= float(each.attrib["x"]) <= wide - float(each.attrib["width"])
        assert 0 <= float(each.attrib["y"]) <= high - float(each.attrib["height"])


def test_every_row_of_the_table_is_a_row_of_the_page() -> None:
    lines = rows().splitlines()[2:]
    assert len(lines) == len(TABLE)
    state, seen = "", set()
    for line in lines:
        first, _, event, after, _ = (cell.strip() for cell in line[1:-1].split("|"))
        state = first.strip("*") or state
        seen.add((state, event, after or state))
    assert seen == {(b.value, e.value, a.value) for (b, e), (a, _) in TABLE.items()}
