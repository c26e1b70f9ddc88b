"""JSON as JavaScript writes it. Where there is node, it is asked."""

import json
import shutil
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retell_voice.emulator.javascript import stringify

AS_WRITTEN = [
    "0",
    "-1.5",
    "1e-7",
    "0.000001",
    "1.5e-9",
    "123456789.125",
    "100000000000000000000",
    "1e+21",
    "1.2345e+25",
    "-9007199254740993000",
    "5e-324",
    "1.7976931348623157e+308",
    '{"1":"b","2":"a","10":"c","b":1,"a":2,"01":3,"-1":4}',
    '["\\u001f\\n\\"\\\\/é€😀\x7f\u2028","\\udead"]',
    "[true,null,[],{}]",
]


@pytest.mark.parametrize("text", AS_WRITTEN)
def test_what_javascript_wrote_stays_as_it_is(text: str) -> None:
    assert stringify(json.loads(text)) == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (-0.0, "0"),
        (2.0, "2"),
        (2**53 + 1, "9007199254740992"),
        (10**22, "1e+22"),
        (10**400, "null"),
        (float("nan"), "null"),
        ({"b": 1, "1": 2}, '{"1":2,"b":1}'),
    ],
)
def test_numbers_and_keys_become_those_of_javascript(value: object, text: str) -> None:
    assert stringify(value) == text


@given(st.lists(st.floats(allow_nan=False, allow_infinity=False)))
def test_every_number_is_read_as_what_it_was(numbers: list[float]) -> None:
    assert [float(each) for each in json.loads(stringify(numbers))] == numbers


@pytest.mark.skipif(not shutil.which("node"), reason="node is not installed")
def test_node_writes_the_same() -> None:
    numbers = [sign * (1 + 1 / 3) * 10.0**power for power in range(-30, 30) for sign in (1, -1)]
    texts = [*AS_WRITTEN, json.dumps(numbers), '{"x":1,"4294967294":1,"4294967295":2,"7":3}']
    code = "for (const t of JSON.parse(process.argv[1])) console.log(JSON.stringify(JSON.parse(t)))"
    node = subprocess.run(
        ["node", "-e", code, json.dumps(texts)], capture_output=True, text=True, check=True
    )
    assert node.stdout.split("\n")[:-1] == [stringify(json.loads(text)) for text in texts]
