"""The command that adds an extra fits the way this program was installed."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path

import pytest

from retell_voice.extras import Installation, here, how_to_install

PACKAGE = Path(__file__).parents[1] / "retell_voice"
PYTHON = "/v/bin/python"
CLONE = json.dumps({"url": "file:///home/ann/my%20clone", "dir_info": {}})
EDITABLE = json.dumps({"url": "file:///src", "dir_info": {"editable": True}})
GIT = json.dumps({"url": "https://host/r.git", "vcs_info": {"vcs": "git", "commit_id": "1"}})


@pytest.mark.parametrize(
    ("installation", "command"),
    [
        (Installation("/v", PYTHON, active=True), "pip install 'retell-voice[echo]'"),
        (Installation("/v", PYTHON), "/v/bin/python -m pip install 'retell-voice[echo]'"),
        (
            Installation("/v", PYTHON, active=True, origin=CLONE),
            "pip install '/home/ann/my clone[echo]'",
        ),
        (Installation("/v", PYTHON, active=True, origin=EDITABLE), "pip install -e '/src[echo]'"),
        (
            Installation("/v", PYTHON, active=True, origin=GIT),
            "pip install 'retell-voice[echo] @ git+https://host/r.git'",
        ),
        (
            Installation("/home/ann/.local/share/pipx/venvs/retell-voice", PYTHON, origin=CLONE),
            "pipx runpip retell-voice install '/home/ann/my clone[echo]'",
        ),
        (
            Installation("/home/ann/.local/share/uv/tools/retell-voice", "/t/python", False),
            "uv pip install --python /t/python 'retell-voice[echo]'",
        ),
        (Installation("/v", PYTHON, active=True, origin="[]"), "pip install 'retell-voice[echo]'"),
        (Installation("/v", PYTHON, active=True, origin="{"), "pip install 'retell-voice[echo]'"),
    ],
)
def test_the_command_is_the_installers(installation: Installation, command: str) -> None:
    quotes = str.maketrans({"'": '"'}) if sys.platform == "win32" else {}
    assert installation.install("echo") == command.translate(quotes)


def test_other_packages_go_beside_the_program() -> None:
    pipx = Installation("/home/ann/.local/share/pipx/venvs/retell-voice", PYTHON, origin=CLONE)
    assert pipx.add("a", "b") == "pipx runpip retell-voice install a b"


def test_this_installation_is_known() -> None:
    assert here().prefix == sys.prefix
    assert "[webrtc]" in how_to_install("webrtc")


def test_extras_that_are_named_are_there() -> None:
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    known = set(re.findall(r"^([\w-]+) = \[", text, re.M))
    for path in PACKAGE.rglob("*.py"):
        code = path.read_text("utf-8")
        found = re.findall(r"how_to_install\([\"'](.+?)[\"']\)", code)
        for extra in found + re.findall(r"retell-voice\[([\w-]+)\]", code):
            assert extra in known, f"{path.name} names {extra}"
