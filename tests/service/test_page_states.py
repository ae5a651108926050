"""Every state of the pages, at both widths and in both themes: axe, fit, and what is shown."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, Route, expect
from tests.support.browser import FACE, shoot, violations

from mien.images import encode
from mien.predictor import open_predictor

from .conftest import Running, running, watched_page

VIEWS = {"wide": (1440, 900), "narrow": (390, 844)}
_SLOW_MS = 20_000


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(open_predictor(threads=1)) as server:
        yield server


@pytest.fixture(scope="module")
def strict() -> Iterator[Running]:
    """A service that asks for a key and takes small photos."""
    with running(api_keys=("a-secret-key",), image_bytes=1024 * 1024) as server:
        yield server


@pytest.fixture(params=[f"{view}-{scheme}" for view in VIEWS for scheme in ("light", "dark")])
def look(request: pytest.FixtureRequest) -> dict[str, Any]:
    view, scheme = request.param.split("-")
    width, height = VIEWS[view]
    return {
        "name": request.param,
        "options": {"viewport": {"width": width, "height": height}, "color_scheme": scheme},
    }


def check(page: Page, look: dict[str, Any], state: str) -> None:
    """Hold a state: no violation, nothing beyond the side of the screen, one h1."""
    shoot(page, f"{state}-{look['name']}")
    assert violations(page) == [], state
    width = look["options"]["viewport"]["width"]
    assert page.evaluate("document.documentElement.scrollWidth") <= width, state
    expect(page.locator("h1")).to_have_count(1)


def empty_image(folder: Path) -> Path:
    path = folder / "wall.png"
    path.write_bytes(encode(np.full((600, 900, 3), 140, np.uint8), "png"))
    return path


def test_states_of_a_photo(
    browser: Browser, service: Running, look: dict[str, Any], crowd: Path, tmp_path: Path
) -> None:
    with watched_page(browser, service.url, **look["options"]) as page:
        page.goto("/")
        page.wait_for_function("[...document.images].every((image) => image.complete)")
        check(page, look, "welcome")
        held: list[Route] = []
        page.route("**/predict", lambda route: held.append(route))
        page.locator("#file").set_input_files(FACE)
        expect(page.locator("#busy-text")).to_have_text(re.compile("Reading"))
        expect(page.locator("#empty")).to_have_text(re.compile("Reading"))
        expect(page.locator("#count")).to_have_text("–")
        check(page, look, "reading")
        held[0].continue_()
        page.unroute("**/predict")
        expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
        expect(page.locator("#busy")).to_be_hidden()
        for hidden in ("#fps", "#dropped", "#minute", "#welcome"):
            expect(page.locator(hidden)).to_be_hidden()
        for name in ("Another photo", "Camera", "Save image", "Download CSV", "Close"):
            expect(page.get_by_role("button", name=name, exact=True)).to_be_enabled()
        expect(page.locator(".why")).to_have_text(re.compile("true label is among: "))
        check(page, look, "one-face")
        page.locator("#file").set_input_files(crowd)
        expect(page.locator(".face")).to_have_count(29, timeout=_SLOW_MS)
        check(page, look, "crowd")
        page.locator(".face-row").nth(20).click()
        expect(page.locator(".more:visible")).to_have_count(1)
        check(page, look, "crowd-chosen")
        page.locator("#file").set_input_files(empty_image(tmp_path))
        expect(page.locator("#count")).to_have_text("0", timeout=_SLOW_MS)
        expect(page.locator("#empty")).to_contain_text("from about 30 pixels on")
        check(page, look, "no-face")
        (tmp_path / "letter.jpg").write_text("this is a letter")
        page.locator("#file").set_input_files(tmp_path / "letter.jpg")
        expect(page.get_by_role("alert")).to_contain_text("This is not an image.")
        check(page, look, "not-an-image")


def test_states_of_the_camera(browser: Browser, service: Running, look: dict[str, Any]) -> None:
    with watched_page(browser, service.url, **look["options"]) as page:
        page.goto("/")
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
        expect(page.get_by_role("button", name="Stop", exact=True)).to_be_focused()
        expect(page.get_by_role("button", name="Camera", exact=True)).to_be_hidden()
        page.wait_for_timeout(1200)
        check(page, look, "camera")
        page.evaluate("document.querySelector('video').srcObject.getTracks()[0].stop()")
        track = "document.querySelector('video').srcObject.getTracks()[0]"
        page.evaluate(f"{track}.dispatchEvent(new Event('ended'))")
        expect(page.get_by_role("alert")).to_have_text("The camera was disconnected.")
        expect(page.get_by_role("button", name="Start camera")).to_be_focused()
        check(page, look, "camera-gone")


def test_states_of_refusals(
    browser: Browser, strict: Running, look: dict[str, Any], tmp_path: Path
) -> None:
    with watched_page(browser, strict.url, **look["options"]) as page:
        page.goto("/")
        page.locator("#file").set_input_files(FACE)
        expect(page.get_by_role("alert")).to_contain_text("type it into the box above")
        check(page, look, "key-wanted")
        page.get_by_label("API key").fill("a-secret-key")
        page.keyboard.press("Enter")
        expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
        expect(page.get_by_role("alert")).to_be_hidden()
        noise = np.random.default_rng(1).integers(0, 256, (900, 900, 3), np.uint8)
        (tmp_path / "large.png").write_bytes(encode(noise, "png"))
        page.locator("#file").set_input_files(tmp_path / "large.png")
        expect(page.get_by_role("alert")).to_have_text(
            "The photo has 3 MB; 1 MB is the most that can be sent."
        )
        check(page, look, "too-large")


@pytest.mark.parametrize("path", ["/model", "/no/such/page", "/docs", "/local"])
def test_other_pages(browser: Browser, service: Running, look: dict[str, Any], path: str) -> None:
    with watched_page(browser, service.url, **look["options"]) as page:
        page.goto(path)
        page.wait_for_load_state("networkidle")
        expect(page.get_by_role("navigation", name="Pages")).to_be_visible()
        if path == "/docs":  # Swagger UI is not ours to mend
            expect(page.locator(".opblock-summary-path").first).to_have_text(re.compile("predict"))
            shoot(page, f"docs-{look['name']}")
        else:
            check(page, look, path.strip("/").replace("/", "-"))
