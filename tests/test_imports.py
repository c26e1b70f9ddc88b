"""Imports point one way, and some rooms stay free of what does not belong there."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "retell_voice"

BASE = {"errors", "events"}
LOW = BASE | {"protocol", "audio"}
IO = LOW | {"devices", "transport", "rest", "unreached"}
ENGINE = IO | {
    *("apart", "call", "conversation", "figures", "inbox", "journal", "jsonl", "mailbox"),
    *("observer", "outcome", "recording"),
}
MAY_IMPORT = {
    "errors": {"errors"},
    "events": BASE,
    "protocol": BASE | {"protocol"},
    "audio": BASE | {"audio"},
    "devices": LOW | {"devices"},
    "unreached": set(),
    "transport": LOW | {"transport", "unreached"},
    "rest": LOW | {"rest", "unreached"},
    "inbox": BASE,
    "jsonl": BASE | {"jsonl"},
    "figures": IO | {"figures"},
    "outcome": LOW | {"transport"},
    "apart": set(),
    "mailbox": set(),
    "journal": IO | {"figures", "inbox", "journal"},
    "conversation": IO | {"apart", "journal", "outcome"},
    "call": ENGINE,
    "settings": BASE | {"settings"},
    "tables": BASE | {"settings", "tables"},
    "config": BASE | {"settings", "tables", "config"},
    "emulator": LOW | {"emulator", "devices", "unreached"},
    "pytest_plugin": {"emulator"},
    "observer": LOW | {"devices"},
    "recording": LOW | {"devices", "jsonl", "observer", "recording"},
    "report": LOW | {"report"},
    "doctor": IO | {"config", "doctor"},
    "cli": ENGINE | {"settings", "tables", "config", "emulator", "doctor", "report", "cli"},
    "kiosk": ENGINE | {"settings", "tables", "config", "kiosk"},
    "__init__": ENGINE,
    "__main__": {"cli"},
}
IO_LIBRARIES = {"asyncio", "threading", "time", "socket", "sounddevice", "websockets"}
FORBIDDEN = {"protocol": IO_LIBRARIES | {"numpy"}, "audio": IO_LIBRARIES, "transport": {"numpy"}}


def imports(path: Path) -> set[str]:
    found = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


MODULES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path: Path) -> None:
    room = path.relative_to(PACKAGE).with_suffix("").parts[0]
    allowed, forbidden = MAY_IMPORT[room], FORBIDDEN.get(room, set())
    for name in imports(path):
        parts = name.split(".")
        if parts[0] != "retell_voice":
            assert parts[0] not in forbidden, f"{room} must not import {parts[0]}"
        elif (PACKAGE / parts[1]).exists() or (PACKAGE / f"{parts[1]}.py").exists():
            assert parts[1] in allowed, f"{room} must not import {name}"


def test_importing_the_package_opens_nothing_and_loads_little() -> None:
    heavy = "{'numpy', 'sounddevice', 'websockets', 'typer', 'rich', 'asyncio'}"
    code = f"import sys, retell_voice; print(sorted({heavy} & set(sys.modules)))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"


def test_using_a_call_needs_no_portaudio_and_no_command_line() -> None:
    code = (
        "import sys, retell_voice; [getattr(retell_voice, name) for name in retell_voice.__all__];"
        "print(sorted({'sounddevice', 'typer', 'rich'} & set(sys.modules)))"
    )
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
