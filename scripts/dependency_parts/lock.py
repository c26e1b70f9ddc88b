"""The lock file: a version and the hashes of everything that the tests install."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from collections.abc import Iterable, Mapping
from pathlib import Path

from packaging.requirements import Requirement
from packaging.version import Version

HEADER = """\
# What the tests install, on every Python from {python} on and every system, with the hashes of the
# files: `scripts/check-dependencies --write-lock` writes it. Where RETELL_VOICE_LOCKED is set,
# scripts/setup installs just this. It does not do so in every CI: an index that lacks one of these
# versions, such as a company's mirror, would stop all tests.
"""
_PIN = re.compile(r"^([\w.-]+)==([^\s;]+)(?:\s*;\s*([^\\]+?))?\s*\\$", re.MULTILINE)
_HASH = re.compile(r"--hash=sha256:[0-9a-f]{64}\b")


def pins(text: str) -> dict[str, list[str]]:
    """Return the versions by name in a lock file; several where systems differ.

    Raises:
        ValueError: one of them has no hash, or there is something else.
    """
    found: dict[str, list[str]] = {}
    blocks = re.split(r"\n(?=[^\s#])", "\n" + re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    for block in filter(str.strip, blocks):
        pin = _PIN.match(block.lstrip("\n"))
        if pin is None or not _HASH.search(block):
            raise ValueError(f"not a version with hashes: {block.strip()[:80]}")
        found.setdefault(_canonical(pin[1]), []).append(pin[2])
    return found


def complaints(project: Path, lock: Path) -> list[str]:
    """Return a line for each requirement of the tests that the lock file does not meet."""
    metadata = tomllib.loads(project.read_text("utf-8"))["project"]
    try:
        locked = pins(lock.read_text("utf-8"))
    except (OSError, ValueError) as error:
        return [f"{lock.name}: {error}"]
    lines = []
    for requirement in _wanted(metadata, {"dev"}):
        versions = locked.get(_canonical(requirement.name))
        if versions is None:
            lines.append(f"{lock.name}: {requirement.name} is missing")
        elif not any(requirement.specifier.contains(Version(each)) for each in versions):
            lines.append(f"{lock.name}: {requirement.name} {', '.join(versions)}: {requirement}")
    return lines


def write(project: Path, lock: Path) -> int:
    """Write the lock file with ``uv``; return its exit code."""
    python = tomllib.loads(project.read_text("utf-8"))["project"]["requires-python"].strip(">=")
    options = ("--extra", "dev", "--universal", "--generate-hashes", "--no-header", "--no-annotate")
    command = ("uv", "pip", "compile", str(project), *options, "--python-version", python)
    try:
        result = subprocess.run(
            (*command, "--quiet"), stdout=subprocess.PIPE, check=False, text=True
        )
    except FileNotFoundError:
        print("uv is not installed: pip install uv", file=sys.stderr)
        return 1
    if result.returncode == 0:
        lock.write_text(HEADER.format(python=python) + result.stdout, "utf-8")
    return result.returncode


def download(lock: Path, folder: Path) -> int:
    """Have pip fetch all of it for this Python, checking the hashes; return its exit code."""
    options = ("--quiet", "--no-deps", "--require-hashes", "--dest", str(folder))
    command = (sys.executable, "-m", "pip", "download", *options, "--requirement", str(lock))
    return subprocess.run(command, check=False).returncode


def _wanted(metadata: Mapping[str, object], extras: set[str]) -> Iterable[Requirement]:
    """Yield what extras require, with those of this project that they name."""
    lists: list[str] = list(metadata["dependencies"])  # type: ignore[call-overload]
    optional: Mapping[str, list[str]] = metadata["optional-dependencies"]  # type: ignore[assignment]
    done: set[str] = set()
    waiting = set(extras)
    while waiting:
        extra = waiting.pop()
        done.add(extra)
        for each in map(Requirement, optional[extra]):
            if each.name == metadata["name"]:
                waiting |= each.extras - done
            else:
                lists.append(str(each))
    return [Requirement(each) for each in lists]


def _canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
