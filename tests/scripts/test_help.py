"""The scripts that explain themselves."""

import runpy
import sys
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[2] / "scripts"
NAMES = sorted(
    path.name
    for path in SCRIPTS.iterdir()
    if path.is_file() and "argparse" in path.read_text("utf-8")
)


@pytest.mark.skipif(sys.platform != "linux", reason="most of them are for Linux alone")
@pytest.mark.parametrize("name", NAMES)
def test_help(
    name: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "argv", [name, "--help"])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPTS / name), run_name="__main__")
    assert ended.value.code == 0
    assert "usage: " in capsys.readouterr().out
