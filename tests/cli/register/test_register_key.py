"""Where the API key comes from that a call is registered with, and who else may read it."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest
from support.pipes import complaint, searching
from support.registering import AGENT, KEY, WITH_KEY, Run

from retell_voice.settings.load import find_key
from retell_voice.settings.schema import Sourced


async def test_the_key_of_the_config_file(register: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"api_key = '{KEY}'\n")
    path.chmod(0o600)
    result = await register("--config", str(path), more={})
    assert (result.returncode, result.stderr) == (0, "")
    result = await register("--config", str(path), more={"RETELL_API_KEY": "another_key_of_mine"})
    assert complaint(result, 7)[1].startswith("  it came from RETELL_API_KEY;")


@pytest.mark.skipif(os.name != "posix", reason="other systems have no such permissions")
async def test_a_key_that_others_may_read_is_warned_of(register: Run, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text(f"api_key = '{KEY}'\n")
    path.chmod(0o644)
    result = await register("--config", str(path), more={})
    assert "chmod 600" in complaint(result, 0)[0]


async def test_a_key_that_others_may_read_on_its_way_is_warned_of(program: Run) -> None:
    where = ("--api-url", "http://0.0.0.0:1")  # not loopback, and yet nobody is asked
    result = await program("register", *AGENT, *where, more=WITH_KEY)
    warning, problem, *_ = result.stderr.splitlines()
    assert result.returncode == 4
    assert warning.startswith("retell-voice: the API key goes to 0.0.0.0:1 unencrypted")
    assert problem.startswith("retell-voice: network: ")


@pytest.mark.parametrize(
    ("module", "shown"),
    [
        (f"def get_password(*key): return {{('retell-voice', 'api-key'): '{KEY}'}}[key]", True),
        ("def get_password(*key): return None", False),
        ("def get_password(*key): raise RuntimeError('no D-Bus')", False),
        ("raise ImportError('half installed')", False),
    ],
)
async def test_the_key_of_the_system_keyring(
    program: Run, tmp_path: Path, module: str, shown: bool
) -> None:
    (tmp_path / "keyring.py").write_text(module)
    more = searching(tmp_path)
    result = await program("config", "show", more=more)
    assert result.stderr == ""
    (line,) = (each for each in result.stdout.splitlines() if each.startswith("api_key"))
    assert (
        line.split()
        == ("api_key = …cdef # the system keyring" if shown else "api_key = # default").split()
    )
    result = await program("config", "show", more={**more, **WITH_KEY})
    assert "# RETELL_API_KEY" in result.stdout
    if not shown:
        result = await program("register", *AGENT, more=more)
        assert "no API key to register a call" in complaint(result, 2)[0]


def test_a_key_of_the_keyring_is_a_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    class Keyring:
        @staticmethod
        def get_password(service: str, name: str) -> str:
            return KEY

    monkeypatch.setitem(sys.modules, "keyring", Keyring)
    found = find_key(Sourced(None))
    assert found.value == KEY
    assert KEY not in repr(found)
