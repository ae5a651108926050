"""Take the site's pictures of the live page and the app: python tools/make_screenshots.py.

Needs ``mien serve`` on port 8000 and ``mien app`` on port 8501, and Chromium.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
IMAGES = ROOT / "docs" / "images"
SAMPLES = ROOT / "src/mien/service/static/samples"
SIZE = {"width": 1180, "height": 760}


def live_page(browser: Browser) -> None:
    """Show the crowd, with one face chosen."""
    page = browser.new_page(viewport=SIZE, color_scheme="light")
    page.goto("http://127.0.0.1:8000/")
    page.locator("#file").set_input_files(SAMPLES / "crowd.jpg")
    page.locator(".face-row").nth(5).click()
    page.evaluate("scrollTo(0, 0)")
    page.mouse.move(5, 5)
    page.wait_for_timeout(500)
    page.screenshot(path=IMAGES / "live-page.jpg", type="jpeg", quality=78)


def app(browser: Browser) -> None:
    """Show the portrait, explained."""
    page = browser.new_page(viewport={**SIZE, "height": 1000}, color_scheme="light")
    page.goto("http://127.0.0.1:8501/")
    page.get_by_role("button", name="Try it with this photo").click()
    page.get_by_text("Show why").click()
    page.locator(".reason:visible").wait_for()
    page.mouse.move(5, 5)
    page.wait_for_timeout(800)
    page.screenshot(path=IMAGES / "app.jpg", type="jpeg", quality=78)


def main() -> None:
    """Take both."""
    path = shutil.which("chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        live_page(browser)
        app(browser)
        browser.close()


if __name__ == "__main__":
    main()
