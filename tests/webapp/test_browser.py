"""What a person does, in headless Chromium with a fake camera that shows a real face."""

from __future__ import annotations

import contextlib
import csv
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect
from tests.support.browser import (
    FACE,
    ROOT,
    chromium,
    composite,
    shoot,
    violations,
    write_y4m,
)
from tests.support.clips import encode_clip
from tests.support.ports import free_port

from mien.images import encode, read
from mien.webapp.options import as_flags

_SLOW_MS = 40_000


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    port = free_port()
    flags = as_flags(server_port=port, server_headless=True)
    script = str(Path(__file__).with_name("fakes.py"))
    path = os.pathsep.join([str(ROOT / "src"), *sys.path])
    with started(["streamlit", "run", script, *flags], port, ROOT, PYTHONPATH=path):
        yield f"http://127.0.0.1:{port}"


def test_a_first_start_asks_nothing(tmp_path: Path) -> None:
    port = free_port()
    home = {"HOME": str(tmp_path), "BROWSER": "true"}
    with started(["mien", "app", "--port", str(port)], port, tmp_path, **home):
        pass


@contextlib.contextmanager
def started(module: list[str], port: int, folder: Path, **environment: str) -> Iterator[None]:
    """Run a module of Python in a folder, with an input that nobody types into."""
    process = subprocess.Popen(
        [sys.executable, "-m", *module],
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.PIPE,
    )
    try:
        wait_until_healthy(f"http://127.0.0.1:{port}/_stcore/health")
        yield
    finally:
        process.terminate()
        process.communicate(timeout=15)


def wait_until_healthy(address: str, within_s: float = 60) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    end = time.monotonic() + within_s
    while time.monotonic() < end:
        with contextlib.suppress(OSError), opener.open(address, timeout=2):
            return
        time.sleep(0.1)
    raise AssertionError("the app did not start")


def face_frames(count: int, height: int = 240, width: int = 320) -> Iterator[Any]:
    """Yield RGB pictures in which a real face drifts a little."""
    face = cv2.resize(read(FACE), (height, height), interpolation=cv2.INTER_AREA)
    for number in range(count):
        frame = np.full((height, width, 3), 120, np.uint8)
        left = (width - height) // 2 + round(6 * np.sin(number / count * 2 * np.pi))
        frame[:, left : left + height] = face
        yield frame


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    video = tmp_path_factory.mktemp("camera") / "face.y4m"
    write_y4m(video)
    with chromium(video) as browser:
        yield browser


@pytest.fixture
def page(browser: Browser, url: str) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.grant_permissions(["camera"], origin=url)
    page = context.new_page()
    page.set_default_timeout(_SLOW_MS)
    foreign: list[str] = []
    own = (url, url.replace("http://", "ws://"), "blob:", "data:")
    page.on("request", lambda each: None if each.url.startswith(own) else foreign.append(each.url))
    page.goto(url)
    expect(page.get_by_role("heading", name="mien", exact=True)).to_be_visible(timeout=_SLOW_MS)
    yield page
    context.close()
    assert foreign == [], "the page asked for something from elsewhere"


def open_tab(page: Page, name: str) -> None:
    page.get_by_role("tab", name=name, exact=True).click()


def choose_file(page: Page, *files: Path) -> None:
    box = page.locator("[data-testid=stFileUploader]:visible").first
    box.locator("input[type=file]").set_input_files(list(files))


def download(page: Page, name: str) -> Path:
    with page.expect_download() as started:
        box = page.locator("[data-testid=stDownloadButton]:visible").filter(has_text=name)
        box.get_by_role("button").click()
    return Path(started.value.path())


def bars(page: Page) -> Any:
    return page.locator(".bar-row:visible")


def test_photo_gives_bars_that_stay_while_other_tabs_are_used(page: Page) -> None:
    choose_file(page, FACE)
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    expect(page.locator(".face-row:visible")).to_have_text(re.compile(r"Happy.*\d+ %"))
    expect(page.get_by_role("img", name="astronaut.jpg")).to_be_visible()
    expect(page.get_by_role("button", name="Face 1:")).to_be_visible()
    shoot(page, "photo-wide-light")
    open_tab(page, "Model")
    expect(page.get_by_text("Not for:")).to_be_visible()
    open_tab(page, "Photo")
    expect(bars(page)).to_have_count(7)


def test_the_models_figures_are_drawn(page: Page) -> None:
    open_tab(page, "Model")
    expect(page.locator(".mien-confusion")).to_be_visible()
    page.wait_for_function("document.querySelector('.mien-plot')?.naturalWidth > 0")
    expect(page.get_by_text("Is it as sure as it should be?")).to_be_visible()
    shoot(page, "model-figures-wide-light")


def test_reasons_are_laid_over_the_photo_on_request(page: Page) -> None:
    choose_file(page, FACE)
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    page.get_by_text("Show why").click()
    why = page.locator(".reason:visible")
    expect(why.locator("figcaption")).to_have_text(re.compile(r"\w+"), timeout=_SLOW_MS)
    expect(page.get_by_text("what the reading rests on")).to_be_visible()
    shoot(page, "photo-why-wide-light")


def test_what_is_no_picture_is_told_in_words(page: Page, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    choose_file(page, tmp_path / "x.png")
    alert = page.locator("[data-testid=stAlert]:visible")
    expect(alert).to_contain_text("This is not an image", timeout=_SLOW_MS)


def test_snapshot_of_the_camera_is_read(page: Page) -> None:
    page.get_by_text("Camera", exact=True).first.click()
    page.wait_for_function("document.querySelector('video')?.currentTime > 0.2")
    page.get_by_role("button", name="Take Photo").click()
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    expect(page.get_by_text("Snapshot 1.jpg")).to_be_visible()
    shoot(page, "snapshot-wide-light")


def test_live_camera_shows_bars_and_a_rate(page: Page) -> None:
    open_tab(page, "Live")
    page.get_by_role("button", name="Start camera").click()
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    expect(page.locator(".stats")).to_have_text(re.compile(r"[\d.]+ frames/s, \d+ ms"))
    shoot(page, "live-wide-light")
    page.get_by_role("button", name="Stop camera").click()
    expect(page.locator(".face")).to_have_count(0)
    page.get_by_role("button", name="Start camera").click()
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    with page.expect_download() as started:
        page.get_by_role("button", name="Download CSV").click()
    with Path(started.value.path()).open(newline="") as file:
        assert next(csv.DictReader(file))["session"].startswith("camera ")
    with page.expect_download() as started:
        page.get_by_role("button", name="Save image").click()
    assert read(Path(started.value.path())).shape == (480, 640, 3)


def test_batch_of_a_zip_gives_a_csv(page: Page, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
        archive.write(FACE, "a/one.jpg")
        archive.write(FACE, "a/two.jpg")
        archive.writestr("a/broken.jpg", b"no picture")
    open_tab(page, "Batch")
    choose_file(page, tmp_path / "faces.zip")
    page.get_by_role("button", name="Read them").click()
    expect(page.get_by_text("Faces by expression")).to_be_visible(timeout=_SLOW_MS)
    shoot(page, "batch-wide-light")
    with download(page, "CSV").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["image"] for row in rows] == ["a/one.jpg", "a/two.jpg", "a/broken.jpg"]
    assert [bool(row["emotion"]) for row in rows] == [True, True, False]
    with zipfile.ZipFile(download(page, "Annotated photos")) as archive:
        assert archive.namelist() == ["a/one.jpg", "a/two.jpg"]


def test_video_is_read_and_played(page: Page, tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "talk.mp4").write_bytes(encode_clip(list(face_frames(20))))
    open_tab(page, "Video")
    choose_file(page, tmp_path / "talk.mp4")
    page.get_by_role("button", name="Read the video").click()
    player = page.locator("video[data-testid=stVideo]")
    expect(player).to_be_visible(timeout=_SLOW_MS)
    played = """async (video) => {
        video.muted = true;
        await video.play();
        while (video.currentTime < 0.3) await new Promise((done) => setTimeout(done, 50));
        return [video.videoWidth, video.videoHeight, video.duration];
    }"""
    width, height, duration_s = player.evaluate(played)
    assert (width, height) == (320, 240)
    assert duration_s == pytest.approx(2, abs=0.3)
    expect(page.get_by_text("Person 1")).to_be_visible()
    shoot(page, "video-wide-light")
    player.evaluate("(video) => { video.pause(); video.currentTime = 0; }")
    strip = page.locator(".mien-strip").first
    strip.click(position={"x": strip.bounding_box()["width"] / 2, "y": 8})  # type: ignore[index]
    assert player.evaluate("(video) => video.currentTime") == pytest.approx(1, abs=0.2)
    page.get_by_role("button", name="Person 1").click()
    assert player.evaluate("(video) => video.currentTime") < 0.3
    assert download(page, "Annotated video").read_bytes()[4:8] == b"ftyp"


def test_many_faces_have_rows_and_boxes_that_go_together(page: Page, tmp_path: Path) -> None:
    (tmp_path / "crowd.jpg").write_bytes(encode(composite(29), "jpeg"))
    choose_file(page, tmp_path / "crowd.jpg")
    expect(page.locator(".face-row:visible")).to_have_count(29, timeout=_SLOW_MS)
    expect(bars(page)).to_have_count(0)
    shoot(page, "crowd-wide-light")
    page.locator(".face-row").nth(24).click()
    expect(page.get_by_role("button", name="Face 25:")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("img", name="crowd.jpg")).to_be_in_viewport(ratio=0.5)
    expect(bars(page)).to_have_count(7)
    shoot(page, "crowd-chosen-wide-light")
    page.get_by_role("button", name="Face 3:").click()
    expect(page.locator(".face.chosen .number")).to_have_text("3")
    page.keyboard.press("ArrowRight")
    expect(page.locator(".face.chosen .number")).to_have_text("4")


# Streamlit's own markup, which is not ours to mend.
_STREAMLITS = (
    "aria-",
    "label",
    "landmark",
    "page-has-heading",
    "presentation-role",
    "region",
    "scrollable-region",
)


@pytest.mark.parametrize(("width", "scheme"), [(390, "dark"), (390, "light"), (1440, "dark")])
def test_page_fits_every_screen(browser: Browser, url: str, width: int, scheme: Any) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme)
    page = context.new_page()
    page.set_default_timeout(_SLOW_MS)
    page.goto(url)
    page.get_by_role("button", name="Try it with this photo").wait_for()
    shoot(page, f"empty-{width}-{scheme}")
    assert [each for each in violations(page) if not each.startswith(_STREAMLITS)] == []
    page.get_by_role("button", name="Try it with this photo").click()
    expect(bars(page)).to_have_count(7, timeout=_SLOW_MS)
    shoot(page, f"photo-{width}-{scheme}")
    assert [each for each in violations(page) if not each.startswith(_STREAMLITS)] == []
    for tab in ("Live", "Batch", "Video", "Model"):
        open_tab(page, tab)
        page.wait_for_timeout(300)
        assert page.evaluate("document.documentElement.scrollWidth") <= width
        shoot(page, f"{tab.lower()}-{width}-{scheme}")
        assert [each for each in violations(page) if not each.startswith(_STREAMLITS)] == []
    context.close()
