from __future__ import annotations

import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL.Image import Transpose

from mien import Predictor
from mien.calibration import softmax
from mien.card import Calibration, Head, ModelCard
from mien.errors import ImageError, ModelError
from mien.faces import CenterFace, Detector, FaceCrops, largest
from mien.images import decode, encode, open_picture
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Box, Crops, Face, Image, Logits, Visibility


def picture(*faces_of_grey: int) -> Image:
    """Make 64-pixel tiles in a row, each a face of one brightness."""
    if not faces_of_grey:
        return np.zeros((64, 64, 3), np.uint8)
    tiles = [np.full((64, 64, 3), grey, np.uint8) for grey in faces_of_grey]
    return np.concatenate(tiles, axis=1)


def find_tiles(image: Image) -> tuple[Face, ...]:
    """Find a face in every tile that is not black."""
    return tuple(
        Face(Box(left + 8, 8, 48, 48), 0.9)
        for left in range(0, image.shape[1], 64)
        if image[32, left + 32].any()
    )


class CountingSession(FakeSession):
    def __init__(self, card: ModelCard | None = None) -> None:
        super().__init__(card)
        self.batches: list[int] = []

    def __call__(self, crops: Crops) -> Mapping[str, Logits]:
        self.batches.append(len(crops))
        return super().__call__(crops)


ONE_CROP = FaceCrops(
    np.zeros((1, 48, 48, 1), np.uint8),
    (Face(Box(0, 0, 1, 1), 1.0),),
    (Visibility(100.0, 0.8, 120.0, 200.0, 0.0),),
)
GREY = {label: 18 + 37 * column for column, label in enumerate(EMOTIONS)}


@pytest.fixture
def session() -> CountingSession:
    return CountingSession()


@pytest.fixture
def predictor(session: CountingSession) -> Predictor:
    return Predictor(find_tiles, session)


@pytest.mark.parametrize(
    "emotions",
    [
        [],
        [[]],
        [["happy"]],
        [[], ["sad", "happy", "fear"], [], ["angry"], []],
    ],
)
def test_the_faces_of_an_image_are_read_in_one_batch(
    predictor: Predictor, session: CountingSession, emotions: list[list[str]]
) -> None:
    images = [picture(*(GREY[emotion] for emotion in each)) for each in emotions]

    results = list(predictor.predict_many(images))

    assert [[reading.top for reading in each] for each in results] == emotions
    assert [tuple(r.face for r in each) for each in results] == [find_tiles(i) for i in images]
    assert session.batches == [len(each) for each in emotions]


def test_no_face_is_no_reading(predictor: Predictor) -> None:
    assert predictor.predict(picture()).readings == ()


def test_very_many_faces_go_through_in_parts(
    predictor: Predictor, session: CountingSession
) -> None:
    emotions = [EMOTIONS[column % 7] for column in range(300)]

    readings = predictor.predict(picture(*(GREY[emotion] for emotion in emotions)))

    assert [reading.top for reading in readings] == emotions
    assert session.batches == [128, 128, 44]


def test_an_image_may_be_a_path_bytes_an_array_or_a_pillow_image(
    predictor: Predictor, tmp_path: Path
) -> None:
    image = picture(GREY["sad"], GREY["happy"])
    content = encode(image, "png")
    (tmp_path / "a.png").write_bytes(content)

    for source in (image, content, tmp_path / "a.png", str(tmp_path / "a.png")):
        assert [reading.top for reading in predictor.predict(source)] == ["sad", "happy"]


def test_a_bad_image_is_an_error_alone_and_a_result_among_many(predictor: Predictor) -> None:
    with pytest.raises(ImageError):
        predictor.predict(b"no image")

    good, bad, last = predictor.predict_many([picture(GREY["sad"]), b"no image", picture(200)])

    assert isinstance(bad.error, ImageError)
    assert [each.top for each in good] == ["sad"]
    assert len(last) == 1


@pytest.mark.parametrize("workers", [1, 2])
def test_predict_many_streams_in_order_and_can_be_left(predictor: Predictor, workers: int) -> None:
    opened: list[int] = []

    def sources() -> Iterator[Image]:
        for number in range(1000):
            opened.append(number)
            yield picture(GREY[EMOTIONS[number % 7]])

    results = predictor.predict_many(sources(), workers=workers)
    first = [next(results)[0].top for _ in range(10)]
    results.close()

    assert first == [EMOTIONS[number % 7] for number in range(10)]
    assert len(opened) < 20


def test_faces_that_are_known_already_are_read_without_a_detector(
    session: CountingSession,
) -> None:
    def must_not_be_called(image: Image) -> tuple[Face, ...]:
        raise AssertionError

    predictor = Predictor(must_not_be_called, session)
    image = picture(GREY["sad"], GREY["happy"])

    crops = predictor.crop(predictor.open(image), find_tiles(image)[1:])
    readings = predictor.interpret(predictor.classify(crops), crops)

    assert [reading.top for reading in readings] == ["happy"]


def test_a_selection_chooses_the_faces(predictor: Predictor) -> None:
    image = picture(GREY["sad"], GREY["happy"])

    def last(faces: Sequence[Face]) -> Sequence[Face]:
        return faces[-1:]

    assert [each.top for each in predictor.predict(image, last)] == ["happy"]
    assert [each.top for each in predictor.predict(image, largest)] == ["sad"]
    assert largest(()) == ()


def test_ready_made_crops_are_read_without_detection(session: CountingSession) -> None:
    crops = np.stack([np.full((48, 48, 1), GREY[each], np.uint8) for each in ("fear", "sad")])

    readings = Predictor(find_tiles, session).predict_crops(crops)

    assert [each.top for each in readings] == ["fear", "sad"]
    assert [each.face for each in readings] == [Face(Box(0, 0, 48, 48), 1.0)] * 2
    assert Predictor(find_tiles, session).predict_crops(crops[:0]) == ()


def test_read_stays_for_one_release(predictor: Predictor) -> None:
    with pytest.warns(DeprecationWarning, match="Predictor.predict"):
        readings = predictor.read(picture(GREY["sad"]))
    assert [each.top for each in readings] == ["sad"]


class TestLargePhotos:
    @pytest.fixture
    def photo(self, astronaut: Image) -> bytes:
        """A JPEG of 2400 x 2304 pixels, turned by EXIF, with one face."""
        wide = PillowImage.fromarray(astronaut).resize((2304, 2400)).transpose(Transpose.ROTATE_90)
        exif = PillowImage.Exif()
        exif[0x0112] = 6
        buffer = io.BytesIO()
        wide.save(buffer, "JPEG", exif=exif.tobytes())
        return buffer.getvalue()

    def test_boxes_are_in_pixels_of_the_full_photo(self, photo: bytes, tmp_path: Path) -> None:
        path = tmp_path / "photo.jpg"
        path.write_bytes(photo)
        predictor = Predictor(session=FakeSession())

        opened = predictor.open(photo)
        ((one,), (other,), (full,)) = predictor.predict_many([photo, path, decode(photo)])

        assert (opened.pixels.shape, opened.size_hw) == ((1200, 1152, 3), (2400, 2304))
        assert one == other
        assert np.array(one.face.box) == pytest.approx(np.array(full.face.box), abs=6)
        assert np.array(one.face.landmarks) == pytest.approx(np.array(full.face.landmarks), abs=6)

    @pytest.mark.parametrize(
        "detector", [CenterFace(min_face_px=20), find_tiles], ids=["CenterFace", "tiles"]
    )
    def test_a_detector_that_does_not_say_what_it_needs_gets_all_pixels(
        self, detector: Detector, photo: bytes
    ) -> None:
        opened = Predictor(detector, FakeSession()).open(photo)

        assert opened.pixels.shape[:2] == opened.size_hw == (2400, 2304)

    def test_a_crop_is_the_same_from_full_size_coordinates(self, photo: bytes) -> None:
        predictor = Predictor(session=FakeSession())
        reduced, full = predictor.open(photo), open_picture(photo)
        faces = predictor.detect(reduced)

        crops = [predictor.crop(each, faces).pixels.astype(int) for each in (reduced, full)]

        assert np.abs(crops[0] - crops[1]).mean() < 2


class TestTheCardsRules:
    def test_temperature_softens_and_leaves_the_order(self) -> None:
        sharp = Predictor(find_tiles, FakeSession())
        soft = Predictor(find_tiles, FakeSession(card(Calibration(temperature=10.0))))
        image = picture(GREY["happy"])

        (before,), (after,) = sharp.predict(image), soft.predict(image)

        assert before.top == after.top == "happy"
        assert after.confidence < before.confidence
        assert sum(after.probabilities) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("confidence", "chosen", "uncertain"),
        [
            (Calibration(set_threshold=0.0, abstain_below=0.0), 3, False),
            (Calibration(set_threshold=0.29, abstain_below=0.49), 2, False),
            (Calibration(set_threshold=0.9, abstain_below=0.51), 1, True),
        ],
    )
    def test_sets_and_abstention(
        self, confidence: Calibration, chosen: int, uncertain: bool
    ) -> None:
        session = FakeSession(card(confidence, labels=("a", "b", "c")))
        logits = {"emotion": np.log([[0.3, 0.5, 0.2]])}

        (reading,) = Predictor(find_tiles, session).interpret(logits, ONE_CROP)

        assert reading.probabilities == pytest.approx((0.3, 0.5, 0.2))
        assert reading.labels == ("a", "b", "c")
        assert reading.set == ("b", "a", "c")[:chosen]
        assert reading.uncertain is uncertain

    def test_faces_and_rows_must_match(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            Predictor(find_tiles, FakeSession()).interpret({"emotion": np.ones((2, 7))}, ONE_CROP)

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_logits_that_are_no_numbers_are_the_models_fault(self, bad: float) -> None:
        session = FakeSession(logits_of=lambda crops: np.full((len(crops), 7), bad))
        with pytest.raises(ModelError, match="fake gave logits that are not finite"):
            Predictor(find_tiles, session).predict(picture(200))


def card(calibration: Calibration, labels: tuple[str, ...] = EMOTIONS) -> ModelCard:
    return ModelCard(name="fake", version="0", heads={"emotion": Head(labels, calibration)})


def test_the_real_detector_finds_the_astronaut(astronaut: Image) -> None:
    seen: list[Crops] = []

    def look(crops: Crops) -> Logits:
        seen.append(crops)
        return np.zeros((len(crops), 7), np.float32)

    (reading,) = Predictor(CenterFace(), FakeSession(logits_of=look)).predict(astronaut)

    (crops,) = seen
    assert crops.shape == (1, 48, 48, 1)
    assert reading.face.score > 0.7
    assert reading.probabilities == pytest.approx(softmax(np.zeros((1, 7), np.float32))[0])
    assert len(reading.face.landmarks) == 5
