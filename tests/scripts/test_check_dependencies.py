"""The check of licences and of the lock file, and that both are in order here."""

import sys
from email.message import Message
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))

from dependency_parts import licences, lock

ROOT = Path(__file__).parents[2]


class Installed:
    def __init__(self, name: str, **headers: str | list[str]) -> None:
        self.name, self.version, self.metadata = name, "1.0", Message()
        for header, values in headers.items():
            for value in [values] if isinstance(values, str) else values:
                self.metadata[header.replace("_", "-")] = value


def test_the_licences_of_all_that_is_installed_will_do() -> None:
    assert licences.complaints() == []


@pytest.mark.parametrize(
    ("headers", "stated"),
    [
        ({"License_Expression": "GPL-3.0-or-later"}, "GPL-3.0-or-later"),
        ({"License_Expression": "MIT AND AGPL-3.0-only"}, "MIT AND AGPL-3.0-only"),
        ({"License": "MIT, but not for you"}, "MIT, but not for you"),
        ({"License": "UNKNOWN"}, "states no licence"),
        ({"License": "The licence\nof all"}, "states no licence"),
        (
            {"Classifier": "License :: OSI Approved :: GNU Affero General Public License v3"},
            "GNU Affero General Public License v3",
        ),
    ],
)
def test_one_that_will_not_do_is_named(headers: dict[str, str], stated: str) -> None:
    assert licences.complaints([Installed("x", **headers)]) == [f"x 1.0: {stated}"]  # type: ignore[list-item]


@pytest.mark.parametrize(
    "headers",
    [
        {"License_Expression": "EPL-2.0 OR GPL-2.0-only"},
        {"License_Expression": "BSD-3-Clause AND 0BSD AND (MIT AND Zlib)"},
        {"License": "Apache License, Version 2.0"},
        {"License": "a whole text\nof it", "Classifier": "License :: OSI Approved :: BSD License"},
    ],
)
def test_one_that_will_do_is_not(headers: dict[str, str]) -> None:
    assert licences.complaints([Installed("x", **headers)]) == []  # type: ignore[list-item]


def test_the_lock_file_has_all_that_the_tests_require() -> None:
    assert lock.complaints(ROOT / "pyproject.toml", ROOT / "requirements-dev.lock") == []


HASH = f"    --hash=sha256:{'0' * 64}"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (f"a==1.5 \\\n{HASH}\n", "b is missing"),
        (f"a==1.5 \\\n{HASH}\nb==1.0 ; os_name == 'nt' \\\n{HASH}\n", "b 1.0: b>=2"),
        (f"a==1.5\nb==2.0 \\\n{HASH}\n", "not a version with hashes: a==1.5"),
        (f"a==1.5 \\\n{HASH}\nb @ https://x/b.whl\n", "not a version with hashes: b @ https"),
    ],
)
def test_what_a_lock_file_lacks_is_named(tmp_path: Path, text: str, says: str) -> None:
    project, locked = tmp_path / "pyproject.toml", tmp_path / "x.lock"
    project.write_text(
        '[project]\nname = "p"\ndependencies = ["a<2"]\n'
        '[project.optional-dependencies]\ndev = ["p[more]"]\nmore = ["b>=2"]\n'
    )
    locked.write_text(f"# header\n{text}")
    (line,) = lock.complaints(project, locked)
    assert says in line
    locked.write_text(f"# header\na==1.5 \\\n{HASH}\nB==2.1 \\\n{HASH} \\\n{HASH}\n")
    assert lock.complaints(project, locked) == []
