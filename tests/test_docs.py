"""The documentation builds without a warning, its links lead somewhere, its code is code."""

from __future__ import annotations

import ast
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

import retell_voice
from retell_voice.echo.choice import Way
from retell_voice.echo.system import HOW_TO
from retell_voice.settings.schema import table
from retell_voice.settings.tables import SECTIONS

ROOT = Path(__file__).parent.parent
PAGES = sorted([*ROOT.glob("docs/*.md"), ROOT / "README.md"])


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "mkdocs", "build", "-f", str(config)]
    return subprocess.run(
        [*command, "-d", str(site)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=config.parent,
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return site


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
    dialled = re.findall(r"(?:--api-url |base_url=\")http://127\.0\.0\.1:(\d+)", pages)
    assert {int(port) for port in dialled} == {emulator}
    llm = {int(port) for port in re.findall(r"--llm ws://localhost:(\d+)", pages)}
    assert llm == {examples["llm_server"]} == {examples["llm_server_streaming"]}


class Loads(HTMLParser):
    """What a page loads by itself, and its words."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.found: list[str] = []
        self.words = ""
        self.feed(path.read_text("utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        wanted = {"script": "src", "img": "src", "link": "href"}.get(tag)
        self.found += [value or "" for name, value in attributes if name == wanted]

    def handle_data(self, data: str) -> None:
        self.words += data


def test_no_page_loads_anything_from_elsewhere(site: Path) -> None:
    pages = sorted(site.glob("*.html"))
    assert len(pages) > 10
    for each in pages:
        for loaded in Loads(each).found:
            assert "//" not in loaded, f"{each.name} loads {loaded}"


def test_every_setting_is_in_the_reference(site: Path) -> None:
    words = Loads(site / "configuration.html").words
    for known in SECTIONS.values():
        for row in table(known).values():
            assert row.env in words
    assert "{{" not in words


def test_every_public_name_is_in_the_reference(site: Path) -> None:
    page = (site / "api.html").read_text("utf-8")
    words = " ".join(Loads(site / "api.html").words.split())
    for name in retell_voice.__all__:
        assert f'id="{name.lower()}"' in page
        found = getattr(retell_voice, name)
        if isinstance(found, type) and found.__doc__:
            first = found.__doc__.partition(".")[0].replace("``", "")
            assert " ".join(first.split()) in words
    assert "Times the jitter buffer ran empty within an utterance." in words  # of a field
    assert "End the call; its Ended event follows." in words  # of a method
    assert "``" not in words
    assert "{{" not in words


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
    for way in Way:
        assert f"\n| `{way}` |" in page


def test_the_changelog_is_the_repositorys(site: Path) -> None:
    assert "Unreleased" in Loads(site / "changelog.html").words


@pytest.mark.parametrize(
    ("target", "leads_somewhere"),
    [
        ("tutorial.md#install-it-and-see-that-it-works", True),
        ("nowhere.md", False),
        ("index.md#nowhere", False),
        ("../README.md", False),
        ("/docs/index.md", False),
    ],
)
def test_a_link_that_leads_nowhere_fails_the_build(
    tmp_path: Path, target: str, leads_somewhere: bool
) -> None:
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "docs" / "hooks.py").write_text("")
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.write(f"\n[x]({target})\n")
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert (done.returncode == 0) is leads_somewhere, done.stderr
    assert leads_somewhere or f"'{target}'" in done.stderr


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
