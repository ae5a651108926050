from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import numpy as np
import onnxruntime
import pytest
from PIL import Image as PillowImage

from mien.errors import ConfigError, InputError
from mien.faces.yunet import YuNet, decode
from mien.types import Box, Image

BICUBIC = PillowImage.Resampling.BICUBIC


@pytest.fixture(scope="module")
def detector() -> YuNet:
    return YuNet(threads=1)


def resized(image: Image, side: int) -> Image:
    return np.asarray(PillowImage.fromarray(image).resize((side, side), BICUBIC))


def turned(image: Image, degrees: float) -> Image:
    """Turn an image clockwise about its middle; grey fills the corners."""
    return np.asarray(PillowImage.fromarray(image).rotate(-degrees, BICUBIC, fillcolor="grey"))


def group(image: Image) -> Image:
    """Four portraits of 64 to 160 pixels on a green wall."""
    canvas = PillowImage.new("RGB", (640, 480), (90, 120, 60))
    for index, side in enumerate((64, 96, 128, 160)):
        part = PillowImage.fromarray(image).resize((side, side), BICUBIC)
        canvas.paste(part, (20 + 150 * index, 40 + 60 * index))
    return np.asarray(canvas)


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.full((480, 640, 3), 3, np.uint8),
        np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8),
        np.random.default_rng(0).integers(0, 6, (480, 640, 3), dtype=np.uint8),
        np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 300, 3)),
        np.zeros((1, 1, 3), np.uint8),
        np.full((10, 10, 3), 127, np.uint8),
        np.zeros((1, 5000, 3), np.uint8),
        np.zeros((40_000, 2, 3), np.uint8),
    ],
    ids=["black", "white", "dark", "noise", "dim noise", "ramp", "1x1", "10x10", "flat", "thin"],
)
def test_no_face_is_an_empty_tuple(detector: YuNet, image: Image) -> None:
    assert detector(image) == ()


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((0, 0, 3), np.uint8),
        np.zeros((8, 8), np.uint8),
        np.zeros((8, 8, 4), np.uint8),
        np.zeros((8, 8, 3), np.float32),
    ],
)
def test_only_rgb_images_are_accepted(detector: YuNet, image: Image) -> None:
    with pytest.raises(InputError, match="RGB"):
        detector(image)


def test_arguments_out_of_range_are_refused() -> None:
    for min_face_px in (0, -1):
        with pytest.raises(ConfigError, match="min_face_px"):
            YuNet(min_face_px=min_face_px)
    for threshold in (-0.1, 0.0, 1.0):
        with pytest.raises(ConfigError, match="threshold"):
            YuNet(threshold=threshold)


def test_one_face_with_its_landmarks(detector: YuNet, astronaut: Image) -> None:
    (face,) = detector(astronaut)
    for found, true in zip(
        face.landmarks, [(203, 102), (248, 104), (224, 124), (205, 143), (241, 143)], strict=True
    ):
        assert math.dist(found, true) < 8


# Boxes and scores that tools/make_yunet.py compared with libfacedetection's own.
ANSWERS: dict[str, list[tuple[Box, float]]] = {
    "portrait": [(Box(180, 63, 88, 111), 0.938)],
    "rolled by 30": [(Box(252, 58, 95, 117), 0.904)],
    "rolled by 90": [(Box(355, 170, 92, 106), 0.823)],
    "upside down": [(Box(236, 339, 95, 134), 0.801)],
    "mirrored": [(Box(242, 67, 90, 108), 0.940)],
    "48 pixels": [(Box(17, 6, 8, 10), 0.866)],
    "group": [
        (Box(528, 241, 24, 30), 0.869),
        (Box(365, 174, 22, 28), 0.819),
        (Box(203, 111, 15, 19), 0.751),
    ],
    "at 6 % of its light": [(Box(179, 63, 90, 111), 0.936)],
}


@pytest.mark.parametrize("name", ANSWERS)
def test_the_network_answers_as_it_did_when_it_was_made(
    detector: YuNet, astronaut: Image, name: str
) -> None:
    made = {
        "portrait": lambda: astronaut,
        "rolled by 30": lambda: turned(astronaut, 30),
        "rolled by 90": lambda: turned(astronaut, 90),
        "upside down": lambda: turned(astronaut, 180),
        "mirrored": lambda: astronaut[:, ::-1].copy(),
        "48 pixels": lambda: resized(astronaut, 48),
        "group": lambda: group(astronaut),
        "at 6 % of its light": lambda: (astronaut * 0.06).astype(np.uint8),
    }
    found = detector(made[name]())
    expected = ANSWERS[name]
    assert len(found) == len(expected)
    for face, (box, score) in zip(found, expected, strict=True):
        assert face.box == pytest.approx(box, abs=2)
        assert face.score == pytest.approx(score, abs=0.02)


@pytest.mark.parametrize("light", [0.3, 0.1, 0.06, 0.03])
def test_a_dim_photo_is_stretched(detector: YuNet, astronaut: Image, light: float) -> None:
    (bright,) = detector(astronaut)
    (dim,) = detector((astronaut * light).astype(np.uint8))
    assert dim.box == pytest.approx(bright.box, abs=6)
    assert dim.score > 0.85


def test_a_hazy_photo_is_stretched(detector: YuNet, astronaut: Image) -> None:
    hazy = np.rint(150 + (astronaut - 150.0) * 0.06).astype(np.uint8)
    (clear,), (face,) = detector(astronaut), detector(hazy)
    assert face.box == pytest.approx(clear.box, abs=6)
    assert face.score > 0.85


def test_a_lit_face_in_a_dark_photo_is_found(detector: YuNet, astronaut: Image) -> None:
    """Brightened by what is around it, it would be white."""
    image = np.full((1200, 1200, 3), 30, np.uint8)
    image[600:840, 800:1040] = resized(astronaut, 240)
    (face,) = YuNet(min_face_px=60, threads=1)(image)
    assert (face.box.x, face.box.y) == pytest.approx((800 + 84, 600 + 30), abs=5)


@pytest.mark.parametrize("side", [48, 64, 96, 256, 1024, 3000])
def test_a_face_is_found_at_any_size_of_image(detector: YuNet, astronaut: Image, side: int) -> None:
    (bright,) = detector(astronaut)
    (face,) = detector(resized(astronaut, side))
    assert np.array(face.box) * 512 / side == pytest.approx(np.array(bright.box), abs=16)


def test_a_small_minimum_finds_what_a_large_one_leaves_out(astronaut: Image) -> None:
    distant = np.full((1200, 1200, 3), 90, np.uint8)
    distant[600:712, 800:912] = resized(astronaut, 112)
    assert YuNet(min_face_px=150, threads=1)(distant) == ()
    (face,) = YuNet(min_face_px=25, threads=1)(distant)
    assert (face.box.x, face.box.y) == pytest.approx((800 + 40, 600 + 13), abs=4)


def test_a_high_threshold_leaves_faces_out(astronaut: Image) -> None:
    assert YuNet(threshold=0.99, threads=1)(astronaut) == ()


def test_all_29_of_the_solvay_conference_are_found(detector: YuNet, solvay: Image) -> None:
    found = detector(solvay)
    assert len(found) == 29
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    assert found[-1].score > 0.8


def test_a_large_photo_need_not_be_decoded_in_full() -> None:
    assert YuNet(threads=1).needs_px == 960
    assert YuNet(min_face_px=40, threads=1).needs_px is None


def test_threads_may_share_a_detector(detector: YuNet, astronaut: Image) -> None:
    expected = detector(astronaut)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(detector, [astronaut] * 12))


def test_memory_kept_between_images_changes_nothing(detector: YuNet, astronaut: Image) -> None:
    keeps = YuNet(same_size=True, threads=1)
    for image in (astronaut, astronaut[:, ::-1].copy(), astronaut):
        assert keeps(image) == detector(image)


def test_importing_makes_no_session() -> None:
    code = (
        "import onnxruntime\n"
        "def refuse(*args, **kwargs): raise AssertionError('a session was made')\n"
        "onnxruntime.InferenceSession = refuse\n"
        "import mien.faces.yunet\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_network_is_small_and_takes_any_size() -> None:
    data = (resources.files("mien") / "assets" / "yunet.onnx").read_bytes()
    assert len(data) < 250_000
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape, entry.type) == (
        "image",
        [1, "height", "width", 3],
        "tensor(uint8)",
    )
    names = [output.name for output in session.get_outputs()]
    assert names == ["stride_8", "stride_16", "stride_32"]


# Decoding


def maps(rows: int = 4) -> list[np.ndarray]:
    """Maps of an image of 32 * ``rows`` pixels a side in which nothing is a face."""
    made = [np.zeros((1, 16, rows * by, rows * by), np.float32) for by in (4, 2, 1)]
    for level in made:
        level[0, :2] = -200  # exp of it overflows
    return made


def test_decoding_no_cell_gives_no_face() -> None:
    found = decode(maps(), 0.5)
    assert found.boxes_xywh.shape == (0, 4)
    assert found.landmarks_xy.shape == (0, 5, 2)


@pytest.mark.parametrize(("level", "stride"), [(0, 8), (1, 16), (2, 32)])
def test_decoding_one_cell(level: int, stride: int) -> None:
    made = maps()
    cell = made[level][0, :, 2, 3]
    cell[:2] = math.log(0.9 / 0.1), math.log(0.4 / 0.6)
    cell[2:6] = 0.5, 0.25, math.log(2), math.log(3)
    cell[6:] = range(10)
    found = decode(made, 0.5)
    assert found.scores == pytest.approx([math.sqrt(0.9 * 0.4)])
    expected = np.array([3.5 - 1, 2.25 - 1.5, 2, 3]) * stride
    assert found.boxes_xywh[0] == pytest.approx(expected)
    points = (np.arange(10).reshape(5, 2) + np.array([3, 2])) * stride
    assert found.landmarks_xy[0] == pytest.approx(points)
    assert len(decode(made, 0.61).scores) == 0
