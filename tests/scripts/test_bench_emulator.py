"""scripts/bench-emulator: its arithmetic, and that each part of it runs."""

import asyncio
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from bench_parts import crowd, detectors, reply, swarm
from bench_parts.figures import REPO
from bench_parts.questioner import sounding
from bench_parts.reply import Reply, Stamps
from bench_parts.server import BenchError

from retell_voice.devices.files import WavWriter

RATE = reply.RATE

TURN = Reply(
    began=5.0,
    spoken=10.0,
    decided=10.6,
    asked=10.9,
    chunk=11.0,
    sentence=11.25,
    made=11.5,
    arrived=11.51,
    silence=0.06,
)


def stamps(*taken: tuple[str, float]) -> Stamps:
    found = Stamps()
    for kind, at in taken:
        found.take(kind, at)
    return found


def test_the_parts_are_what_the_caller_waited_for() -> None:
    assert list(TURN.parts.values()) == pytest.approx([0.6, 0.3, 0.1, 0.25, 0.25, 0.01])
    assert TURN.whole == pytest.approx(1.51)
    assert reply.describe(TURN) == ("5.0 s of speech, 600 + 300 + 100 + 250 + 250 + 10 = 1510 ms")


def test_a_turn_is_told_by_what_led_to_its_answer() -> None:
    taken = stamps(
        ("decided", 7.0),  # a pause, after which the user went on
        ("asked", 7.2),
        ("chunk", 7.3),
        ("decided", 10.6),
        ("asked", 10.9),
        ("chunk", 11.0),
        ("sentence", 11.25),
        ("sentence", 11.3),
        ("made", 11.5),
        ("made", 11.5),
        ("made", 11.6),
        ("sentence", 12.0),
    )
    assert taken.between(10.0, 11.51) == {
        "decided": 10.6,
        "asked": 10.9,
        "chunk": 11.0,
        "sentence": 11.25,
        "made": 11.5,
    }
    assert taken.between(10.0, 11.4) is None  # nothing was spoken by then
    assert taken.between(12.1, 13.0) is None


def test_what_was_asked_anew_counts() -> None:
    taken = stamps(
        ("decided", 1.0),
        ("asked", 1.1),
        ("chunk", 1.2),
        ("decided", 1.6),
        ("asked", 1.7),
        ("chunk", 1.8),
        ("sentence", 1.9),
        ("made", 2.0),
    )
    times = taken.between(0.5, 2.1)
    assert times is not None
    assert (times["decided"], times["asked"], times["chunk"]) == (1.6, 1.7, 1.8)


def test_the_table_of_replies_has_the_emulators_own_measure_beside_the_callers() -> None:
    measured = reply.Measured(("TTS: mumble, no words", "ears: none"), [TURN], 1, {"e2e": [1400.0]})
    lines = {row.what.strip(): row.figures for row in reply.rows(measured)}
    assert lines["TTS: mumble, no words, ears: none"] == "1 turns of 5.0 to 5.0 s, 1 passed over"
    assert lines["last sound of the user → first of the agent"] == "1510.0 / 1510.0 / 1510.0 ms"
    assert lines["the client waited longer by (median)"] == "110.0 ms"


def test_where_speech_begins_and_ends() -> None:
    said = np.zeros(100, np.int16)
    assert sounding(said) == (100, 100)
    said[20:60:3] = -9000
    said[70] = 300  # −41 dBFS
    assert sounding(said) == (20, 60)


def test_a_reply_is_measured() -> None:
    said = (np.sin(np.arange(int(0.6 * RATE)) * 0.05) * 8000).astype(np.int16)
    told: list[str] = []
    measured = asyncio.run(reply.measure("mumble", "none", [said], told.append, detector="energy"))
    (answered,) = measured.replies
    assert measured.passed_over == 0
    assert told == [f"turn 1: {reply.describe(answered)}"]
    assert answered.spoken - answered.began == pytest.approx(0.6, abs=0.01)
    assert all(seconds >= 0 for seconds in answered.parts.values())
    assert answered.parts["endpointing: last sound → turn over"] > 0.5
    assert sum(answered.parts.values()) == pytest.approx(answered.whole)
    assert len(measured.told["e2e"]) == 1


def test_a_caller_that_ends_is_a_failure() -> None:
    unreadable = np.array([None])
    with pytest.raises(BenchError, match="the caller: it ended"):
        asyncio.run(reply.measure("mumble", "none", [unreadable], detector="energy"))


def test_what_the_parrot_has_to_say_is_known() -> None:
    turns = crowd.schedule(crowd.frames(12, RATE), RATE)
    assert turns[0].after == 0
    assert len(turns) == 2
    assert 5 < turns[1].after * crowd.FRAME < 12
    for turn in turns:
        assert turn.due[:3] == pytest.approx([0.0, 0.1, 0.2])


def test_lateness_counts_what_never_came() -> None:
    due = [[1.0, 1.1], [5.0, 5.1], [9.0]]
    came = [[1.01, 1.02], [5.2]]
    assert crowd.lateness(due, came) == pytest.approx([0.01, -0.08, 0.2, np.inf, np.inf])
    assert crowd.lateness([], [[1.0]]) == []


def test_a_turn_that_begins_late_has_no_gap() -> None:
    due = [[1.0, 1.1, 1.2, 1.3, 1.4]]
    assert crowd.gaps(due, [[1.5, 1.6, 1.6, 1.8, 1.9]]) == 0
    assert crowd.gaps(due, [[1.0, 1.0, 1.0, 1.35, 1.45]]) == 1  # the second is in time after it
    assert crowd.gaps(due, [[1.0, 1.15, 1.2, 1.4]]) == 2
    assert crowd.gaps(due, [[]]) == crowd.gaps(due, []) == 0


def test_late_frames_are_counted() -> None:
    late = [0.0, 0.019, 0.021, np.inf]
    seen = crowd.Seen(began=[0.001], late=late, sent=[0.0], answered=[0.001])
    rows = crowd.rows(10, 5.0, seen, [0.001], used=1.0, size=40)
    lines = {row.what.strip(): row for row in rows}
    assert lines["late frames"].figures == "2 of 4"
    assert lines["late frames"].missed
    assert lines["the emulator uses"].figures == "20 % of a core, 2.00 % a call"


def test_parrot_calls_at_once_are_measured() -> None:
    rows = crowd.run(calls=2, seconds=0.5, rate=8000)
    lines = {row.what.strip(): row.figures for row in rows}
    greeting = crowd.schedule(crowd.frames(0.5, 8000), 8000)[0]
    assert lines["late frames"].endswith(f" of {2 * len(greeting.due)}")
    assert lines["the parrot begins to speak late by"].endswith(" ms")
    assert lines["a heartbeat's answer takes"].endswith(" ms")


def test_a_swarm_and_the_emulator_are_measured(tmp_path: Path) -> None:
    writer = WavWriter(tmp_path / "say.wav", 8000)
    writer.write((8000 * np.sin(np.arange(4000) / 3)).astype(np.int16))
    writer.close()
    more = ("--input-file", str(tmp_path / "say.wav"), "--answer-timeout", "2")
    lines = {row.what.strip(): row.figures for row in swarm.run(2, ramp=0.1, more=more)}
    assert lines["calls that failed or were left out"] == "0"
    assert lines["answered after"].endswith(" ms")
    for who in ("swarm uses", "the emulator uses"):
        assert lines[who].endswith(" % a call")


def test_the_detectors_are_measured() -> None:
    rows = detectors.run(seconds=0.1)
    assert [row.what for row in rows] == [
        f"{kind} detector, {rate} Hz" for kind in ("energy", "neural") for rate in detectors.RATES
    ]
    assert all("µs a second of audio" in row.figures for row in rows)


def bench(*options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(REPO / "scripts" / "bench-emulator"), *options],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_the_program_prints_a_table() -> None:
    done = bench("detector", "--seconds", "0.1", "--markdown")
    assert done.returncode == 0, done.stderr
    lines = done.stdout.splitlines()
    assert lines[:2] == ["| what | measured |", "|---|---|"]
    assert "load before" in lines[-1]


def test_the_help_says_what_is_measured() -> None:
    assert "parrot" in bench("--help").stdout
    assert "endpointing" in bench("reply", "--help").stdout


@pytest.mark.parametrize(
    "options", [(), ("reply", "--turns", "0"), ("reply", "--engines", "piper"), ("soak",)]
)
def test_what_makes_no_sense_is_refused(options: tuple[str, ...]) -> None:
    done = bench(*options)
    assert done.returncode == 2
    assert done.stdout == ""
