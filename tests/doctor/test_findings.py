"""The exit code that comes of what was found."""

import json

import pytest

from retell_voice.doctor.findings import PARTS, Finding, Part, Verdict, exit_code, report

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL


def of(part: Part, verdict: Verdict, code: int | None = None) -> Finding:
    return Finding(part, "check", verdict, "says", code=code)


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([of(part, PASS) for part in PARTS], 0),
        ([of("sound", WARN), of("network", WARN, 5)], 0),
        ([of("system", FAIL)], 2),
        ([of("config", WARN), of("config", FAIL)], 2),
        ([of("system", PASS), of("sound", FAIL), of("network", FAIL)], 3),
        ([of("network", FAIL)], 4),
        ([of("network", FAIL, 5)], 5),
    ],
)
def test_the_first_that_failed_gives_the_exit_code(found: list[Finding], code: int) -> None:
    assert exit_code(found) == code
    assert report(found)["exit_code"] == code
    assert report(found)["ok"] is (code == 0)


def test_the_report_is_json() -> None:
    finding = Finding("sound", "clock", WARN, "slow", "wind it up", {"ppm": -12})
    assert json.loads(json.dumps(report([finding])))["findings"] == [
        {
            "part": "sound",
            "check": "clock",
            "verdict": "warn",
            "says": "slow",
            "hint": "wind it up",
            "figures": {"ppm": -12},
        }
    ]
