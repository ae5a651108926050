from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as PillowImage
from PIL.Image import Transpose

from mien import Predictor
from mien.card import Confidence, ModelCard
from mien.confidence import softmax
from mien.errors import ImageError, ModelError
from mien.faces import CenterFace, Detector
from mien.images import decode, encode
from mien.predictor import enlarged, readings_from
from mien.runtime import FakeSession
from mien.types import EMOTIONS, Box, Crops, Face, Image, Logits


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

    def __call__(self, crops: Crops) -> Logits:
        self.batches.append(len(crops))
        return super().__call__(crops)


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
def test_every_face_of_every_image_is_read_in_one_batch(
    predictor: Predictor, session: CountingSession, emotions: list[list[str]]
) -> None:
    images = [picture(*(GREY[emotion] for emotion in each)) for each in emotions]

    readings = predictor.read_many(images)

    assert [[reading.top for reading in each] for each in readings] == emotions
    assert [tuple(r.face for r in each) for each in readings] == [find_tiles(i) for i in images]
    assert session.batches == ([sum(map(len, emotions))] if emotions else [])


def test_no_face_is_no_reading(predictor: Predictor) -> None:
    assert predictor.read(picture()) == ()


def test_very_many_faces_go_through_in_parts(
    predictor: Predictor, session: CountingSession
) -> None:
    emotions = [EMOTIONS[column % 7] for column in range(300)]

    readings = predictor.read(picture(*(GREY[emotion] for emotion in emotions)))

    assert [reading.top for reading in readings] == emotions
    assert session.batches == [128, 128, 44]


def test_an_image_may_be_a_path_bytes_an_array_or_a_pillow_image(
    predictor: Predictor, tmp_path: Path
) -> None:
    image = picture(GREY["sad"], GREY["happy"])
    content = encode(image, "png")
    (tmp_path / "a.png").write_bytes(content)

    for source in (image, content, tmp_path / "a.png", str(tmp_path / "a.png")):
        assert [reading.top for reading in predictor.read(source)] == ["sad", "happy"]


def test_one_bad_image_of_many_is_an_error(predictor: Predictor) -> None:
    with pytest.raises(ImageError):
        predictor.read_many([picture(200), b"no image"])


def test_faces_that_are_known_already_are_read_without_a_detector(
    session: CountingSession,
) -> None:
    def must_not_be_called(image: Image) -> tuple[Face, ...]:
        raise AssertionError

    predictor = Predictor(must_not_be_called, session)
    image = picture(GREY["sad"], GREY["happy"])

    (readings,) = predictor.read_faces([image], [find_tiles(image)[1:]])

    assert [reading.top for reading in readings] == ["happy"]


def test_images_and_faces_must_match(predictor: Predictor) -> None:
    with pytest.raises(ValueError, match="zip"):
        predictor.read_faces([picture()], [])


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

        loaded = predictor.load(photo)
        ((one,), (other,), (full,)) = predictor.read_many([photo, path, decode(photo)])

        assert (loaded.image.shape, loaded.full_hw) == ((1200, 1152, 3), (2400, 2304))
        assert one == other
        assert np.array(one.face.box) == pytest.approx(np.array(full.face.box), abs=6)
        assert np.array(one.face.landmarks) == pytest.approx(np.array(full.face.landmarks), abs=6)

    @pytest.mark.parametrize(
        "detector", [CenterFace(min_face_px=20), find_tiles], ids=["CenterFace", "tiles"]
    )
    def test_a_detector_of_other_needs_gets_all_pixels(
        self, detector: Detector, photo: bytes
    ) -> None:
        loaded = Predictor(detector, FakeSession()).load(photo)

        assert loaded.image.shape[:2] == loaded.full_hw == (2400, 2304)

    def test_a_reading_of_a_full_image_stays_as_it_is(self, predictor: Predictor) -> None:
        loaded = predictor.load(picture(200))
        readings = predictor.read(loaded.image)

        assert enlarged(readings, loaded) is readings


class TestTheCardsRules:
    def test_temperature_softens_and_leaves_the_order(self) -> None:
        sharp = Predictor(find_tiles, FakeSession())
        soft = Predictor(find_tiles, FakeSession(card(Confidence(temperature=10.0))))
        image = picture(GREY["happy"])

        (before,), (after,) = sharp.read(image), soft.read(image)

        assert before.top == after.top == "happy"
        assert after.confidence < before.confidence
        assert sum(after.probabilities) == pytest.approx(1)

    @pytest.mark.parametrize(
        ("confidence", "chosen", "uncertain"),
        [
            (Confidence(set_threshold=0.0, abstain_below=0.0), 3, False),
            (Confidence(set_threshold=0.3, abstain_below=0.5), 2, False),
            (Confidence(set_threshold=0.9, abstain_below=0.51), 1, True),
        ],
    )
    def test_sets_and_abstention(
        self, confidence: Confidence, chosen: int, uncertain: bool
    ) -> None:
        session = FakeSession(card(confidence, labels=("a", "b", "c")))
        probabilities = np.array([[0.3, 0.5, 0.2]])

        (reading,) = readings_from(probabilities, [Face(Box(0, 0, 1, 1), 1.0)], session)

        assert reading.probabilities == (0.3, 0.5, 0.2)
        assert reading.labels == ("a", "b", "c")
        assert reading.set == ("b", "a", "c")[:chosen]
        assert reading.uncertain is uncertain

    def test_faces_and_rows_must_match(self) -> None:
        with pytest.raises(ValueError, match="zip"):
            readings_from(np.ones((2, 7)) / 7, [Face(Box(0, 0, 1, 1), 1.0)], FakeSession())

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_logits_that_are_no_numbers_are_the_models_fault(self, bad: float) -> None:
        session = FakeSession(logits_of=lambda crops: np.full((len(crops), 7), bad))
        with pytest.raises(ModelError, match="fake gave logits that are not finite"):
            Predictor(find_tiles, session).read(picture(200))


def card(confidence: Confidence, labels: tuple[str, ...] = EMOTIONS) -> ModelCard:
    return ModelCard(name="fake", version="0", heads={"emotion": labels}, confidence=confidence)


def test_the_real_detector_finds_the_astronaut(astronaut: Image) -> None:
    seen: list[Crops] = []

    def look(crops: Crops) -> Logits:
        seen.append(crops)
        return np.zeros((len(crops), 7), np.float32)

    (reading,) = Predictor(CenterFace(), FakeSession(logits_of=look)).read(astronaut)

    (crops,) = seen
    assert crops.shape == (1, 48, 48, 1)
    assert reading.face.score > 0.7
    assert reading.probabilities == pytest.approx(softmax(np.zeros((1, 7), np.float32))[0])
    assert len(reading.face.landmarks) == 5
