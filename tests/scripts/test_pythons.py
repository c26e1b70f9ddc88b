"""scripts/test-pythons, with interpreters and a test command that are not real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a shell script", allow_module_level=True)

SCRIPTS = Path(__file__).parents[2] / "scripts"

# Does what it is asked to check: whether it is the version in its name.
INTERPRETER = "#!/bin/sh\ncase $2 in *\"'{version}'\"*) exit 0 ;; esac\nexit 1\n"
TEST = """\
#!/bin/sh
echo "with $* in $(basename "$RETELL_VOICE_VENV") by $RETELL_VOICE_PYTHON"
printf 'SKIPPED [2] tests/a.py:1: no pocketsphinx\\n'
printf '\\033[32m===== \\033[1m12 passed\\033[0m, 2 skipped in 3.0s =====\\033[0m\\n'
case $RETELL_VOICE_VENV in *{broken}) exit 1 ;; esac
"""


@pytest.fixture
def repo(tmp_path: Path) -> Path:
    scripts = tmp_path / "repo" / "scripts"
    scripts.mkdir(parents=True)
    for name in ("setup", "test-pythons"):
        shutil.copy(SCRIPTS / name, scripts)
    program(scripts / "test", TEST.format(broken="never"))
    (tmp_path / "bin").mkdir()
    for tool in ("basename", "bash", "cat", "dirname", "grep", "mktemp", "rm", "sed", "tee"):
        (tmp_path / "bin" / tool).symlink_to(str(shutil.which(tool)))
    return tmp_path / "repo"


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


def run(repo: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    root = repo.parent
    return subprocess.run(
        [str(repo / "scripts" / "test-pythons"), *arguments],
        env={"PATH": f"{root}/bin", "PYENV_ROOT": str(root / "pyenv"), "HOME": str(root)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_each_that_is_there_and_what_was_skipped(repo: Path) -> None:
    program(repo.parent / "bin" / "python3.11", INTERPRETER.format(version="3.11"))
    # As pyenv's stand-ins are, of versions that are installed but not in use.
    program(repo.parent / "bin" / "python3.12", "#!/bin/sh\nexit 127\n")
    pyenv = repo.parent / "pyenv" / "versions" / "3.13.2" / "bin" / "python"
    program(pyenv, INTERPRETER.format(version="3.13"))
    done = run(repo, "-x")
    assert done.returncode == 0
    assert "with -x in .venv-3.11 by python3.11\n" in done.stdout
    assert f"with -x in .venv-3.13 by {pyenv}\n" in done.stdout
    summary = done.stderr.partition("====\n")[2]
    for version in ("3.11", "3.13"):
        assert (
            f"Python {version}: passed\n"
            "  SKIPPED [2] tests/a.py:1: no pocketsphinx\n"
            "  12 passed, 2 skipped in 3.0s\n"
        ) in summary
    for version in ("3.12", "3.14"):
        assert f"Python {version}: not found\n" in summary


def test_one_that_fails_does_not_keep_the_others_from_running(repo: Path) -> None:
    program(repo / "scripts" / "test", TEST.format(broken="3.11"))
    for version in ("3.11", "3.12"):
        path = repo.parent / "bin" / f"python{version}"
        program(path, INTERPRETER.format(version=version))
    done = run(repo)
    assert done.returncode == 1
    assert "Python 3.11: FAILED\n" in done.stderr
    assert "Python 3.12: passed\n" in done.stderr


def test_none_is_a_failure(repo: Path) -> None:
    done = run(repo)
    assert done.returncode == 1
    assert done.stderr.count("not found") == 4
