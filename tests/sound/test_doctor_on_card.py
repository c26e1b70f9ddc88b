"""The doctor on a real card: one whose microphone hears its speaker, and one that is deaf."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from support.waits import run_ahead, unless_it_had_to_wait

pytestmark = pytest.mark.sound


def examine(env: dict[str, str], *arguments: str) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    command = [sys.executable, "-m", "retell_voice", "doctor", "--only", "sound", "--json"]
    with subprocess.Popen([*command, *arguments], env=env, stdout=subprocess.PIPE) as doctor:
        run_ahead(doctor.pid)
        said, _ = doctor.communicate(timeout=60)
    found: dict[str, list[dict[str, Any]]] = {}
    for each in json.loads(said)["findings"]:
        found.setdefault(each["check"], []).append(each)
    return doctor.returncode, found


@unless_it_had_to_wait
async def test_the_microphone_hears_the_speaker(card, home):
    env = card.environment(source="vspk.monitor") | home
    _, found = await asyncio.to_thread(examine, env, "--seconds", "1")
    trip = found["round trip"][0]
    assert trip["verdict"] == "pass"
    assert trip["figures"]["heard"] == trip["figures"]["played"] == 3
    assert 5 < trip["figures"]["round_trip_ms"] < 250
    assert found["sound server"][0]["verdict"] == "pass"
    assert [each["verdict"] for each in found["clock"]] == ["pass", "pass"]
    assert "24000" in found["rates"][0]["says"]


@unless_it_had_to_wait
async def test_a_voice_and_no_chime(card, home):
    tone = (np.sin(np.arange(48000 * 60) / 20) * 8000).astype(np.int16)
    env = card.env | home
    with card.playing(tone):
        code, found = await asyncio.to_thread(examine, env, "--seconds", "1.5", "--no-sound")
    assert code == 0
    level = found["microphone level"][0]
    assert level["figures"]["peak_dbfs"] == pytest.approx(-12.2, abs=0.5)
    assert "round trip" not in found


def test_no_sound_server(card, home):
    env = card.env | home | {"PULSE_SERVER": "unix:/nonexistent", "XDG_RUNTIME_DIR": "/nonexistent"}
    code, found = examine(env)
    assert code == 3
    assert found["sound server"][0]["verdict"] == "warn"
    assert found["devices"][0]["verdict"] == "fail"
