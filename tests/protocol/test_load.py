"""What a message may cost the event loop, on which the microphone's frames wait for their turn.

Bounds are in multiples of what parsing the JSON takes, as machines differ and may be busy.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from retell_voice.cli.plain import Lines
from retell_voice.cli.view import View, reduce
from retell_voice.protocol.web import WebClient
from retell_voice.secret import hiding
from retell_voice.shown import clean

MEGABYTES = "word " * 400_000
HISTORY = [
    {"role": "agent" if n % 2 else "user", "content": f"{n}: some words are said here"}
    for n in range(1000)
]


def updates(kind: str) -> list[str]:
    """Three updates that grow as transcripts do."""
    growing = ["", " more", " more words"]
    match kind:
        case "a newline":
            transcripts = [[{"role": "agent", "content": f"{MEGABYTES}\n{e}"}] for e in growing]
        case "many newlines":
            text = "a\n" * 1_000_000
            transcripts = [[{"role": "agent", "content": text + each}] for each in growing]
        case "a revised end":
            transcripts = [
                [{"role": "agent", "content": f"{MEGABYTES}{each}"}] for each in ("one", "two", "?")
            ]
        case _:
            transcripts = [[*HISTORY, {"role": "user", "content": f"so{e}"}] for e in growing]
    return [json.dumps({"event_type": "update", "transcript": each}) for each in transcripts]


def cost(work: Callable[[], Any]) -> float:
    began = time.process_time()
    work()
    return time.process_time() - began


@pytest.mark.parametrize(
    "kind", ["a newline", "many newlines", "a revised end", "a thousand utterances"]
)
def test_an_update_costs_little_more_than_its_parsing(kind: str) -> None:
    messages = updates(kind)
    hide = hiding(("call_0123456789abcdef",))

    def all_of_it() -> None:
        client, view, lines = WebClient(2), View(), Lines()
        for message in messages:
            for event in client.receive(hide(message), 1.0):
                view = reduce(view, event)
                lines.feed(event)

    parsing = min(cost(lambda: [json.loads(each) for each in messages]) for _ in range(3))
    whole = min(cost(all_of_it) for _ in range(3))
    assert whole < 12 * parsing + 0.02, (whole, parsing)


def test_cleaning_a_text_of_many_lines_is_no_work_for_each() -> None:
    text = "a\n" * 500_000
    assert cost(lambda: clean(text)) < 0.1
    assert clean("a\r\n\tb\x00\u2028c") == "a   b c"
