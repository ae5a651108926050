"""A real Chromium for the tests of pages: its camera, axe, screenshots and composites of faces."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import pytest
from PIL import Image as PillowImage

from mien.images import read
from mien.types import Image

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROOT = Path(__file__).resolve().parents[2]
FACE = ROOT / "examples" / "astronaut.jpg"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")

# whoever imports this is skipped without a browser; but nothing may be skipped in CI
if CHROMIUM is None and os.environ.get("CI") != "true":
    pytest.skip("needs Chromium: apt install chromium", allow_module_level=True)

# The portrait's head: left, top, right, bottom.
_HEAD = (126, 10, 326, 210)

_FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",
    "--use-fake-ui-for-media-stream",
)


def need(condition: bool, what: str) -> None:
    """Skip, and say so; but fail where nothing may be skipped."""
    if condition:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"needs {what}")
    pytest.skip(f"needs {what}")


@contextmanager
def chromium(video: Path) -> Iterator[Browser]:
    """Run Chromium with a camera that shows a video in the y4m format."""
    from playwright.sync_api import sync_playwright

    need(CHROMIUM is not None, "Chromium: apt install chromium")
    flags = [*_FLAGS, f"--use-file-for-fake-video-capture={video}"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, headless=True, args=flags)
        yield browser
        browser.close()


def write_y4m(path: Path, size_hw: tuple[int, int] = (480, 640)) -> None:
    """Write a second of video in which a real face drifts a little."""
    height, width = size_hw
    face = cv2.resize(read(FACE), (height, height), interpolation=cv2.INTER_AREA)
    with path.open("wb") as file:
        file.write(f"YUV4MPEG2 W{width} H{height} F15:1 Ip A1:1 C420mpeg2\n".encode())
        for number in range(15):
            frame = np.full((height, width, 3), 120, np.uint8)
            left = 70 + round(6 * np.sin(number / 15 * 2 * np.pi))
            frame[:, left : left + height] = face
            yuv = cv2.cvtColor(frame, cv2.COLOR_RGB2YUV_I420)
            file.write(b"FRAME\n" + yuv.tobytes())


def composite(count: int, columns: int = 8, side_px: int = 150) -> Image:
    """Return an image with so many real faces in rows, each of another brightness and size."""
    head = PillowImage.open(FACE).convert("RGB").crop(_HEAD)
    rows = -(-count // columns)
    rng = np.random.default_rng(29)
    canvas = np.full((rows * side_px, columns * side_px, 3), 70, np.uint8)
    for number in range(count):
        side = int(side_px * rng.uniform(0.6, 1))
        tile = np.asarray(head.resize((side, side)), np.float64) * rng.uniform(0.6, 1.1)
        top, left = number // columns * side_px, number % columns * side_px
        canvas[top : top + side, left : left + side] = np.clip(tile, 0, 255).astype(np.uint8)
    return canvas


def violations(page: Page) -> list[str]:
    """Return what axe finds on the page as it is, a line each; animations are let end."""
    from axe_playwright_python.sync_playwright import Axe

    page.wait_for_timeout(350)
    found: list[dict[str, Any]] = Axe().run(page).response["violations"]
    return [
        f"{each['id']} ({each['impact']}): {[node['target'] for node in each['nodes']][:4]}"
        for each in found
    ]


def shoot(page: Page, name: str, *, full_page: bool = False) -> None:
    """Keep a picture of the page, where somebody wants to look at it."""
    if folder := os.environ.get("MIEN_SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=full_page)
