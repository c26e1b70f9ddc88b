"""Whether the agent would hear itself, as the doctor sees it."""

from typing import Any

import pytest

from retell_voice.devices import echo_path
from retell_voice.doctor.echo import judge_echo, judge_way
from retell_voice.doctor.findings import Verdict
from retell_voice.echo.choice import Choice, Method

PASS, WARN, FAIL = Verdict.PASS, Verdict.WARN, Verdict.FAIL
OFF = Choice(Method.OFF, "no canceller is installed", "with open speakers: pip install it")


class Device:
    """A device of this computer, by name."""

    rate, latency = 16000, None

    def __init__(self, name: str) -> None:
        self.name = name

    def start(self, end: Any) -> None: ...
    def stop(self) -> None: ...


def test_a_way_comes_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_path, "installed", lambda: ("pywebrtc-audio",))
    choice, finding = judge_way("auto", Device("Built-in"), Device("Built-in"))
    assert choice.method is Method.WEBRTC
    assert (finding.verdict, finding.says) == (PASS, "webrtc: Built-in is not a headset")


def test_auto_that_could_do_better_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_path, "installed", lambda: ())
    choice, finding = judge_way("auto", Device("Built-in"), Device("Built-in"))
    assert choice.method is Method.OFF
    assert finding.verdict is WARN
    assert "pip install" in finding.hint


def test_a_way_that_is_not_there_fails_as_the_call_would(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(echo_path, "installed", lambda: ())
    choice, finding = judge_way("webrtc", Device("Built-in"), Device("Built-in"))
    assert choice.method is Method.OFF
    assert (finding.verdict, finding.exit_code) == (FAIL, 2)


@pytest.mark.parametrize(
    ("levels", "choice", "verdict", "says"),
    [
        ([None, None], OFF, PASS, "does not hear the speaker"),
        (
            [-12.0, None, -11.0],
            OFF,
            WARN,
            "-11 dB relative to what is played: the agent would hear",
        ),
        ([-50.0], OFF, PASS, "too faint to matter"),
        ([-12.0], Choice(Method.WEBRTC, "so"), PASS, "-12 dB relative to what is played; webrtc"),
    ],
)
def test_an_echo_matters_if_it_is_loud_and_nothing_is_done(
    levels: list[float | None], choice: Choice, verdict: Verdict, says: str
) -> None:
    finding = judge_echo(levels, choice)
    assert finding.verdict is verdict
    assert says in finding.says
    assert bool(finding.hint) == (verdict is WARN)
