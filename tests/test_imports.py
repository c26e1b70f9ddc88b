"""Imports point one way, and some rooms stay free of what does not belong there."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "retell_voice"

BASE = {"errors", "events", "extras", "private", "secret", "shown"}
SAMPLES = BASE | {"protocol", "audio"}
IO = SAMPLES | {"echo", "devices", "net", "rest", "threads", "transport"}
ENGINE = IO | {"engine"}
PROGRAM = ENGINE | {"emulator", "program", "recording", "settings"}
PROGRAMS = {"cli", "kiosk"}
MAY_IMPORT = {
    "shown": set(),
    "errors": {"errors", "shown"},
    "secret": {"secret"},
    "private": {"errors"},
    "extras": {"extras", "shown"},
    "events": BASE,
    "threads": BASE | {"audio", "threads"},
    "net": BASE | {"net"},
    "protocol": BASE | {"protocol"},
    "audio": BASE | {"audio"},
    "echo": BASE | {"audio", "echo"},
    "devices": BASE | {"audio", "devices", "echo", "threads"},
    "transport": SAMPLES | {"net", "transport"},
    "rest": SAMPLES | {"net", "rest"},
    "engine": ENGINE,
    "recording": SAMPLES | {"devices", "engine", "recording"},
    "report": SAMPLES | {"report"},
    "settings": BASE | {"protocol", "settings"},
    "emulator": SAMPLES | {"devices", "emulator", "net"},
    "pytest_plugin": {"emulator"},
    "doctor": IO | {"doctor", "settings"},
    "program": PROGRAM,
    "swarm": SAMPLES | {"report", "swarm", "transport"},
    "cli": PROGRAM | {"cli", "doctor", "report", "swarm"},
    "kiosk": PROGRAM | {"doctor", "kiosk"},
    "sync": ENGINE,
    "__init__": ENGINE | {"recording"},
    "__main__": {"cli"},
}
COMMANDS = "retell_voice.kiosk.commands"
"""What the command line takes of another program, in one place: the names of its commands."""
IO_LIBRARIES = {"asyncio", "threading", "time", "socket", "sounddevice", "websockets"}
FORBIDDEN = {"protocol": IO_LIBRARIES | {"numpy"}, "audio": IO_LIBRARIES, "transport": {"numpy"}}


@cache
def imports(path: Path) -> frozenset[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(found)


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    allowed, forbidden = MAY_IMPORT[room], FORBIDDEN.get(room, set())
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "retell_voice":
            assert parts[0] not in forbidden, f"{room} must not import {parts[0]}"
        elif name.startswith(COMMANDS) and path == PACKAGE / "cli" / "app.py":
            continue  # the list of all commands
        elif (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists():
            assert parts[1] in allowed, f"{room} must not import {name}"


def test_programs_share_a_room_and_never_import_each_other() -> None:
    for room, allowed in MAY_IMPORT.items():
        mine = {room} if room in PROGRAMS else {"cli"} if room == "__main__" else set()
        assert allowed & PROGRAMS <= mine, f"{room} must not import a program"
        assert room in PROGRAMS | {"program"} or "program" not in allowed
    assert "program" in MAY_IMPORT["cli"] & MAY_IMPORT["kiosk"]


def test_every_room_is_in_the_table() -> None:
    rooms = {path.relative_to(PACKAGE).with_suffix("").parts[0] for path in MODULES}
    assert rooms <= set(MAY_IMPORT)


def modules_of(path: Path) -> set[Path]:
    """Return the files of this package that a file imports."""
    found = set()
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "retell_voice":
            continue
        for length in (len(parts), len(parts) - 1):  # the last may be a name in a module
            place = PACKAGE.joinpath(*parts[1:length])
            file = place / "__init__.py" if place.is_dir() else place.with_suffix(".py")
            if file.exists():
                found.add(file)
                break
    return found - {path}


def test_no_files_import_each_other_in_a_circle() -> None:
    # A package's face hands on the names of its own files, which never import it back by name.
    files = [path for path in MODULES if path != PACKAGE / "__init__.py"]
    sorter = TopologicalSorter({path: modules_of(path) for path in files})
    try:
        sorter.prepare()
    except CycleError as error:
        circle = " -> ".join(str(path.relative_to(PACKAGE)) for path in error.args[1])
        pytest.fail(f"these files import each other: {circle}")


def test_importing_the_package_opens_nothing_and_loads_little() -> None:
    heavy = "{'numpy', 'sounddevice', 'websockets', 'typer', 'rich', 'asyncio'}"
    code = f"import sys, retell_voice; print(sorted({heavy} & set(sys.modules)))"
    assert _printed(code) == "[]"


def test_using_a_call_needs_no_portaudio_and_no_command_line() -> None:
    code = (
        "import sys, retell_voice; [getattr(retell_voice, name) for name in retell_voice.__all__];"
        "print(sorted({'sounddevice', 'typer', 'rich'} & set(sys.modules)))"
    )
    assert _printed(code) == "[]"


def _printed(code: str) -> str:
    command = [sys.executable, "-c", code]
    run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return run.stdout.strip()
