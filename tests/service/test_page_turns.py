"""Never a wrong reading on the screen: answers that come late, sessions, and what is spoken."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, Route, expect
from tests.support.browser import FACE, composite, need

from mien.images import encode
from mien.predictor import open_predictor
from mien.service.pages import RUNTIME_FILES, static_folder

from .conftest import Running, fake_predictor, running, watched_page

_SLOW_MS = 20_000


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(open_predictor(threads=1)) as server:
        yield server


@pytest.fixture(scope="module")
def slow() -> Iterator[Running]:
    """A service that takes 700 ms for an image."""
    with running(fake_predictor(delay_s=0.7)) as server:
        yield server


@pytest.fixture
def seven(tmp_path: Path) -> Path:
    path = tmp_path / "seven.jpg"
    path.write_bytes(encode(composite(7, columns=4, side_px=400), "jpeg"))
    return path


def rows_of(page: Page) -> list[dict[str, str]]:
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    with Path(download.value.path()).open(newline="") as file:
        return list(csv.DictReader(file))


def hold_predict(page: Page) -> list[Route]:
    """Keep requests from being answered until the test lets them."""
    held: list[Route] = []
    page.route("**/predict", lambda route: held.append(route))
    return held


def test_an_old_answer_does_not_land_on_a_new_photo(page: Page, seven: Path) -> None:
    page.goto("/")
    held = hold_predict(page)
    page.locator("#file").set_input_files(seven)
    expect(page.locator("#busy-text")).to_have_text(re.compile("Reading"))
    page.locator("#file").set_input_files(FACE)
    while len(held) < 2:
        page.wait_for_timeout(20)
    held[1].continue_()
    expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
    held[0].continue_()
    page.wait_for_timeout(1500)
    expect(page.locator(".face")).to_have_count(1)
    expect(page.locator(".face-box")).to_have_count(1)
    assert len(rows_of(page)) == 1


def test_a_new_photo_takes_the_old_readings_away_at_once(page: Page, seven: Path) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(seven)
    expect(page.locator(".face")).to_have_count(7, timeout=_SLOW_MS)
    held = hold_predict(page)
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(0)
    expect(page.locator(".face-box")).to_have_count(0)
    expect(page.locator("#count")).to_have_text("–")
    expect(page.get_by_role("button", name="Download CSV")).to_be_disabled()
    held[0].continue_()
    expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)


def test_close_while_reading_leaves_nothing(page: Page, seven: Path) -> None:
    page.goto("/")
    held = hold_predict(page)
    page.locator("#file").set_input_files(seven)
    page.get_by_role("button", name="Close").click()
    held[0].continue_()
    page.wait_for_timeout(1500)
    expect(page.get_by_role("button", name="Start camera")).to_be_visible()
    for gone in (".face", ".face-box", ".face-label"):
        expect(page.locator(gone)).to_have_count(0)
    expect(page.locator("#busy")).to_be_hidden()


def test_a_camera_that_starts_late_does_not_replace_a_photo(page: Page) -> None:
    page.add_init_script(
        """const real = MediaDevices.prototype.getUserMedia;
        MediaDevices.prototype.getUserMedia = async function (wanted) {
            await new Promise((resolve) => setTimeout(resolve, 1500));
            window.stream = await real.call(this, wanted);
            return window.stream;
        };"""
    )
    page.goto("/")
    page.get_by_role("button", name="Start camera").click()
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
    ended = "() => Boolean(window.stream) && window.stream.getTracks()[0].readyState === 'ended'"
    page.wait_for_function(ended)
    expect(page.locator("#still")).to_be_visible()
    expect(page.locator("video")).to_be_hidden()
    expect(page.locator(".face")).to_have_count(1)


def test_a_photo_during_a_slow_frame_is_not_overdrawn(browser: Browser, slow: Running) -> None:
    with watched_page(browser, slow.url) as page:
        page.goto("/")
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
        page.wait_for_timeout(200)  # a frame is on its way
        page.locator("#file").set_input_files(FACE)
        expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
        page.wait_for_timeout(1200)
        (row,) = rows_of(page)
        assert row["session"].startswith("photo ")


def test_sessions_do_not_mix(page: Page) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
    (photo,) = rows_of(page)
    page.get_by_role("button", name="Camera", exact=True).click()
    expect(page.locator("#fps")).to_have_text(re.compile(r"\d"), timeout=_SLOW_MS)
    rows = rows_of(page)
    assert photo["session"].startswith("photo ")
    assert {row["session"].split()[0] for row in rows} == {"camera"}
    assert len({row["session"] for row in rows}) == 1
    assert float(rows[0]["time_s"]) < 10


def test_a_slow_service_shows_the_frame_that_was_read(browser: Browser, slow: Running) -> None:
    with watched_page(browser, slow.url) as page:
        page.goto("/")
        expect(page.locator("#frame")).to_be_hidden()
        page.get_by_role("button", name="Start camera").click()
        expect(page.locator("#frame")).to_be_visible(timeout=_SLOW_MS)
        lit = (
            "document.querySelector('#frame').getContext('2d').getImageData(320, 240, 1, 1).data[3]"
        )
        assert page.evaluate(lit) == 255
        page.get_by_role("button", name="Stop").click()
        expect(page.locator("#frame")).to_be_hidden()


def test_a_box_fades_when_no_answer_follows(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(".face-box")).to_have_count(1, timeout=_SLOW_MS)
    # the camera goes on, but no frame of it is read any more
    page.evaluate("HTMLCanvasElement.prototype.toBlob = () => {}")
    expect(page.locator("#boxes.stale, #frame:not([hidden])")).to_have_count(1, timeout=3000)


_SPEAK = """async ([gaps, words]) => {
    const { Speaker } = await import('/static/view/speaker.js');
    const region = document.createElement('p');
    const heard = [];
    new MutationObserver(() => heard.push(region.textContent)).observe(region, { childList: true });
    const speaker = new Speaker(region);
    for (const [index, emotion] of words.entries()) {
        await new Promise((resolve) => setTimeout(resolve, gaps[index]));
        const face = { identity: 1, emotion: emotion.replace('?', ''), confidence: 0.9,
            uncertain: emotion.endsWith('?'), set: [emotion.replace('?', '')] };
        if (emotion.startsWith('!')) {
            speaker.tell(emotion.slice(1));
        } else {
            speaker.follow([face]);
        }
    }
    await new Promise((resolve) => setTimeout(resolve, 3300));
    return heard;
}"""


@pytest.mark.parametrize(
    ("gaps_ms", "words", "heard"),
    [
        ([], [], []),
        ([0], ["happy"], ["Face 1: happy, 90 %."]),
        # what came within the pause was dropped for good; now the newest is heard after it
        ([0, 300, 300], ["happy", "fear", "sad"], ["Face 1: happy, 90 %.", "Face 1: sad, 90 %."]),
        ([0, 300], ["happy", "sad?"], ["Face 1: happy, 90 %.", "Face 1: uncertain, sad."]),
        ([0, 300], ["happy", "!2 faces."], ["Face 1: happy, 90 %.", "2 faces."]),
        ([0, 100], ["happy", "happy"], ["Face 1: happy, 90 %."]),
    ],
)
def test_the_newest_sentence_is_heard(
    page: Page, gaps_ms: list[int], words: list[str], heard: list[str]
) -> None:
    page.goto("/")
    assert page.evaluate(_SPEAK, [gaps_ms, words]) == heard


def test_a_photo_is_spoken_at_once(page: Page) -> None:
    page.goto("/")
    for _ in range(2):  # the second time within the pause of the first
        page.locator("#file").set_input_files(FACE)
        expect(page.locator("#spoken")).to_have_text("Reading the photo.", timeout=_SLOW_MS)
        expect(page.locator("#spoken")).to_have_text(re.compile(r"Face 1: happy, \d\d %\."))


def test_local_page_drops_an_old_answer_too(page: Page, seven: Path) -> None:
    need((static_folder() / "vendor" / RUNTIME_FILES[-1]).is_file(), "make web-assets")
    page.goto("/local")
    page.locator("#file").set_input_files(seven)
    page.locator("#still").wait_for()
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=_SLOW_MS)
    page.wait_for_timeout(1500)
    expect(page.locator(".face")).to_have_count(1)
    expect(page.locator("#reader")).to_have_text("this browser")


def test_local_page_says_that_an_image_is_damaged(page: Page, tmp_path: Path) -> None:
    need((static_folder() / "vendor" / RUNTIME_FILES[-1]).is_file(), "make web-assets")
    noise = np.random.default_rng(3).integers(0, 256, (300, 300, 3), np.uint8)
    whole = encode(noise, "jpeg")
    (tmp_path / "half.jpg").write_bytes(whole[: len(whole) // 30])
    page.goto("/local")
    page.locator("#file").set_input_files(tmp_path / "half.jpg")
    alert = page.get_by_role("alert")
    expect(alert).to_have_text(
        re.compile("^This (image is damaged|is not an image)"), timeout=_SLOW_MS
    )


def test_local_page_fetches_its_networks_early_with_a_bar(page: Page) -> None:
    need((static_folder() / "vendor" / RUNTIME_FILES[-1]).is_file(), "make web-assets")
    page.add_init_script(
        """window.said = [];
        addEventListener("DOMContentLoaded", () => {
            const text = document.querySelector("#busy-text");
            new MutationObserver(() => window.said.push(text.textContent))
                .observe(text, { childList: true });
        });"""
    )
    page.goto("/local")
    page.wait_for_function("() => window.said.length > 2")
    expect(page.locator("#busy")).to_be_hidden(timeout=_SLOW_MS)
    said = page.evaluate("window.said")
    assert any(re.fullmatch(r"Fetching the networks: \d+ %", words) for words in said)
