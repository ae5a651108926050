"""The page /local in a real Chromium reads as /predict does, and its parts as Python's do."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict
from importlib import resources
from typing import Any

import numpy as np
import pytest

pytest.importorskip("playwright")

from PIL import Image as PillowImage
from PIL.Image import Resampling
from playwright.sync_api import Browser, Page
from tests.support.browser import FACE, need

from mien.card import Framing
from mien.faces import Framer, crop_faces, open_detector, stretch_contrast, visibility_of
from mien.faces.detections import REDUCING_GAP
from mien.faces.template import YUNET, frame
from mien.faces.visibility import reasons
from mien.images import encode, read
from mien.predictor import open_predictor
from mien.service.app import predictor_of
from mien.service.local_settings import settings_of
from mien.service.pages import RUNTIME_FILES, static_folder
from mien.service.settings import Settings
from mien.types import Box, Face, Image, Point

from .conftest import Running, running, watched_page

# The portrait's head, whose face is 0.56 as high: left, top, right, bottom.
_HEAD = (126, 10, 326, 210)
_FACE_IN_HEAD = 0.56

_READ = """async ([base64, type]) => {
    const { LocalReader } = await import('/static/js/local/reader.js');
    window.twin ??= new LocalReader(() => {});
    const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([bytes], { type }));
    await image.decode();
    const signal = new AbortController().signal;
    return window.twin.readPhoto(null, image, signal, () => {});
}"""

# Where a function of (parts, images, args) is put in.
_PARTS = """async ([images, args]) => {
    const parts = {};
    for (const name of ['images', 'resize', 'template', 'crop', 'visibility']) {
        Object.assign(parts, await import(`/static/js/local/${name}.js`));
    }
    const opened = images.map(({ data, ...rest }) => (
        { ...rest, data: Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0)) }
    ));
    const made = (WORK)(parts, opened, args);
    return made.data ? { ...made, data: Array.from(made.data) } : made;
}"""


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    with running(predictor_of(Settings())) as server:
        yield server


@pytest.fixture(scope="module")
def local(browser: Browser, service: Running) -> Iterator[Page]:
    """The page, opened once for all tests, with networks of its own for them."""
    missing = [name for name in RUNTIME_FILES if not (static_folder() / "vendor" / name).is_file()]
    need(not missing, "the browser's ONNX Runtime: make web-assets")
    with watched_page(browser, service.url) as page:
        page.goto("/local")
        yield page


def portrait() -> Image:
    return read(FACE)


def head(side: int, roll: float = 0.0) -> Image:
    whole = (
        PillowImage.open(FACE).convert("RGB").rotate(roll, Resampling.BICUBIC, center=(226, 110))
    )
    return np.asarray(whole.crop(_HEAD).resize((side, side), Resampling.LANCZOS))


def composite(seed: int, smallest_px: int, size_hw: tuple[int, int], largest_px: int) -> Image:
    """Faces from ``smallest_px`` up in rows, each of another size, roll and light, on noise."""
    rng = np.random.default_rng(seed)
    height, width = size_hw
    cell = math.ceil(largest_px / _FACE_IN_HEAD) + 8
    canvas = rng.integers(90, 130, (height, width, 3)).astype(np.uint8)
    sizes = np.geomspace(smallest_px, largest_px, (height // cell) * (width // cell))
    for number, size in enumerate(rng.permutation(sizes)):
        side = round(size / _FACE_IN_HEAD)
        tile = head(side, rng.uniform(-25, 25)) * rng.uniform(0.5, 1.1)
        top, left = number // (width // cell) * cell, number % (width // cell) * cell
        canvas[top : top + side, left : left + side] = np.clip(tile, 0, 255).astype(np.uint8)
    return canvas


def dim(image: Image, fraction: float) -> Image:
    return np.rint(image * fraction).astype(np.uint8)


CASES: dict[str, Callable[[], Image]] = {
    "nobody": lambda: np.random.default_rng(1).integers(0, 256, (300, 400, 3), np.uint8),
    "portrait": portrait,
    "a face of 48 pixels": lambda: head(48),
    "cut off": lambda: portrait()[:, 210:],
    "in the dark": lambda: dim(portrait(), 0.06),
    "on its side": lambda: np.ascontiguousarray(np.rot90(portrait())),
    "faces from 24 pixels": lambda: composite(1, 24, (480, 640), 44),
    "faces from 30 pixels in the dark": lambda: dim(composite(2, 30, (480, 640), 60), 0.1),
    "faces of 40 to 140 pixels": lambda: composite(3, 40, (800, 1200), 140),
}


@pytest.mark.parametrize("case", CASES)
def test_a_photo_reads_as_on_the_service(local: Page, service: Running, case: str) -> None:
    assert_same(local, service, encode(CASES[case](), "png"), 0.02)


def test_composites_hold_many_faces(service: Running) -> None:
    for case in (name for name in CASES if name.startswith("faces")):
        found = service.predictor.predict(CASES[case]()).readings
        assert len(found) >= 8, case
        if "24" in case:
            assert min(max(each.face.box.w, each.face.box.h) for each in found) < 30


def test_the_group_photo_reads_as_on_the_service(
    local: Page, service: Running, solvay: Image
) -> None:
    assert_same(local, service, encode(solvay, "png"), 0.05, count=29)


def test_a_large_turned_jpeg_reads_alike(local: Page, service: Running) -> None:
    """Both decode it at half its resolution, but each with a decoder that rounds differently."""
    photo = PillowImage.open(FACE).convert("RGB").resize((2400, 2400)).rotate(90)
    turn = PillowImage.Exif()
    turn[0x0112] = 6  # a quarter clockwise makes it upright
    file = io.BytesIO()
    photo.save(file, "jpeg", quality=95, exif=turn)
    assert_same(local, service, file.getvalue(), 0.05, count=1, box_px=24, mime="image/jpeg")


NOISE = np.random.default_rng(0).integers(0, 256, (211, 333, 3), np.uint8)


@pytest.mark.parametrize("size_wh", [(64, 64), (333, 40), (50, 211), (340, 90), (166, 105)])
def test_images_are_resized_as_by_pillow(local: Page, size_wh: tuple[int, int]) -> None:
    work = "(parts, [image], [w, h, gap]) => parts.resize(image, w, h, gap)"
    for image in (NOISE, portrait()):
        expected = PillowImage.fromarray(image).resize(
            size_wh, Resampling.BILINEAR, reducing_gap=REDUCING_GAP
        )
        found = made(local, work, [image], *size_wh, REDUCING_GAP)
        assert np.abs(found.astype(int) - np.asarray(expected)).max() <= 1


@pytest.mark.parametrize("by", [1, 2, 3, 7])
def test_images_are_reduced_as_by_pillow(local: Page, by: int) -> None:
    found = made(local, "(parts, [image], [by]) => parts.reduce(image, by)", [NOISE], by)
    assert np.array_equal(found, np.asarray(PillowImage.fromarray(NOISE).reduce(by)))


def faces_of_all_kinds() -> list[Face]:
    """Faces of every size and roll, some beyond the image, some without likely landmarks."""
    rng = np.random.default_rng(5)
    faces = []
    for number in range(24):
        side, centre, roll = rng.uniform(10, 600), rng.uniform(-30, 450, 2), rng.uniform(-1.5, 1.5)
        turn = np.array([[math.cos(roll), -math.sin(roll)], [math.sin(roll), math.cos(roll)]])
        spread = side * (0.2 if number % 6 == 1 else 0.03)
        places = centre + side * np.array(YUNET.landmarks) @ turn.T + rng.normal(0, spread, (5, 2))
        left, top = (round(value) for value in centre - side / 2 + rng.normal(0, side * 0.1, 2))
        box = Box(left, top, round(side * rng.uniform(0.6, 1.1)), round(side))
        points = () if number % 6 == 0 else tuple(Point(*each) for each in places.tolist())
        faces.append(Face(box, 0.9, points))
    return faces


def test_faces_are_framed_cut_out_and_seen_as_by_python(local: Page, service: Running) -> None:
    work = """(parts, [image], [face, settings]) => {
        const square = parts.cropSquare(face, settings.framing);
        const crop = parts.cutOut(image, square, [1, 1], settings.framing);
        const seen = parts.visibilityOf(crop, face, image, settings);
        const { centre, side, roll } = parts.frame(face, settings.framing);
        return {
            pixels: Array.from(crop.data),
            seen,
            reasons: parts.reasonsOf(seen, settings.visibility),
            square: [...centre, side, roll],
        };
    }"""
    image, settings = portrait(), settings_of(service.predictor)
    framer = Framer(YUNET, Framing())
    said = set()
    for face in faces_of_all_kinds():
        content = {"box": face.box._asdict(), "landmarks": [list(each) for each in face.landmarks]}
        found = made(local, work, [image], content, settings)
        square, crop = frame(face, YUNET), crop_faces(image, [face], framer)[0]
        assert found["square"] == pytest.approx([*square.centre, square.side, square.roll])
        assert np.abs(np.array(found["pixels"]) - crop.reshape(-1)).max() <= 1
        seen = visibility_of(crop, face, YUNET, image.shape[:2])
        for name, value in asdict(seen).items():
            known = None if value is None else pytest.approx(value, rel=1e-3, abs=0.01)
            assert found["seen"][name] == known, name
        assert found["reasons"] == list(reasons(seen))
        said.update(found["reasons"])
    assert {"too small", "turned away", "cut off"} <= said


@pytest.mark.parametrize("values", [(0, 256), (100, 130), (10, 26), (250, 254), (77, 78)])
def test_contrast_is_stretched_as_by_python(
    local: Page, service: Running, values: tuple[int, int]
) -> None:
    work = "(parts, [crop], [settings]) => parts.stretchContrast(crop, settings)"
    crop = np.random.default_rng(6).integers(*values, (48, 48, 1), np.uint8)
    found = made(local, work, [crop], settings_of(service.predictor)["contrast"])
    assert np.array_equal(found, stretch_contrast(crop[None])[0])


def test_settings_follow_the_predictor(service: Running) -> None:
    served = service.client.get("/local/settings.json").json()
    assert served["framing"]["template"]["landmarks"] == [list(each) for each in YUNET.landmarks]
    assert served["detector"]["min_face_px"] == 0
    wanted = open_predictor(detector=open_detector(min_face_px=60), min_score=0.7, min_face_px=80)
    made = settings_of(wanted)["detector"]
    assert made["input"]["smallest"] == {"px": 60, "fraction": 0.0}
    assert (made["min_score"], made["min_face_px"]) == (0.7, 80)


@pytest.mark.parametrize(("path", "name"), [("detector", "yunet"), ("aligner", "centerface")])
def test_the_networks_are_served(service: Running, path: str, name: str) -> None:
    answer = service.client.get(f"/local/{path}.onnx")
    weights = resources.files("mien") / "assets" / f"{name}.onnx"
    assert answer.content == weights.read_bytes()


def test_a_transparent_photo_lies_on_white(local: Page, service: Running) -> None:
    photo = PillowImage.open(FACE).convert("RGBA")
    photo.putalpha(PillowImage.linear_gradient("L").resize(photo.size))
    file = io.BytesIO()
    photo.save(file, "png")
    assert_same(local, service, file.getvalue(), 0.02, count=1)


def assert_same(
    local: Page,
    service: Running,
    data: bytes,
    tolerance: float,
    *,
    count: int | None = None,
    box_px: int = 2,
    mime: str = "image/png",
) -> None:
    here = local.evaluate(_READ, [base64.b64encode(data).decode(), mime])
    there = service.client.post("/predict", content=data).json()
    assert (here["width"], here["height"]) == (there["width"], there["height"])
    assert len(here["faces"]) == len(there["faces"])
    assert count in (None, len(there["faces"]))
    for face in there["faces"]:
        twin = min(here["faces"], key=lambda other: distance(face["box"], other["box"]))
        assert distance(face["box"], twin["box"]) <= box_px
        assert twin["score"] == pytest.approx(face["score"], abs=0.02)
        for label, value in face["probabilities"].items():
            assert twin["probabilities"][label] == pytest.approx(value, abs=tolerance)
        assert (twin["set"], twin["reasons"]) == (face["set"], face["reasons"])
        assert twin["uncertain"] == face["uncertain"]
        assert twin["visibility"]["size_px"] == pytest.approx(
            face["visibility"]["size_px"], rel=0.03
        )


def distance(one: dict[str, int], other: dict[str, int]) -> int:
    return max(abs(one[side] - other[side]) for side in one)


def made(local: Page, work: str, images: list[Image], *args: Any) -> Any:
    """Return what the page's modules make of images, by a function of (parts, images, args)."""
    carried = [
        {
            "data": base64.b64encode(np.ascontiguousarray(image).tobytes()).decode(),
            "height": image.shape[0],
            "width": image.shape[1],
            "channels": 1 if image.ndim == 2 else image.shape[2],
        }
        for image in images
    ]
    content = local.evaluate(_PARTS.replace("WORK", work), [carried, list(args)])
    if "data" not in content:
        return content
    shape = (content["height"], content["width"], content["channels"])
    return np.array(content["data"], np.uint8).reshape(shape)
