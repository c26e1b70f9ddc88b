"""What stands in the documentation is so: files, rooms, code, links of the README."""

from __future__ import annotations

import ast
import asyncio
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support.waits import unless_it_had_to_wait

import retell_voice
from retell_voice.echo.choice import Method
from retell_voice.echo.system import HOW_TO
from retell_voice.settings.schema import table
from retell_voice.settings.sections import SECTIONS

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


def test_rooms_that_are_named_are_there() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| (`.*?) \|", page, re.M)
    rooms = [room for row in rows for room in re.findall(r"`(.+?)`", row)]
    assert len(rooms) > 20
    for room in rooms:
        assert (ROOT / "retell_voice" / room).exists(), room


def test_the_page_about_echo_knows_every_way_and_how_to_make_the_systems() -> None:
    page = (ROOT / "docs" / "echo.md").read_text("utf-8")
    assert HOW_TO.strip() in page
    for method in Method:
        assert f"\n| `{method}` |" in page


def test_no_two_servers_of_the_pages_want_the_same_port() -> None:
    """Nor do those of the examples; and pages that dial the emulator dial where it listens."""
    emulator = int(table(SECTIONS["emulator"])["port"].default)
    examples = {
        path.stem: int(found[1])
        for path in ROOT.glob("examples/*.py")
        if (found := re.search(r'"--port", type=int, default=(\d+)', path.read_text("utf-8")))
    }
    assert len(examples) >= 3
    assert emulator not in examples.values()
    pages = "".join(path.read_text("utf-8") for path in PAGES)
    dialled = re.findall(
        r"(?:--api-url |base_url=\")http://(?:127\.0\.0\.1|localhost):(\d+)", pages
    )
    assert {int(port) for port in dialled} == {emulator}
    llm = {int(port) for port in re.findall(r"--llm ws://localhost:(\d+)", pages)}
    assert llm == {examples["llm_server"]} == {examples["llm_server_streaming"]}


def snippets() -> Iterator[Any]:
    for page in PAGES:
        found = re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.DOTALL | re.M)
        for number, code in enumerate(found, 1):
            yield pytest.param(code, id=f"{page.stem} {number}")


@pytest.mark.parametrize("code", list(snippets()))
def test_code_is_code_and_names_what_there_is(code: str) -> None:
    tree = compile(code, "page", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module == "retell_voice":
            assert {alias.name for alias in node.names} <= set(retell_voice.__all__)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_files_that_are_named_are_there(page: Path) -> None:
    named = re.findall(
        r"`((?:examples|scripts|tests|docs|retell_voice)/[\w./-]+)`", page.read_text()
    )
    for each in named:
        assert (ROOT / each).exists(), f"{page.name} names {each}"


def test_links_of_the_readme_are_there() -> None:
    for link in re.findall(r"\]\(((?!https?:|#)[^)#]+)", (ROOT / "README.md").read_text()):
        assert (ROOT / link).exists(), link


@unless_it_had_to_wait
async def test_the_readme_shows_what_the_demo_prints(tmp_path: Path) -> None:
    readme = (ROOT / "README.md").read_text("utf-8")
    (shown,) = re.findall(r"^```\n(call .*?)^```", readme, re.S | re.M)
    caller = ROOT / "retell_voice/emulator/recordings/caller.wav"
    files = ("--input-file", str(caller), "--output-file", str(tmp_path / "demo-agent.wav"))
    talk = [sys.executable, "-m", "retell_voice", "talk", "--local", "--plain", "--speed", "8"]
    told = await asyncio.to_thread(
        subprocess.run,
        [*talk, *files],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        env=os.environ | {"HOME": str(tmp_path), "PYTHONPATH": str(ROOT)},
    )
    assert without_figures(shown) == without_figures(told.stdout)


def without_figures(lines: str) -> list[str]:
    """Return what was said until the call ended, whenever it was."""
    text = re.sub(r"…\w+", "…", lines.partition("you hung up")[0])
    text = re.sub(r"\d+", "0", text)
    return [line for line in text.splitlines() if "  warning: " not in line]  # of a busy machine


def test_the_dockerfile_takes_what_there_is() -> None:
    text = (ROOT / "examples/docker/Dockerfile").read_text("utf-8")
    ignored = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    for copied in re.findall(r"^COPY (?!--)(.+) \S+$", text, re.M):
        for name in copied.split():
            assert (ROOT / name).exists()
            assert f"!{name}" in ignored
    (wanted,) = re.findall(r"^ARG EXTRAS=(.+)$", text, re.M)
    assert set(wanted.split(",")) <= set(extras["optional-dependencies"])
    page = (ROOT / "docs/docker.md").read_text("utf-8")
    (runtime,) = re.findall(r"XDG_RUNTIME_DIR=(\S+)", text)
    for mounted in re.findall(r":(/run/[\w/-]+)\"", page):
        assert mounted.startswith(f"{runtime}/")
