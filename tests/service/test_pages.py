"""The pages in a real browser: headless Chromium with a fake camera that shows a real face."""

from __future__ import annotations

import base64
import csv
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect
from tests.support.browser import FACE, need

from mien.images import encode, read
from mien.service.app import predictor_of
from mien.service.pages import RUNTIME_FILES, static_folder
from mien.service.settings import Settings

from .conftest import Running, running, write_random_model

VIEWS = {"wide": (1280, 860), "narrow": (390, 844)}


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    model = write_random_model(tmp_path_factory.mktemp("model"))
    with running(predictor_of(Settings(model=model)), model=model) as server:
        yield server


def shares(page: Page) -> float:
    """Return the sum of the bars' lengths of the first face, as a fraction."""
    script = """() => [...document.querySelectorAll('.face')[0].querySelectorAll('.fill')]
        .map((bar) => new DOMMatrix(bar.style.transform).a).reduce((sum, part) => sum + part, 0)"""
    return float(page.evaluate(script))


def start_camera(page: Page, within_ms: int) -> None:
    page.get_by_role("button", name="Start camera").click()
    expect(page.locator(".face")).to_have_count(1, timeout=within_ms)
    expect(page.locator("#count")).to_have_text("1")
    assert shares(page) == pytest.approx(1, abs=0.02)


def test_live_page_shows_a_face_within_three_seconds(page: Page, service: Running) -> None:
    page.goto("/")
    start_camera(page, within_ms=3000)
    expect(page.locator(".face-row .percent")).to_have_text(re.compile(r"\d+ %"))
    expect(page.locator("#fps")).to_have_text(re.compile(r"[1-9]"))
    expect(page.get_by_role("button", name="Face 1:")).to_be_visible()
    expect(page.locator("#reader")).to_have_text("the service")
    expect(page.get_by_role("status")).to_contain_text("Face 1")


def test_csv_and_snapshot_are_downloaded(page: Page, tmp_path: Path) -> None:
    page.goto("/")
    start_camera(page, within_ms=15_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    download.value.save_as(tmp_path / "readings.csv")
    with (tmp_path / "readings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows
    total = sum(float(value) for name, value in rows[0].items() if name.startswith("probab"))
    assert total == pytest.approx(1, abs=1e-6)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save image").click()
    download.value.save_as(tmp_path / "snapshot.png")
    assert read(tmp_path / "snapshot.png").shape == (480, 640, 3)


def test_picture_is_read_from_the_file_box_and_by_drop(page: Page) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=15_000)
    page.reload()
    script = """(base64) => {
        const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
        const transfer = new DataTransfer();
        transfer.items.add(new File([bytes], 'x.jpg', { type: 'image/jpeg' }));
        dispatchEvent(new DragEvent('drop', { dataTransfer: transfer, cancelable: true }));
    }"""
    page.evaluate(script, base64.b64encode(FACE.read_bytes()).decode())
    expect(page.locator(".face")).to_have_count(1, timeout=15_000)


def test_what_is_not_an_image_is_refused_in_words(page: Page, tmp_path: Path) -> None:
    (tmp_path / "x.png").write_text("no picture")
    page.goto("/")
    page.locator("#file").set_input_files(tmp_path / "x.png")
    expect(page.get_by_role("alert")).to_have_text(
        "This is not an image. mien reads JPEG, PNG, WebP and BMP."
    )
    expect(page.get_by_role("button", name="Start camera")).to_be_visible()


def test_everything_is_reached_by_keyboard(page: Page) -> None:
    page.goto("/")
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(
            page.evaluate("document.activeElement.id || document.activeElement.textContent")
        )
    assert "start" in reached
    assert "Choose a photo" in reached
    page.locator("#start").focus()
    page.keyboard.press("Enter")
    expect(page.locator(".face")).to_have_count(1, timeout=15_000)
    assert page.evaluate("document.activeElement.id") == "stop"
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start camera")).to_be_focused()


def test_page_says_what_to_know_and_what_leaves_the_device(page: Page) -> None:
    page.goto("/")
    expect(page.locator(".notice")).to_contain_text("An expression is not an emotion")
    expect(page.locator(".notice")).to_contain_text("Article 5(1)(f)")
    expect(page.locator("#where")).to_contain_text("Images are sent to 127.0.0.1")
    page.goto("/local")
    expect(page.locator("#where")).to_contain_text("no image leaves this device")


def test_local_page_reads_with_the_network_cut(page: Page) -> None:
    missing = [name for name in RUNTIME_FILES if not (static_folder() / "vendor" / name).is_file()]
    need(not missing, "the browser's ONNX Runtime: make web-assets")
    page.goto("/local")
    page.evaluate("window.loaded = performance.now()")
    start_camera(page, within_ms=20_000)
    page.context.set_offline(True)
    page.get_by_role("button", name="Stop").click()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(request.url))
    start_camera(page, within_ms=3000)
    first = page.evaluate("document.querySelector('#fps').textContent")
    page.wait_for_timeout(500)
    assert sent == [], f"asked for {sent} at {first}"


def test_local_page_reads_as_the_service_does(page: Page, service: Running) -> None:
    need((static_folder() / "vendor" / RUNTIME_FILES[-1]).is_file(), "make web-assets")
    page.goto("/local")
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=20_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Download CSV").click()
    row = next(csv.DictReader(Path(download.value.path()).read_text().splitlines()))
    answer = service.client.post("/predict", content=FACE.read_bytes()).json()
    (face,) = answer["faces"]
    for side, value in face["box"].items():
        assert float(row[f"box.{side}"]) == pytest.approx(value, abs=3)
    for label, value in face["probabilities"].items():
        assert float(row[f"probabilities.{label}"]) == pytest.approx(value, abs=0.05)


def test_local_page_says_how_to_get_what_is_missing(page: Page) -> None:
    content: dict[str, Any] = {"runtime": False, "model": True}
    page.route("**/local/settings.json", lambda route: route.fulfill(json=content))
    page.goto("/local")
    expect(page.get_by_role("alert")).to_contain_text("make web-assets")


def test_documentation_works_without_the_internet(page: Page) -> None:
    page.goto("/docs")
    expect(page.locator(".opblock-post").first).to_be_visible(timeout=10_000)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("view", VIEWS)
def test_page_fits_every_screen(
    browser: Browser, service: Running, view: str, scheme: Any, tmp_path: Path
) -> None:
    width, height = VIEWS[view]
    context = browser.new_context(
        base_url=service.url, viewport={"width": width, "height": height}, color_scheme=scheme
    )
    page = context.new_page()
    page.goto("/")
    folder = Path(os.environ.get("MIEN_SCREENSHOTS", tmp_path))
    page.screenshot(path=folder / f"welcome-{view}-{scheme}.png", full_page=True)
    start_camera(page, within_ms=15_000)
    page.wait_for_timeout(1500)
    page.screenshot(path=folder / f"live-{view}-{scheme}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    context.close()


def test_a_sample_can_be_tried(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Twelve faces").click()
    expect(page.locator(".face")).to_have_count(12, timeout=20_000)
    page.get_by_role("button", name="Close").click()
    page.get_by_role("button", name="Portrait", exact=True).click()
    expect(page.locator(".face")).to_have_count(1, timeout=20_000)


def test_sending_a_large_photo_has_a_bar(page: Page, tmp_path: Path) -> None:
    noise = np.random.default_rng(2).integers(0, 256, (1400, 1400, 3), np.uint8)
    (tmp_path / "large.png").write_bytes(encode(noise, "png"))
    page.add_init_script(
        """window.said = [];
        addEventListener("DOMContentLoaded", () => {
            const text = document.querySelector("#busy-text");
            new MutationObserver(() => window.said.push(text.textContent))
                .observe(text, { childList: true });
        });"""
    )
    page.goto("/")
    slow = {"offline": False, "latency": 0, "downloadThroughput": -1, "uploadThroughput": 4e6}
    page.context.new_cdp_session(page).send("Network.emulateNetworkConditions", slow)
    page.locator("#file").set_input_files(tmp_path / "large.png")
    expect(page.locator("#count")).to_have_text("0", timeout=20_000)
    said = page.evaluate("window.said")
    assert any(re.fullmatch(r"Sending the photo: \d+ %", words) for words in said), said
    assert said[-1].strip(" …") in ("", "Reading")


def test_a_camera_is_chosen_from_a_list(page: Page) -> None:
    page.add_init_script(
        """const real = MediaDevices.prototype.getUserMedia;
        window.asked = [];
        MediaDevices.prototype.getUserMedia = function (wanted) {
            window.asked.push(wanted.video.deviceId?.exact ?? wanted.video.facingMode);
            return real.call(this, { video: true });
        };
        MediaDevices.prototype.enumerateDevices = async () => [
            { kind: "videoinput", deviceId: "front", label: "Front" },
            { kind: "audioinput", deviceId: "ear", label: "Ear" },
            { kind: "videoinput", deviceId: "back", label: "Back" },
        ];"""
    )
    page.goto("/")
    start_camera(page, within_ms=15_000)
    chooser = page.get_by_label("Which camera")
    assert chooser.locator("option").all_text_contents() == ["Front", "Back"]
    chooser.select_option("Back")
    expect(page.locator("#fps")).to_have_text(re.compile(r"\d"), timeout=15_000)
    assert page.evaluate("window.asked") == ["user", "back"]


def test_the_page_does_not_jump(page: Page) -> None:
    page.add_init_script(
        """window.shift = 0;
        new PerformanceObserver((list) => {
            for (const { hadRecentInput, value } of list.getEntries()) {
                if (!hadRecentInput) window.shift += value;
            }
        }).observe({ type: "layout-shift", buffered: true });"""
    )
    page.goto("/")
    page.wait_for_load_state("networkidle")
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face")).to_have_count(1, timeout=15_000)
    page.wait_for_timeout(300)
    assert page.evaluate("window.shift") < 0.1


@pytest.mark.parametrize("path", ["/", "/local", "/docs", "/model"])
def test_pages_answer_head(service: Running, path: str) -> None:
    answer = service.client.head(path)
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 0


def test_a_mistyped_address_is_a_page_for_people_and_json_for_programs(service: Running) -> None:
    person = service.client.get("/no/such", headers={"Accept": "text/html,*/*;q=0.8"})
    assert person.status_code == 404
    assert "There is no page here" in person.text
    assert "Content-Security-Policy" in person.headers
    program = service.client.get("/no/such")
    assert program.status_code == 404
    assert program.json()["error"]["code"] == "not_found"


def test_the_documentation_has_real_examples_and_reading_first(service: Running) -> None:
    content = service.client.get("/openapi.json").json()
    assert next(iter(content["tags"]))["name"] == "read"
    face = content["components"]["schemas"]["FaceShape"]["properties"]
    assert face["probabilities"]["examples"][0]["happy"] > 0.9
    summaries = [each["summary"] for path in content["paths"].values() for each in path.values()]
    assert [each for each in summaries if not re.fullmatch(r"[A-Z].+\.", each)] == []
