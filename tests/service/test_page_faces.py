"""Many faces: labels that cover nothing, compact rows, and one choice for both."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("playwright")

from playwright.sync_api import Browser, Page, expect
from tests.support.browser import FACE

from mien.images import read
from mien.predictor import open_predictor

from .conftest import Running, running, watched_page

_SLOW_MS = 20_000


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(open_predictor(threads=1)) as server:
        yield server


_RECTANGLES = """(query) => [...document.querySelectorAll(query)]
    .filter((each) => each.checkVisibility())
    .map((each) => each.getBoundingClientRect())
    .map(({ left, top, width, height }) => [left, top, width, height])"""


def overlap(one: list[float], other: list[float]) -> float:
    (left, top, width, height), (x, y, w, h) = one, other
    across = min(left + width, x + w) - max(left, x)
    return max(0.0, across) * max(0.0, min(top + height, y + h) - max(top, y))


def read_crowd(page: Page, crowd: Path) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(crowd)
    expect(page.locator(".face")).to_have_count(29, timeout=_SLOW_MS)


def chosen(page: Page) -> tuple[list[str], list[str]]:
    """Return the numbers of the chosen rows and the names of the chosen boxes."""
    rows = page.locator(".face.chosen .number").all_text_contents()
    boxes = page.locator(".face-box[aria-pressed=true]").all()
    return rows, [str(box.get_attribute("aria-label")).split(":")[0] for box in boxes]


@pytest.mark.parametrize("width", [1440, 390])
def test_no_label_covers_another_or_another_face(
    browser: Browser, service: Running, crowd: Path, width: int
) -> None:
    with watched_page(browser, service.url, viewport={"width": width, "height": 900}) as page:
        read_crowd(page, crowd)
        labels = page.evaluate(_RECTANGLES, ".face-label")
        boxes = page.evaluate(_RECTANGLES, ".face-box")
        assert len(labels) >= 20
        assert max(overlap(*pair) for pair in combinations(labels, 2)) < 1
        hidden = [box for box in boxes if sum(overlap(box, label) for label in labels) > 1]
        assert hidden == []


def test_rows_are_compact_and_the_photo_stays_in_view(page: Page, crowd: Path) -> None:
    read_crowd(page, crowd)
    expect(page.locator(".more:visible")).to_have_count(0)
    assert page.evaluate("document.documentElement.scrollHeight") < 2600
    for view in ({"width": 1440, "height": 900}, {"width": 390, "height": 844}):
        page.set_viewport_size(view)
        page.locator(".face-row").last.click()
        expect(page.locator("#stage")).to_be_in_viewport(ratio=0.6)
        expect(page.locator(".face-row").last).to_be_in_viewport()


def test_choosing_a_row_chooses_its_box_and_the_other_way(page: Page, crowd: Path) -> None:
    read_crowd(page, crowd)
    assert chosen(page) == ([], [])
    page.locator(".face-row").nth(11).click()
    assert chosen(page) == (["12"], ["Face 12"])
    expect(page.locator(".more:visible .bar-row")).to_have_count(7)
    expect(page.locator(".face-label[data-form=full]")).to_have_text(re.compile(r"^12 · \w+"))
    page.get_by_role("button", name="Face 29:").click()
    assert chosen(page) == (["29"], ["Face 29"])
    expect(page.locator(".face.chosen")).to_be_in_viewport()
    expect(page.locator(".more:visible")).to_have_count(1)


def test_the_keyboard_goes_from_face_to_face(page: Page, crowd: Path) -> None:
    read_crowd(page, crowd)
    page.locator("#stage").focus()
    page.keyboard.press("Tab")
    focused = "document.activeElement.getAttribute('aria-label')?.split(':')[0]"
    assert page.evaluate(focused) == "Face 1"
    for key, name in (("ArrowRight", "Face 2"), ("ArrowDown", "Face 3"), ("ArrowLeft", "Face 2")):
        page.keyboard.press(key)
        assert page.evaluate(focused) == name
        assert chosen(page) == ([name[5:]], [name])
    page.keyboard.press("Tab")  # all boxes are one stop
    assert page.evaluate("document.activeElement.id") == "another"
    page.locator(".face-row").nth(4).focus()
    page.keyboard.press("Enter")
    assert chosen(page) == (["5"], ["Face 5"])
    expect(page.locator(".face-row").nth(4)).to_have_attribute("aria-expanded", "true")
    page.keyboard.press("Enter")
    expect(page.locator(".face-row").nth(4)).to_have_attribute("aria-expanded", "false")


def test_the_pointer_shows_a_label_in_full(page: Page, crowd: Path) -> None:
    read_crowd(page, crowd)
    full = page.locator(".face-label[data-form=full]")
    expect(full).to_have_count(0)
    page.get_by_role("button", name="Face 7:").hover()
    expect(full).to_have_text(re.compile(r"^7 · \w+, \d+ %$"))
    page.locator(".face-row").nth(2).hover()
    expect(full).to_have_text(re.compile(r"^3 · \w+, \d+ %$"))
    page.locator("#csv").hover()
    expect(full).to_have_count(0)


def test_a_single_face_is_open_with_its_label_in_full(page: Page) -> None:
    page.goto("/")
    page.locator("#file").set_input_files(FACE)
    expect(page.locator(".face-label[data-form=full]")).to_have_text(
        re.compile(r"^Happy, \d\d %$"), timeout=_SLOW_MS
    )
    expect(page.locator(".bar-row:visible")).to_have_count(7)


def test_a_saved_image_has_its_own_size_and_boxes(page: Page, crowd: Path, tmp_path: Path) -> None:
    read_crowd(page, crowd)
    with page.expect_download() as download:
        page.get_by_role("button", name="Save image").click()
    download.value.save_as(tmp_path / "saved.png")
    saved, plain = read(tmp_path / "saved.png"), read(crowd)
    assert saved.shape == plain.shape
    assert (saved != plain).any()


_PLACE = """async ([faces, area]) => {
    const { placeLabels } = await import('/static/view/layout.js');
    const heights = { full: 20, number: 12 };
    const measure = (text, form) => ({ width: text.length * 10, height: heights[form] });
    return placeLabels(faces, area, measure).map(({ form, text = '' }) => [form, text]);
}"""


def face(x: float, y: float, side: float, number: int, **rest: Any) -> dict[str, Any]:
    return {"x": x, "y": y, "w": side, "h": side, "number": number, "text": "Happy, 90 %", **rest}


@pytest.mark.parametrize(
    ("faces", "forms"),
    [
        ([], []),
        ([face(200, 200, 20, 1)], [["full", "Happy, 90 %"]]),  # alone: wider than its box
        ([face(n * 130, 200, 120, n) for n in range(4)], [["full", "Happy, 90 %"]] * 4),
        (
            [face(n * 60, 200, 40, n) for n in range(4)],
            [["number", "0"], ["number", "1"], ["number", "2"], ["number", "3"]],
        ),
        # no room at all: the row has the number
        ([face(n * 5, n * 5, 8, n) for n in range(4)], None),
        (
            [face(n * 60, 200, 40, n, chosen=n == 2) for n in range(4)],
            [["number", "0"], ["number", "1"], ["full", "Happy, 90 %"], ["number", "3"]],
        ),
    ],
)
def test_forms_of_labels(page: Page, faces: list[dict[str, Any]], forms: Any) -> None:
    page.goto("/")
    found = page.evaluate(_PLACE, [faces, {"width": 600, "height": 400}])
    if forms is None:
        assert len(found) == len(faces)
    else:
        assert found == forms
