"""scripts/setup and scripts/demo, with a system and an interpreter that are not real."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

if sys.platform == "win32":
    pytest.skip("a shell script", allow_module_level=True)

SCRIPTS = Path(__file__).parents[2] / "scripts"

# More after what is looked for than a pipe holds: who stops reading breaks it.
LDCONFIG = """\
#!/bin/sh
echo '\tlibportaudio.so.2 (libc6,x86-64) => /lib/libportaudio.so.2'
i=0
while [ $i -lt 20000 ]; do
    echo "\tlib$i.so (libc6,x86-64) => /lib/lib$i.so" || exit 1
    i=$((i + 1))
done
"""
# Without devices; prints what talk is asked for.
INTERPRETER = '#!/bin/sh\nif [ "$1" = - ]; then exit 1; fi\nshift 2\necho "$@"\n'


def program(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o755)


@pytest.mark.parametrize(("listed", "code"), [(LDCONFIG, 0), ("#!/bin/sh\necho 'libc.so.6'\n", 1)])
def test_a_library_is_found_however_much_is_listed_after_it(
    tmp_path: Path, listed: str, code: int
) -> None:
    program(tmp_path / "ldconfig", listed)
    asked = f'set -euo pipefail; source "{SCRIPTS}/setup"; has_portaudio'
    result = subprocess.run(
        ["/usr/bin/env", f"PATH={tmp_path}:/usr/bin:/bin", "bash", "-c", asked],
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (code, b"")


@pytest.mark.parametrize(
    ("given", "plain"),
    [((), True), (("--json",), False), (("--plain",), False), (("--agent-version", "2"), True)],
)
def test_a_demo_without_sound_prints_lines_unless_asked_for_json(
    tmp_path: Path, given: tuple[str, ...], plain: bool
) -> None:
    scripts = tmp_path / "scripts"
    scripts.mkdir()
    shutil.copy(SCRIPTS / "demo", scripts)
    program(scripts / "python", INTERPRETER)
    (scripts / "setup").write_text(
        f"PYTHON={scripts}/python REPO=.\nprepare() {{ :; }}\nsay() {{ :; }}\n"
    )
    result = subprocess.run(
        [str(scripts / "demo"), *given], capture_output=True, text=True, check=True, timeout=60
    )
    words = result.stdout.split()
    assert words[: 2 + plain] == ["talk", "--local", *(["--plain"] if plain else [])]
    assert words[len(words) - len(given) :] == list(given)
    assert words.count("--plain") == plain + given.count("--plain")
