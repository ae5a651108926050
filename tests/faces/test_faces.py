from __future__ import annotations

import math
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from importlib import resources

import cv2
import numpy as np
import onnxruntime
import pytest

from mien.card import Framing
from mien.errors import ConfigError, InputError
from mien.faces import CenterFace, FaceTemplate, Framer, centerface, crop_faces
from mien.faces.detections import input_scale
from mien.faces.template import CENTERFACE
from mien.types import Box, Face, Image, Point


def by_box(scale: float, shift_y: float) -> Framer:
    """Frame faces by their boxes, and their roll by CenterFace's landmarks."""
    template = FaceTemplate(CENTERFACE.landmarks, scale, shift_y, landmark_weight=0.0)
    return Framer(template, Framing())


WHOLE = by_box(1.0, 0.0)
FER2013 = by_box(1.07, -0.02)


@pytest.fixture(scope="module")
def detector() -> CenterFace:
    return CenterFace(threads=1)


def turned(image: Image, degrees: float) -> Image:
    """Turn a picture clockwise about its middle; the border is repeated."""
    height, width = image.shape[:2]
    matrix = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), -degrees, 1)
    return np.asarray(
        cv2.warpAffine(image, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8
    )


def overlap(left: Box, right: Box) -> float:
    width = min(left.x + left.w, right.x + right.w) - max(left.x, right.x)
    height = min(left.y + left.h, right.y + right.h) - max(left.y, right.y)
    shared = max(width, 0) * max(height, 0)
    return shared / (left.w * left.h + right.w * right.h - shared)


ASTRONAUT = Box(182, 58, 88, 118)  # at full size, checked by eye


# The detector


@pytest.mark.parametrize(
    "image",
    [
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.random.default_rng(0).integers(0, 256, (480, 640, 3), dtype=np.uint8),
        np.tile(np.arange(256, dtype=np.uint8)[:, None, None], (1, 300, 3)),
        np.zeros((1, 1, 3), np.uint8),
        np.full((10, 10, 3), 127, np.uint8),
        np.full((48, 48, 3), 127, np.uint8),
        np.zeros((1, 5000, 3), np.uint8),
        np.zeros((40_000, 2, 3), np.uint8),
    ],
    ids=["black", "white", "noise", "ramp", "1x1", "10x10", "48x48", "flat", "thin"],
)
def test_no_face_is_an_empty_tuple(detector: CenterFace, image: Image) -> None:
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
def test_what_is_no_rgb_image_is_refused(detector: CenterFace, image: Image) -> None:
    with pytest.raises(InputError, match="RGB"):
        detector(image)
    with pytest.raises(InputError, match="RGB"):
        crop_faces(image, (), WHOLE)


def test_arguments_out_of_range_are_refused() -> None:
    for min_face_px in (0, -1):
        with pytest.raises(ConfigError, match="min_face_px"):
            CenterFace(min_face_px=min_face_px)
    for threshold in (-0.1, 0.0, 1.0):
        with pytest.raises(ConfigError, match="threshold"):
            CenterFace(threshold=threshold)


def test_one_face_with_its_landmarks(detector: CenterFace, astronaut: Image) -> None:
    (face,) = detector(astronaut)
    assert overlap(face.box, ASTRONAUT) > 0.8
    assert 0.8 < face.score <= 1
    assert all(isinstance(value, int) for value in face.box)
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    for found, true in [
        (right_eye, (203, 102)),
        (left_eye, (248, 104)),
        (nose, (224, 124)),
        (right_mouth, (205, 143)),
        (left_mouth, (241, 143)),
    ]:
        assert math.dist(found, true) < 8


@pytest.mark.parametrize("side", [64, 96, 128, 256, 1024, 3000])
def test_a_face_is_found_at_any_size_of_image(
    detector: CenterFace, astronaut: Image, side: int
) -> None:
    (face,) = detector(cv2.resize(astronaut, (side, side), interpolation=cv2.INTER_AREA))
    assert overlap(Box(*(round(value * 512 / side) for value in face.box)), ASTRONAUT) > 0.7


@pytest.mark.parametrize("side", [48, 100, 200, 800])
def test_a_face_that_fills_the_image_is_found(
    detector: CenterFace, astronaut: Image, side: int
) -> None:
    tight = astronaut[60:180, 167:287]
    (face,) = detector(cv2.resize(tight, (side, side), interpolation=cv2.INTER_AREA))
    assert face.box.h > 0.8 * side


@pytest.mark.parametrize(
    "corner", [(0, 0), (0, 40), (40, 0), (130, 0), (0, 110), (125, 60), (60, 118)]
)
def test_a_face_at_the_border_is_found(
    detector: CenterFace, astronaut: Image, corner: tuple[int, int]
) -> None:
    """The face, 88 x 118, touches a side of the part or is a little cut by it."""
    x, y = 187, 63
    left, top = max(0, x - corner[0]), max(0, y - corner[1])
    (face,) = detector(np.ascontiguousarray(astronaut[top : top + 220, left : left + 215]))
    shifted = Box(face.box.x + left, face.box.y + top, face.box.w, face.box.h)
    assert overlap(shifted, ASTRONAUT) > 0.6


def test_two_faces_come_surest_first(detector: CenterFace, astronaut: Image) -> None:
    faint = np.rint(astronaut * 0.2 + 90).astype(np.uint8)
    for pair in ([faint, astronaut], [astronaut, faint]):
        first, second = detector(np.concatenate(pair, axis=1))
        assert first.score > second.score
        assert (first.box.x > second.box.x) == (pair[1] is astronaut)


@pytest.mark.parametrize("degrees", [-30, -15, 15, 30])
def test_a_rolled_face_is_found_and_cut_out_upright(
    detector: CenterFace, astronaut: Image, degrees: int
) -> None:
    rolled = turned(astronaut, degrees)
    (face,) = detector(rolled)
    assert abs(math.degrees(Framer(CENTERFACE).square(face).roll) - degrees) < 10
    upright = crop_faces(astronaut, detector(astronaut), FER2013)[0, ..., 0]
    crop = crop_faces(rolled, [face], FER2013)[0, ..., 0]
    unturned = Face(face.box, face.score)
    as_it_lies = crop_faces(rolled, [unturned], FER2013)[0, ..., 0]
    like, unlike = (np.corrcoef(upright.flat, each.flat)[0, 1] for each in (crop, as_it_lies))
    assert like > 0.6
    assert like > unlike


def test_min_face_px_decides_what_is_looked_at() -> None:
    table = [  # height, width, min_face_px, scale of the detector's input
        (480, 640, None, 16 / 24),
        (1080, 1920, None, 16 / 54),
        (4000, 6000, None, 16 / (4000 / 20)),
        (100, 100, None, 1.28),
        (48, 48, None, 128 / 48),
        (480, 640, 40, 16 / 40),
        (480, 640, 16, 1.0),
        (480, 640, 1, 1.0),
        (480, 640, 400, 128 / 480),
        (4000, 6000, 16, 2048 / 6000),
        (10, 60_000, None, 2048 / 60_000),
    ]
    for height, width, min_face_px, scale in table:
        assert input_scale((height, width), min_face_px, 16) == pytest.approx(scale)


def test_a_small_minimum_finds_what_a_large_one_leaves_out(astronaut: Image) -> None:
    distant = np.full((1200, 1200, 3), 90, np.uint8)
    distant[600:712, 800:912] = cv2.resize(astronaut, (112, 112), interpolation=cv2.INTER_AREA)
    assert CenterFace(min_face_px=150, threads=1)(distant) == ()
    (face,) = CenterFace(min_face_px=25, threads=1)(distant)
    assert (face.box.x, face.box.y) == pytest.approx((800 + 40, 600 + 13), abs=4)


def test_a_high_threshold_leaves_faces_out(astronaut: Image) -> None:
    assert CenterFace(threshold=0.99, threads=1)(astronaut) == ()


def test_all_29_of_the_solvay_conference_are_found(detector: CenterFace, solvay: Image) -> None:
    found = detector(solvay)
    assert len(found) == 29
    assert [face.score for face in found] == sorted((face.score for face in found), reverse=True)
    assert found[-1].score > 0.6
    assert len(CenterFace(min_face_px=60, threads=1)(solvay)) == 29


def test_threads_may_share_a_detector(detector: CenterFace, astronaut: Image) -> None:
    expected = detector(astronaut)
    with ThreadPoolExecutor(4) as pool:
        assert all(found == expected for found in pool.map(detector, [astronaut] * 8))


def test_importing_the_module_makes_no_session() -> None:
    code = (
        "import onnxruntime, sys\n"
        "def refuse(*a, **k): raise AssertionError('a session was made')\n"
        "onnxruntime.InferenceSession = refuse\n"
        "import mien.faces\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_network_is_lean() -> None:
    weights = resources.files("mien") / "assets" / "centerface.onnx"
    data = weights.read_bytes()
    assert len(data) < 4_000_000
    session = onnxruntime.InferenceSession(data, providers=["CPUExecutionProvider"])
    (entry,) = session.get_inputs()
    assert (entry.name, entry.shape) == ("image", ["batch", 3, "height", "width"])
    names = [output.name for output in session.get_outputs()]
    assert names == ["heatmap", "log_size", "offset", "landmarks"]


def test_decoding_no_cell_gives_no_face() -> None:
    maps = [np.zeros((channels, 4, 4), np.float32) for channels in (1, 2, 2, 10)]
    found = centerface._decode(*maps, threshold=0.4)
    assert found.boxes_xywh.shape == (0, 4)
    assert found.landmarks_xy.shape == (0, 5, 2)
    assert found.to_faces((1.0, 1.0)) == ()


def test_decoding_one_cell() -> None:
    heatmap, log_size, offset, landmarks = (
        np.zeros((channels, 8, 8), np.float32) for channels in (1, 2, 2, 10)
    )
    heatmap[0, 2, 5], heatmap[0, 2, 6] = 0.9, 0.5  # the weaker neighbour is the same face
    log_size[:, 2, 5] = np.log([6, 4])  # height and width in cells
    log_size[:, 2, 6] = np.log([6, 4])
    offset[:, 2, 5] = 0.25, -0.25  # y, x
    landmarks[:, 2, 5] = [0.4, 0.3, 0.4, 0.7, 0.5, 0.5, 0.8, 0.3, 0.8, 0.7]
    (face,) = centerface._decode(heatmap, log_size, offset, landmarks, threshold=0.4).to_faces(
        (2.0, 1.0)
    )
    # centre (5.5 - 0.25, 2.5 + 0.25) cells of 4 px = (21, 11); size 16 x 24; x doubled
    assert face.box == Box(26, -1, 32, 24)
    assert face.score == pytest.approx(0.9)
    assert face.landmarks[0] == pytest.approx(((13 + 0.3 * 16) * 2, -1 + 0.4 * 24))
    assert face.landmarks[4] == pytest.approx(((13 + 0.7 * 16) * 2, -1 + 0.8 * 24))


# Cutting faces out


def test_no_face_gives_no_crop() -> None:
    crops = crop_faces(np.zeros((9, 9, 3), np.uint8), (), FER2013)
    assert crops.shape == (0, 48, 48, 1)
    assert crops.dtype == np.uint8


def test_crops_stand_in_the_order_of_the_faces() -> None:
    image = np.zeros((60, 200, 3), np.uint8)
    image[:, 100:] = 200
    boxes = [Box(120, 5, 48, 48), Box(20, 5, 48, 48), Box(130, 5, 48, 48)]
    crops = crop_faces(image, [Face(box, 1.0) for box in boxes], WHOLE)
    assert crops.shape == (3, 48, 48, 1)
    assert crops.dtype == np.uint8
    assert crops.flags.c_contiguous
    assert [int(crop.mean()) for crop in crops] == [200, 0, 200]


def test_a_box_of_48_pixels_is_copied_exactly(astronaut: Image) -> None:
    crop = crop_faces(astronaut, [Face(Box(200, 90, 48, 48), 1.0)], WHOLE)[0, ..., 0]
    expected = cv2.cvtColor(astronaut[90:138, 200:248], cv2.COLOR_RGB2GRAY)
    assert np.abs(crop.astype(int) - expected).max() <= 1


@pytest.mark.parametrize("times", [2, 3, 7, 8])
def test_a_large_box_is_averaged(times: int) -> None:
    image = np.random.default_rng(0).integers(0, 256, (500, 500, 3), dtype=np.uint8)
    side = 48 * times
    crop = crop_faces(image, [Face(Box(40, 30, side, side), 1.0)], WHOLE)[0, ..., 0]
    means = image[30 : 30 + side, 40 : 40 + side].reshape(48, times, 48, times, 3).mean((1, 3))
    assert np.abs(crop - means @ [0.299, 0.587, 0.114]).max() < 2


@pytest.mark.parametrize("side", [1000, 2000])
def test_a_very_large_box_shows_no_aliasing(side: int) -> None:
    """Stripes finer than a pixel of the crop average to grey."""
    image = np.zeros((side, side, 3), np.uint8)
    image[:, np.arange(side) // 3 % 2 == 0] = 255
    crop = crop_faces(image, [Face(Box(0, 0, side, side), 1.0)], WHOLE)
    assert crop.std() < 25  # the stripes themselves: 127


@pytest.mark.parametrize(
    ("rgb", "grey"), [((255, 0, 0), 76), ((0, 255, 0), 150), ((0, 0, 255), 29), ((9, 9, 9), 9)]
)
def test_grey_is_luma_of_rgb(rgb: tuple[int, int, int], grey: int) -> None:
    image = np.full((50, 50, 3), rgb, np.uint8)
    assert (crop_faces(image, [Face(Box(5, 5, 30, 40), 1.0)], WHOLE) == grey).all()


@pytest.mark.parametrize(
    ("box", "value"),
    [
        (Box(-48, 0, 48, 48), 10),
        (Box(100, 0, 48, 48), 20),
        (Box(-4000, -4000, 48, 48), 10),
        (Box(4000, 4000, 300, 300), 20),
    ],
)
def test_outside_the_image_its_border_is_repeated(box: Box, value: int) -> None:
    image = np.full((100, 100, 3), 10, np.uint8)
    image[:, 50:] = 20
    assert (crop_faces(image, [Face(box, 1.0)], WHOLE) == value).all()


def test_a_box_across_the_border_is_filled_up() -> None:
    image = np.full((100, 100, 3), 50, np.uint8)
    image[:, 0] = 200
    crop = crop_faces(image, [Face(Box(-24, 20, 48, 48), 1.0)], WHOLE)[0, ..., 0]
    assert (crop[:, :25] == 200).all()
    assert (crop[:, 25:] == 50).all()


@pytest.mark.parametrize("box", [Box(3, 3, 1, 1), Box(3, 3, 1, 9), Box(0, 0, 2, 1)])
def test_the_smallest_boxes_and_images_work(box: Box) -> None:
    for image in (np.full((1, 1, 3), 9, np.uint8), np.full((20, 20, 3), 9, np.uint8)):
        assert (crop_faces(image, [Face(box, 1.0)], FER2013) == 9).all()


def test_an_image_longer_than_opencv_warps() -> None:
    image = np.zeros((60, 40_000, 3), np.uint8)
    image[:, 39_900:] = 99
    assert (crop_faces(image, [Face(Box(39_940, 6, 48, 48), 1.0)], WHOLE) == 99).all()


def test_the_geometry_widens_and_lowers_the_square() -> None:
    """A bright square of 40 around (100, 100), cut out by a box of 20 x 40 around it."""
    image = np.zeros((200, 200, 3), np.uint8)
    image[80:120, 80:120] = 200
    face = Face(Box(90, 80, 20, 40), 1.0)
    table = [  # scale, shift_y, rows and columns of the crop that are bright
        (1.0, 0.0, (0, 48), (0, 48)),
        (2.0, 0.0, (12, 36), (12, 36)),
        (2.0, 0.5, (0, 24), (12, 36)),
        (2.0, -0.5, (24, 48), (12, 36)),
    ]
    for scale, shift_y, rows, columns in table:
        crop = crop_faces(image, [face], by_box(scale, shift_y))[0, ..., 0]
        expected = np.zeros((48, 48))
        expected[slice(*rows), slice(*columns)] = 200
        assert (np.abs(crop - expected) > 60).mean() < 0.03


@pytest.mark.parametrize("degrees", [-90, -30, 0, 10, 60, 90])
def test_the_square_turns_with_the_landmarks_about_the_boxs_middle(degrees: int) -> None:
    """A bar that slopes as the eyes do lies level in the crop, above its middle."""
    image = np.zeros((201, 201, 3), np.uint8)
    image[80:90, 60:141] = 255
    points = [(80, 85), (120, 85), (100, 100), (85, 120), (115, 120)]
    angle = math.radians(degrees)
    landmarks = tuple(
        Point(
            100.5 + (x - 100.5) * math.cos(angle) - (y - 100.5) * math.sin(angle),
            100.5 + (x - 100.5) * math.sin(angle) + (y - 100.5) * math.cos(angle),
        )
        for x, y in points
    )
    face = Face(Box(52, 52, 97, 97), 1.0, landmarks)
    crop = crop_faces(turned(image, degrees), [face], WHOLE)[0, ..., 0]
    bright = np.flatnonzero(crop[:, 10:38].mean(axis=1) > 128)
    assert (bright.min(), bright.max()) == pytest.approx((14, 18), abs=1)
    assert (crop[bright[1:-1], 10:38] > 200).all()


@pytest.mark.data
def test_fer2013s_own_frame_is_found_again(fer2013_csv: object, detector: CenterFace) -> None:
    from mien import data

    dataset = data.load(fer2013_csv)  # type: ignore[arg-type]
    originals = dataset.crops[dataset.rows("Training")[:60], ..., 0]
    correlations = []
    for original in originals:
        canvas = np.full((256, 256, 3), 127, np.uint8)
        enlarged = cv2.resize(original, (128, 128), interpolation=cv2.INTER_CUBIC)
        canvas[64:192, 64:192] = enlarged[..., None]
        for face in detector(canvas)[:1]:
            level = Face(face.box, face.score)  # FER2013's faces are not turned upright
            crop = crop_faces(canvas, [level], FER2013)[0, ..., 0]
            correlations.append(np.corrcoef(crop.flat, original.flat)[0, 1])
    assert len(correlations) >= 56
    assert np.median(correlations) > 0.6


def test_memory_kept_between_images_changes_nothing(astronaut: Image) -> None:
    detect = CenterFace(same_size=True)
    for image in (astronaut, astronaut[:, ::-1].copy(), astronaut):
        assert detect(image) == CenterFace()(image)
