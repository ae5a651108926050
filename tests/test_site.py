"""The site in a real browser: copying, searching, links and tables."""

from __future__ import annotations

import functools
import http.server
import os
import subprocess
import sys
import threading
from collections.abc import Iterator

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect
from tests.support.browser import ROOT, chromium, shoot, violations, write_y4m


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir"]
    environment = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    subprocess.run([*command, str(folder)], cwd=ROOT, env=environment, check=True)
    handler = functools.partial(QuietHandler, directory=str(folder))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    video = tmp_path_factory.mktemp("camera") / "face.y4m"
    write_y4m(video)
    with chromium(video) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    yield context.new_page()
    context.close()


def test_a_prompt_is_not_copied(page: Page, site: str) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site}/service/")
    block = page.locator(".highlight").first
    expect(block.locator("code")).to_contain_text("$ mien serve")
    block.hover()
    block.locator("button").first.click()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.strip().splitlines() == ["pip install '.[serve]'", "mien serve"]


@pytest.mark.parametrize(
    ("word", "heading"),
    [
        ("privacy", "Privacy: where do photos go?"),
        ("heic", "Which image formats are read? HEIC?"),
        ("webcam", "How do I use a webcam?"),
        ("uncertain", "What does uncertain mean?"),
    ],
)
def test_search_finds(page: Page, site: str, word: str, heading: str) -> None:
    page.goto(site)
    page.get_by_role("textbox", name="Search").first.fill(word)
    found = page.locator(".md-search-result__article h2, .md-search-result__article h1")
    expect(found.filter(has_text=heading).first).to_be_attached(timeout=20_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_home_is_accessible(browser: Browser, site: str, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": 1280, "height": 900},
        color_scheme=scheme,  # type: ignore[arg-type]
    )
    page = context.new_page()
    page.goto(site)
    shoot(page, f"site-home-{scheme}", full_page=True)
    links = [each for each in violations(page) if each.startswith(("link-in-text", "color"))]
    assert links == []
    context.close()


def test_wide_tables_scroll_by_keyboard(page: Page, site: str) -> None:
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{site}/performance/")
    table = page.get_by_role("region", name="Table").first
    table.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(400)
    assert table.evaluate("(each) => each.scrollLeft") > 0
