"""The documentation as a site: it builds without a warning, and reads well in a browser, from the
disk, on a telephone and on a desk.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import pytest
from support.chromium import Chromium, Page
from support.chromium import find as find_browser

import retell_voice
from retell_voice.settings.schema import table
from retell_voice.settings.sections import SECTIONS

ROOT = Path(__file__).parents[2]
WIDTHS = (360, 1280)
TABS = 3
STILL = """
const style = document.createElement("style");
style.textContent = "* { transition: none !important }";
document.head.append(style);
"""
FITS = """
const wide = document.documentElement.clientWidth;
const tables = [...document.querySelectorAll(".md-content table")];
const over = tables.filter((each) => each.getBoundingClientRect().right > wide + 1);
return document.documentElement.scrollWidth > wide ? ["the page"] : over.map((e) => e.innerText);
"""
SEARCH = """
const field = document.querySelector(".md-search__input");
field.focus();
field.value = argument;
field.dispatchEvent(new Event("input", { bubbles: true }));
field.dispatchEvent(new KeyboardEvent("keyup", { bubbles: true }));
for (;;) {
  const found = [...document.querySelectorAll(".md-search-result__link")];
  if (found.length) return found.map((each) => new URL(each.href).pathname.split("/").pop());
  await new Promise((done) => setTimeout(done, 10));
}
"""


def build(config: Path, site: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-W", "error", "-m", "mkdocs", "build", "-f", str(config)]
    return subprocess.run(
        [*command, "-d", str(site)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=config.parent,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
    )


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    site = tmp_path_factory.mktemp("site")
    done = build(ROOT / "mkdocs.yml", site)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
    return site


def pages(site: Path) -> list[Path]:
    """Return the pages to read; that for an address without one is for a server."""
    found = sorted(set(site.glob("*.html")) - {site / "404.html"})
    assert len(found) > 25
    return found


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
    for each in pages(site):
        for loaded in Loads(each).found:
            assert "//" not in loaded, f"{each.name} loads {loaded}"


@pytest.mark.skipif(
    find_browser() is None and os.environ.get("CI") != "true", reason="there is no Chromium"
)
async def test_pages_fit_and_are_found_in_a_browser(site: Path) -> None:
    left = pages(site)

    async def read(page: Page) -> None:
        while left:
            path = left.pop()
            await page.go(path.as_uri())
            await page.run(STILL)
            for width in WIDTHS:
                await page.resize(width)
                assert await page.run(FITS) == [], f"{path.name} is wider than {width} px"
        assert page.faults == []
        elsewhere = [url for url in page.requests.values() if url.startswith("http")]
        assert [url for url in elsewhere if "127.0.0.1" not in url] == []

    async with Chromium() as browser:
        tabs = [await browser.open(watched=True) for _ in range(TABS)]
        await asyncio.gather(*map(read, tabs))
        page = await browser.open(watched=True)  # in front of the others, which are not painted
        await page.go((site / "index.html").as_uri())
        found = await page.run(SEARCH, "raspberry")
        assert found[0] == "raspberry-pi.html"
        assert page.faults == []


def test_every_setting_is_in_the_reference(site: Path) -> None:
    words = Loads(site / "configuration.html").words
    for known in SECTIONS.values():
        for row in table(known).values():
            assert row.env in words
    assert "# Settings of retell-voice" in words  # the whole file


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


def test_what_the_code_says_is_on_the_pages(site: Path) -> None:
    assert "Unreleased" in Loads(site / "changelog.html").words
    assert 'aria-label="The states of a kiosk' in (site / "kiosk-states.html").read_text("utf-8")
    exits = (site / "exit-codes.html").read_text("utf-8")
    assert '<td data-head="meaning">' in exits  # where a narrow page shows it


def test_a_link_that_leads_nowhere_fails_the_build(tmp_path: Path) -> None:
    nowhere = ("nowhere.md", "index.md#nowhere", "../README.md", "/docs/index.md")
    somewhere = "tutorial.md#install-it-and-see-that-it-works"
    shutil.copy(ROOT / "mkdocs.yml", tmp_path)
    shutil.copytree(ROOT / "docs", tmp_path / "docs")
    (tmp_path / "docs" / "hooks.py").write_text("")
    with (tmp_path / "docs" / "index.md").open("a") as page:
        page.writelines(f"\n[x]({target})\n" for target in (*nowhere, somewhere))
    done = build(tmp_path / "mkdocs.yml", tmp_path / "site")
    assert done.returncode != 0
    for target in nowhere:
        assert f"'{target}'" in done.stderr
    assert somewhere not in done.stderr
